"""Delivery destinations, and the fields of the answer."""

from __future__ import annotations

import base64
import errno
import io
import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.errors import Cancelled, InvalidInput, NoSpace, ResultTooLarge, UploadFailed, UrlRejected
from pipeline.result import JobResult
from tests.support.put_server import put_server
from tests.support.report_job import made_facts
from tests.support.s3_server import s3_server
from worker.delivery import local
from worker.delivery.bucket_settings import Bucket, read_bucket
from worker.delivery.destination import Destination, choose_destination
from worker.delivery.local import ANSWER_MAX_BYTES, deliver_locally
from worker.output import wire_form

_BUCKET = read_bucket(
    {
        "BUCKET_ENDPOINT_URL": "http://127.0.0.1:1",
        "BUCKET_ACCESS_KEY_ID": "AK",
        "BUCKET_SECRET_ACCESS_KEY": "SK",
        "BUCKET_NAME": "results",
    }
)


@dataclass(frozen=True)
class _Worker:
    outputs: Path
    private_hosts: frozenset[str] = frozenset()
    bucket: Bucket | None = None
    inline_max_bytes: int = 5000
    local_delivery: bool = False
    upload_seconds: float = 300.0


@pytest.fixture
def worker(tmp_path: Path) -> _Worker:
    return _Worker(tmp_path / "outputs")


