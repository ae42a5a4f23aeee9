"""The chunks of a chunk job: those of its order, then of signed portions that are put into the bucket meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Cancelled, InvalidInput
from tests.support.s3_server import S3Server, s3_server
from worker.delivery.bucket_settings import Bucket, read_bucket
from worker.fan_out.line import ChunkLine
from worker.fan_out.token import ChunkOrder, FurtherPortion, portion_key, sign, signing_key

FURTHER = "understudy/fan_out/job/orders/0_1_"
EXPIRES = int(time.time()) + 3600


@pytest.fixture
def store(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path / "s3") as server:
        yield server


def bucket_of(store: S3Server) -> Bucket:
    bucket = read_bucket(store.environment)
    assert bucket is not None
    return bucket


def line_of(store: S3Server, folder: Path, check: Any = lambda: None, wait_seconds: float = 0.2) -> ChunkLine:
    order = ChunkOrder(
        job="job", expires=EXPIRES, further=FURTHER, chunks={3: "layers/3"}, needed={}, bundle="bundle",
        bundle_sha256="", subject=0,
    )  # fmt: skip
    bucket = bucket_of(store)
    return ChunkLine(order, bucket, signing_key(bucket), folder, check, wait_seconds)


def put_portion(store: S3Server, place: int, chunks: dict[int, str], key: bytes | None = None, **other: Any) -> None:
    values = {"job": "job", "expires": EXPIRES, "further": FURTHER, "number": place, "chunks": chunks, "needed": {}}
    portion = FurtherPortion(**{**values, **other})
    path = store.folder / store.bucket / portion_key(FURTHER, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sign(portion, key or signing_key(bucket_of(store))), encoding="ascii")


def test_portions_follow_the_order_until_one_is_empty(store: S3Server, tmp_path: Path) -> None:
    with closing(line_of(store, tmp_path)) as line:
        chunks = line.chunks()
        assert next(chunks) == 3
        put_portion(store, 1, {7: "layers/7", 8: "layers/8"})
        assert [next(chunks), next(chunks)] == [7, 8]
        put_portion(store, 2, {})
        put_portion(store, 3, {9: "layers/9"})
        assert list(chunks) == []
        assert line.places == {3: "layers/3", 7: "layers/7", 8: "layers/8"}


def test_a_job_whose_portions_do_not_come_ends(store: S3Server, tmp_path: Path) -> None:
    with closing(line_of(store, tmp_path)) as line:
        assert list(line.chunks()) == [3]


@pytest.mark.parametrize(
    "other", [{"key": b"a caller"}, {"number": 2}, {"job": "another"}, {"further": "orders/0_2_"}, {"expires": 1}]
)
def test_a_portion_that_is_not_this_jobs_next_is_refused(
    store: S3Server, tmp_path: Path, other: dict[str, Any]
) -> None:
    put_portion(store, 1, {9: "layers/9"}, **other)
    with closing(line_of(store, tmp_path)) as line, pytest.raises(InvalidInput):
        list(line.chunks())


def test_a_cancelled_job_does_not_wait_for_portions(store: S3Server, tmp_path: Path) -> None:
    def check() -> None:
        raise Cancelled("stopped")

    with closing(line_of(store, tmp_path, check, wait_seconds=60.0)) as line, pytest.raises(Cancelled):
        list(line.chunks())
