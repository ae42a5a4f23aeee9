"""The operator's bucket, with a real S3 server and with failing ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests

from pipeline.errors import Cancelled, UploadFailed
from tests.support.bucket_variables import BUCKET_VARIABLES, bucket_at, says_no_secret
from tests.support.put_server import Step, put_server
from tests.support.s3_server import S3Server, s3_server
from worker.delivery import bucket_trial
from worker.delivery.bucket import s3_client, sign_links, upload_files
from worker.delivery.bucket_settings import Bucket, read_bucket
from worker.delivery.bucket_trial import BucketRefused, try_bucket
from worker.delivery.upload_limits import UploadLimits
from worker.threads import start_thread

_PATIENT = UploadLimits(answer_seconds=550.0)
"""A test that waits for this time-out instead of seeing its cancel is ended by pytest."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


def _bucket(server: S3Server) -> Bucket:
    bucket = read_bucket(server.environment)
    assert bucket is not None
    return bucket


def _file(path: Path, size: int, seed: int = 0) -> Path:
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return path


def test_files_are_stored_with_their_type_and_read_by_a_link_that_ends(server: S3Server, tmp_path: Path) -> None:
    # Over two parts, and under one.
    files = {
        "understudy/a/result.mp4": _file(tmp_path / "result.mp4", (17 << 20) + 5),
        "understudy/a/plate_0000.png": _file(tmp_path / "plate_0000.png", 1000),
        "understudy/a/analysis.npz": _file(tmp_path / "analysis.npz", 0),
    }
    bucket = replace(_bucket(server), link_seconds=3600)
    upload_files(bucket, files, check=lambda: None)
    links = sign_links(bucket, list(files))
    for (key, path), kind in zip(files.items(), ("video/mp4", "image/png", "application/octet-stream"), strict=True):
        got = requests.get(links[key], timeout=60)
        assert got.status_code == 200 and got.content == path.read_bytes() and got.headers["Content-Type"] == kind
        assert parse_qs(urlsplit(links[key]).query)["X-Amz-Expires"] == ["3600"]
        assert requests.get(links[key].partition("?")[0], timeout=60).status_code in (400, 403)
    assert files.keys() <= server.names()


def test_the_same_key_is_overwritten(server: S3Server, tmp_path: Path) -> None:
    bucket = _bucket(server)
    for seed, size in ((1, 9 << 20), (2, 100)):
        path = _file(tmp_path / "result.mp4", size, seed)
        upload_files(bucket, {"understudy/again/result.mp4": path}, check=lambda: None)
        assert (server.folder / "results/understudy/again/result.mp4").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"secret_access_key": "wrong"}, "SignatureDoesNotMatch (403)"), ({"name": "nowhere"}, "NoSuchBucket (404)")],
)
@pytest.mark.parametrize("size", [10, 9 << 20])
def test_a_refusal_is_reported_without_secrets(
    server: S3Server, tmp_path: Path, wrong: dict[str, str], told: str, size: int
) -> None:
    with pytest.raises(UploadFailed, match="refused") as caught:
        upload_files(
            replace(_bucket(server), **wrong), {"r/result.mp4": _file(tmp_path / "r.mp4", size)}, check=lambda: None
        )
    assert told in caught.value.message and says_no_secret(caught.value)
    assert caught.value.__suppress_context__


def test_a_cancel_in_a_multipart_upload_leaves_nothing(server: S3Server, tmp_path: Path) -> None:
    path = tmp_path / "result.mp4"
    with path.open("wb") as file:
        file.truncate(512 << 20)
    bucket = _bucket(server)
    store = s3_client(bucket, UploadLimits())
    begun: list[bool] = []

    def under_way() -> bool:
        try:
            return bool(store.list_multipart_uploads(Bucket=bucket.name).get("Uploads"))
        except store.exceptions.NoSuchUpload:
            # rclone's answer where there was none ever.
            return False

    def check() -> None:
        if under_way():
            begun.append(True)
            raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled):
        upload_files(bucket, {"understudy/cancelled/result.mp4": path}, check=check)
    assert begun
    # On a loaded machine the abort may come after the job was let go; one that never comes is ended by pytest.
    while under_way():
        time.sleep(0.05)
    store.close()
    assert "understudy/cancelled/result.mp4" not in server.names()