def _result(
    folder: Path, *, video: bytes = b"video", report: dict[str, Any] | None = None, **artifacts: Any
) -> JobResult:
    """Make a result whose artifacts are given as ``name={file: bytes}``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.mp4").write_bytes(video)
    for files in artifacts.values():
        for name, data in files.items():
            (folder / name).write_bytes(data)
    paths = {name: [folder / file for file in files] for name, files in artifacts.items()}
    return JobResult(folder / "result.mp4", paths, made_facts(frames=3, **(report or {})))


_PLATE = {"plate.mkv": b"moving", "plate_0000.png": b"first", "plate_0001.png": b"second"}


def _choose(worker: _Worker, job_id: str = "job-1", **wanted: Any) -> Destination:
    asked: dict[str, Any] = {"upload_url": None, "artifact_upload_urls": {}, "inline": False, "artifacts": []}
    return choose_destination(job_id=job_id, worker=worker, **{**asked, **wanted})


def _nothing() -> None:
    pass


def test_a_local_folder_holds_the_files_of_the_answer(worker: _Worker, tmp_path: Path) -> None:
    destination = _choose(replace(worker, local_delivery=True))
    answer = destination.deliver(_result(tmp_path / "made", mask={"mask.mkv": b"m"}, plate=_PLATE), check=_nothing)
    folder = worker.outputs / "job-1"
    assert wire_form(answer) == wire_form(made_facts(frames=3)) | {
        "video_url": str(folder / "result.mp4"),
        "video_content_type": "video/mp4",
        "artifacts": {"mask": str(folder / "mask.mkv"), "plate": [str(folder / name) for name in _PLATE]},
    }
    assert json.loads((folder / "result.json").read_text()) == wire_form(answer)
    assert {path.name for path in folder.iterdir()} == {"result.mp4", "result.json", "mask.mkv", *_PLATE}
    assert (folder / "plate_0001.png").read_bytes() == b"second"


def test_a_local_result_replaces_its_own_files_and_no_others(worker: _Worker, tmp_path: Path) -> None:
    destination = _choose(replace(worker, local_delivery=True))
    destination.deliver(_result(tmp_path / "made", video=b"old", mask={"mask.mkv": b"m"}), check=_nothing)
    folder = worker.outputs / "job-1"
    (folder / "notes.txt").write_text("the user's")
    destination.deliver(_result(tmp_path / "made", video=b"new", plate=_PLATE), check=_nothing)
    assert (folder / "result.mp4").read_bytes() == b"new"
    assert {path.name for path in folder.iterdir()} == {"result.mp4", "result.json", "notes.txt", *_PLATE}


def test_an_earlier_answer_cannot_name_files_elsewhere(worker: _Worker, tmp_path: Path) -> None:
    folder = worker.outputs / "job-1"
    folder.mkdir(parents=True)
    mine = tmp_path / "mine.txt"
    mine.write_text("x")
    for text in (json.dumps({"video_url": str(mine), "artifacts": {"a": ["../../mine.txt", "/", ".."]}}), "5", "{"):
        (folder / "result.json").write_text(text)
        _choose(replace(worker, local_delivery=True)).deliver(_result(tmp_path / "made"), check=_nothing)
        assert mine.exists() and {path.name for path in folder.iterdir()} == {"result.mp4", "result.json"}


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (OSError(errno.ENOSPC, "full"), NoSpace),
        (OSError(errno.EIO, "broken"), UploadFailed),
        (Cancelled("the job was cancelled"), Cancelled),
    ],
)
def test_a_local_delivery_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, told: type[Exception]
) -> None:
    outputs = tmp_path / "outputs"
    deliver_locally(_result(tmp_path / "made", video=b"old"), outputs, "job")
    before = {path.name: path.read_bytes() for path in (outputs / "job").iterdir()}
    move = local.shutil.move
    moved = []

    def failing(source: Path, target: Path) -> None:
        if moved:
            target.write_bytes(b"half")
            raise raised
        moved.append(move(source, target))

    monkeypatch.setattr(local.shutil, "move", failing)
    for name in ("job", "new"):
        moved.clear()
        with pytest.raises(told):
            deliver_locally(_result(tmp_path / "made", mask={"mask.mkv": b"m"}), outputs, name)
    assert {path.name: path.read_bytes() for path in (outputs / "job").iterdir()} == before
    assert [path.name for path in outputs.iterdir()] == ["job"]


def test_an_unwritable_output_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file")
    with pytest.raises(UploadFailed) as caught:
        deliver_locally(_result(tmp_path / "made"), tmp_path / "outputs", "job")
    assert str(tmp_path) not in caught.value.message


def test_inline_the_answer_holds_the_files(worker: _Worker, tmp_path: Path) -> None:
    made = _result(tmp_path / "made", video=b"v" * 100, mask={"mask.mkv": b"m"}, plate=_PLATE)
    answer = _choose(replace(worker, bucket=_BUCKET), inline=True, artifacts=["mask", "plate"]).deliver(
        made, check=_nothing
    )
    assert base64.b64decode(answer.video_base64) == b"v" * 100 and answer.frames == 3
    assert base64.b64decode(answer.artifacts_base64["mask"]) == b"m"
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer.artifacts_base64["plate"]))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == _PLATE
    assert not worker.outputs.exists()


def test_an_inline_result_over_the_limit_is_reported(worker: _Worker, tmp_path: Path) -> None:
    for size, files in ((5001, {}), (4000, {"mask.mkv": b"m" * 1001})):
        made = _result(tmp_path / "made", video=b"v" * size, **({"mask": files} if files else {}))
        with pytest.raises(ResultTooLarge):
            _choose(worker, inline=True).deliver(made, check=_nothing)
    # An operator's limit that is over the platform's does not lose the job either.
    made = _result(tmp_path / "made", video=b"v" * (ANSWER_MAX_BYTES * 3 // 4))
    with pytest.raises(ResultTooLarge):
        _choose(replace(worker, inline_max_bytes=10**9), inline=True).deliver(made, check=_nothing)


def test_an_answer_over_the_platforms_limit_is_reported_before_anything_is_sent(
    worker: _Worker, tmp_path: Path
) -> None:
    made = _result(tmp_path / "made", report={"warnings": ["w" * 1000] * (ANSWER_MAX_BYTES // 1000)})
    with put_server() as server:
        open_worker = replace(worker, private_hosts=frozenset({server.host}), local_delivery=True)
        for wanted in ({"upload_url": server.url}, {}):
            with pytest.raises(ResultTooLarge):
                _choose(open_worker, **wanted).deliver(made, check=_nothing)
        bucket = replace(worker, bucket=replace(_BUCKET, endpoint_url=server.url))
        with pytest.raises(ResultTooLarge):
            _choose(bucket).deliver(made, check=_nothing)
        assert not server.received
    assert not any(worker.outputs.rglob("*"))


def test_an_answer_that_is_no_json_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="duration_s"):
        _result(tmp_path / "made", report={"duration_s": float("nan")})


def test_a_bucket_gets_every_file_under_the_jobs_id_each_time_the_same(worker: _Worker, tmp_path: Path) -> None:
    made = _result(tmp_path / "made", mask={"mask.mkv": b"m"}, plate=_PLATE)
    with s3_server(tmp_path / "s3") as server:
        in_bucket = replace(worker, bucket=read_bucket(server.environment), local_delivery=True)
        for number, job_id in enumerate(("job-1", "../../ü b"), 1):
            first, second = (_choose(in_bucket, job_id).deliver(made, check=_nothing) for _ in range(2))
            names = server.names()
            assert len(names) == 5 * number and len({name.rpartition("/")[0] for name in names}) == number
            assert {name.split("/")[0] for name in names} == {"understudy"}
            assert {name.split("/")[2] for name in names} == {"result.mp4", "mask.mkv", *_PLATE}
            assert first.video_url.partition("?")[0] == second.video_url.partition("?")[0]
            assert first.expires_s == 7 * 24 * 3600 and first.frames == 3
            assert requests.get(second.video_url, timeout=60).content == b"video"
            got = [requests.get(url, timeout=60).content for url in second.artifacts["plate"]]
            assert got == list(_PLATE.values())
    assert not worker.outputs.exists()


def test_a_bucket_that_fails_gives_no_local_result(worker: _Worker, tmp_path: Path) -> None:
    destination = _choose(replace(worker, bucket=_BUCKET, local_delivery=True, upload_seconds=1.0))
    with pytest.raises(UploadFailed):
        destination.deliver(_result(tmp_path / "made"), check=_nothing)
    assert not worker.outputs.exists()


def test_the_callers_urls_get_a_file_each_the_video_last(worker: _Worker, tmp_path: Path) -> None:
    made = _result(tmp_path / "made", mask={"mask.mkv": b"m"}, plate=_PLATE)
    with put_server() as server:
        answer = _choose(
            replace(worker, private_hosts=frozenset({server.host}), bucket=_BUCKET),
            upload_url=server.url + "/v?X-Amz-Signature=1",
            artifact_upload_urls={name: f"{server.url}/{name}?X-Amz-Signature=2" for name in ("plate", "mask")},
            artifacts=["mask", "plate"],
        ).deliver(made, check=_nothing)
    assert [got.path.partition("?")[0] for got in server.received] == ["/mask", "/plate", "/v"]
    assert [got.headers["content-type"] for got in server.received] == [
        "video/x-matroska",
        "application/zip",
        "video/mp4",
    ]
    with zipfile.ZipFile(io.BytesIO(server.received[1].body)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == _PLATE
    assert wire_form(answer) == wire_form(made_facts(frames=3)) | {
        "video_url": server.url + "/v",
        "video_content_type": "video/mp4",
        "artifacts": {"mask": server.url + "/mask", "plate": server.url + "/plate"},
    }


def test_the_plate_is_a_zip_also_when_it_is_one_file_and_repeats_in_its_bytes(worker: _Worker, tmp_path: Path) -> None:
    texts = []
    for number in (1, 2):
        made = _result(tmp_path / f"made{number}", plate={"plate.mkv": b"moving"})
        texts.append(_choose(worker, inline=True).deliver(made, check=_nothing).artifacts_base64["plate"])
    assert texts[0] == texts[1]
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(texts[0]))) as archive:
        assert archive.namelist() == ["plate.mkv"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "upload_url"),
        ({"artifact_upload_urls": {"mask": "https://x.example/m"}, "artifacts": ["mask"]}, "upload_url"),
        ({"upload_url": "https://x.example/v", "artifacts": ["mask"]}, "artifact_upload_urls.mask"),
        (
            {"upload_url": "https://x.example/v", "artifact_upload_urls": {"mask": "https://x.example/m"}},
            "artifact_upload_urls.mask",
        ),
        ({"upload_url": "https://x.example/v", "inline": True}, "inline"),
        (
            {
                "upload_url": "https://x.example/v",
                "artifact_upload_urls": {"mask": "https://x.example/v"},
                "artifacts": ["mask"],
            },
            "artifact_upload_urls",
        ),
    ],
)
def test_a_destination_that_does_not_fit_is_refused_before_any_work(
    worker: _Worker, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        _choose(worker, **wanted)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["upload_url", "artifact_upload_urls.mask"])
def test_a_url_that_may_not_be_sent_to_is_refused_before_any_work(worker: _Worker, name: str) -> None:
    with put_server() as server:
        urls = {"upload_url": server.url + "/v", "artifact_upload_urls.mask": server.url + "/m"}
        urls[name] = "http://127.0.0.1:9/x?X-Amz-Signature=1"
        with pytest.raises(UrlRejected) as caught:
            _choose(
                replace(worker, private_hosts=frozenset({server.host})),
                upload_url=urls["upload_url"],
                artifact_upload_urls={"mask": urls["artifact_upload_urls.mask"]},
                artifacts=["mask"],
            )
        assert caught.value.field == name and "Signature" not in caught.value.message
        assert not server.received