_HAS_IT = (200, {"Content-Length": "10"})
"""The answer to HEAD of a store that took ten bytes."""


@pytest.mark.parametrize("step", [503, 429, "hang_up"])
def test_a_failing_store_is_retried_until_the_deadline(
    tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)
    path = _file(tmp_path / "result.mp4", 10)
    begin = time.monotonic()
    with put_server(step) as failing, pytest.raises(UploadFailed) as caught:
        upload_files(
            bucket_at(failing.url), {"k/result.mp4": path}, check=lambda: None, limits=UploadLimits(total_seconds=5.0)
        )
    assert len(failing.received) > 1 and time.monotonic() - begin < 60 and says_no_secret(caught.value)


@pytest.mark.parametrize(
    "step",
    [503, 429, 408, "hang_up", (400, {}, b"<Error><Code>RequestTimeout</Code></Error>"), (503, {"Retry-After": "1"})],
)
def test_a_store_that_recovers_has_the_file(tmp_path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)
    path = _file(tmp_path / "result.mp4", 10)
    begin = time.monotonic()
    with put_server(step, step, 200, _HAS_IT) as recovering:
        upload_files(bucket_at(recovering.url), {"k/result.mp4": path}, check=lambda: None)
    assert [each.method for each in recovering.received] == ["PUT", "PUT", "PUT", "HEAD"]
    assert recovering.received[2].body == path.read_bytes()
    assert not isinstance(step, tuple) or "Retry-After" not in step[1] or time.monotonic() - begin >= 2.0


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_a_server_that_is_not_a_store_stores_no_result(tmp_path: Path, size: int) -> None:
    path = _file(tmp_path / "result.mp4", size)
    away = (307, {"Location": "/elsewhere"})
    for step in (200, away, (302, {"Location": "/x"}), (200, {}, b"<html>hello</html>"), 204, 501):
        with put_server(step) as server, pytest.raises(UploadFailed) as caught:
            upload_files(
                bucket_at(server.url),
                {"k/result.mp4": path},
                check=lambda: None,
                limits=UploadLimits(total_seconds=1.0),
            )
        assert len(server.received) < 10 and says_no_secret(caught.value)


@pytest.mark.parametrize("size", [10, 40 << 20])
def test_a_restarted_store_gets_the_whole_file(tmp_path: Path, size: int) -> None:
    path = _file(tmp_path / "result.mp4", size)
    with s3_server(tmp_path / "store") as first:
        port = urlsplit(first.endpoint_url).port
    assert port is not None
    ended = start_thread(lambda: upload_files(_bucket(first), {"k/result.mp4": path}, check=lambda: None), "upload")
    time.sleep(1.5)
    assert not ended.done()
    with s3_server(tmp_path / "store", port=port) as again:
        ended.result(120)
        assert (again.folder / "results/k/result.mp4").read_bytes() == path.read_bytes()


def test_forgotten_parts_are_sent_again(tmp_path: Path) -> None:
    """A store that restarts in the middle of a multipart upload knows nothing of it afterwards."""
    path = _file(tmp_path / "result.mp4", 9 << 20)
    begun = (200, {}, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
    forgot = (404, {}, b"<Error><Code>NoSuchUpload</Code></Error>")
    part = (200, {"ETag": '"e"'})
    ended = (200, {}, b"<CompleteMultipartUploadResult/>")
    with put_server(
        begun, part, forgot, 204, begun, part, part, ended, (200, {"Content-Length": str(9 << 20)})
    ) as server:
        upload_files(bucket_at(server.url), {"k/result.mp4": path}, check=lambda: None)
    assert sum(each.method == "POST" and "uploads" in each.path for each in server.received) == 2


def test_a_bucket_is_tried_once_a_worker(server: S3Server) -> None:
    bucket = _bucket(server)
    try_bucket(bucket)
    assert not any(name.startswith("understudy/.") for name in server.names()), "the trial's object stays"
    # Not tried again: this server would not answer.
    with put_server("silent") as silent:
        bucket_trial._passed.add(bucket_at(silent.url))
        try_bucket(bucket_at(silent.url))
        assert not silent.received


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"secret_access_key": "wrong"}, "BUCKET_SECRET_ACCESS_KEY"),
        ({"name": "nowhere"}, "BUCKET_NAME"),
        ({"access_key_id": "wrong"}, "BUCKET_ACCESS_KEY_ID"),
    ],
)
def test_a_refusing_bucket_is_detected_and_the_variable_named(
    server: S3Server, wrong: dict[str, str], told: str
) -> None:
    with pytest.raises(BucketRefused, match=told) as caught:
        try_bucket(replace(_bucket(server), **wrong))
    assert says_no_secret(caught.value)


@pytest.mark.parametrize("step", [200, (200, {}, b"<html>"), (307, {"Location": "/x"}), (404, {}, b"no"), 403])
def test_a_server_that_is_not_a_store_is_detected(step: Step) -> None:
    with put_server(step) as server, pytest.raises(UploadFailed):
        try_bucket(bucket_at(server.url), limits=UploadLimits(total_seconds=2.0))
    assert len(server.received) < 9


def test_an_unreachable_bucket_is_not_a_refusal_and_does_not_delay_a_cancel() -> None:
    with put_server(503) as server, pytest.raises(UploadFailed) as caught:
        try_bucket(bucket_at(server.url), limits=UploadLimits(total_seconds=1.0))
    assert not isinstance(caught.value, BucketRefused)

    def check() -> None:
        raise Cancelled("the job was cancelled")

    with put_server("silent") as silent, pytest.raises(Cancelled):
        try_bucket(bucket_at(silent.url), check)


def test_a_key_that_may_not_remove_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_trial.secrets, "token_hex", lambda size: "trial")
    with put_server(200, (200, {}, b"trial"), 403) as server:
        try_bucket(bucket_at(server.url))
    assert [each.method for each in server.received] == ["PUT", "GET", "DELETE"]


def test_a_store_without_links_is_named_by_its_location() -> None:
    bucket = read_bucket(
        {**BUCKET_VARIABLES, "BUCKET_ENDPOINT_URL": "https://s3api-eu-ro-1.runpod.io/", "BUCKET_NAME": "vol1"}
    )
    assert bucket is not None and not bucket.signs_links and bucket.region == "eu-ro-1"
    assert sign_links(bucket, ["understudy/a/r.mp4"]) == {"understudy/a/r.mp4": "s3://vol1/understudy/a/r.mp4"}


def test_a_store_that_does_not_answer_in_time_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)
    path = _file(tmp_path / "result.mp4", 10)
    with put_server("silent") as silent:
        limits = UploadLimits(answer_seconds=0.2, total_seconds=5.0)
        with pytest.raises(UploadFailed, match="could not be reached"):
            upload_files(bucket_at(silent.url), {"k/result.mp4": path}, check=lambda: None, limits=limits)
        assert len(silent.received) >= 2
        with pytest.raises(UploadFailed, match="in time"):
            upload_files(
                bucket_at(silent.url),
                {"k/result.mp4": path},
                check=lambda: None,
                limits=replace(_PATIENT, total_seconds=0.2),
            )


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_a_silent_store_does_not_delay_a_cancel(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.delivery.bucket._LEAVE_SECONDS", 0.2)
    path = _file(tmp_path / "result.mp4", size)
    before = set(threading.enumerate())
    with put_server("silent") as silent:

        def check() -> None:
            if silent.arrived.is_set():
                raise Cancelled("the job was cancelled")

        with pytest.raises(Cancelled):
            upload_files(bucket_at(silent.url), {"k/result.mp4": path}, check=check, limits=_PATIENT)
        # The connection is closed while the server runs on: the abandoned request ends at its time-out and is not
        # retried.
        silent.over.set()
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("ThreadPoolExecutor"):
                thread.join()
        assert len(silent.received) == 1
