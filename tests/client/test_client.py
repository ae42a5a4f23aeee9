"""The client, through the SDK's own Endpoint: with a stand-in for RunPod's API, and once with a real worker."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest
import runpod

from client.__main__ import ADVICE, find_clips, main
from client.references import local_references, with_references
from pipeline import errors
from pipeline.errors import InvalidInput
from tests.support.endpoint_server import API_KEY, EndpointServer, State, endpoint_server
from tests.support.http_server import Server, http_server, response
from tests.support.job_api import job_api, worker_process
from tests.support.job_runner import ROOT, WALK_SMALL, good_job
from tests.support.s3_server import s3_server

_QUEUED: State = {"status": "IN_QUEUE"}
_UNDER_WAY: State = {"status": "IN_PROGRESS", "output": {"stage": "perform", "percent": 61.5, "eta_s": 3}}


@pytest.fixture
def store() -> Iterator[Server]:
    """Yield a server that has results."""
    short = response(b"half", Content_Length="100")
    files = {
        "/result.mp4": b"a video",
        "/result.mkv": b"matroska",
        "/report.html": b"<p>",
        "/plate_0000.png": b"p0",
        "/x.png": b"p1",
    }
    with http_server({**files, "/short.mp4": short}) as server:
        yield server


def _done(store: Server, video: str = "/result.mp4", **more: Any) -> State:
    answer = {"video_url": store.url(video) + "?signature=x", "video_content_type": "video/mp4", "artifacts": {}}
    return {"status": "COMPLETED", "output": {**answer, "frames": 6, **more}}


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what runs the client against a server, with results in ``out``."""
    monkeypatch.setenv("RUNPOD_API_KEY", API_KEY)

    def run(server: EndpointServer, *words: str) -> int:
        monkeypatch.setattr(runpod, "endpoint_url_base", server.url)
        return main(["ep1", *words, "-o", str(tmp_path / "out"), "--poll", "0.01"])

    return run


def test_a_local_clip_goes_through_a_bucket_and_a_real_worker_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any, capsys: Any
) -> None:
    with s3_server(tmp_path / "s3") as bucket, job_api() as api:
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)

        def platform(job_id: str, body: dict[str, Any]) -> list[State]:
            api.give(job_id, body["input"])
            end = api.wait_for(job_id)
            updates: list[State] = [post for post in api.posted(job_id) if post.get("status") == "IN_PROGRESS"]
            return [_QUEUED, *updates, {"status": "FAILED" if "error" in end else "COMPLETED", **end}]

        hosts = {"UNDERSTUDY_PRIVATE_HOSTS": bucket.endpoint_url.removeprefix("http://")}
        with worker_process(tmp_path / "worker", api.environment() | hosts), endpoint_server(platform) as server:
            asked = {key: value for key, value in good_job(artifacts=["mask", "report"]).items() if key != "video_url"}
            assert call(server, str(WALK_SMALL), "--input", json.dumps(asked)) == 0
            assert "walk_small.mp4: uploading\nwalk_small.mp4: in queue\nwalk_small.mp4: " in capsys.readouterr().err
            folder = tmp_path / "out" / "walk_small.mp4"
            assert {path.name for path in folder.iterdir()} == {"result.mp4", "mask.mkv", "report.html", "result.json"}
            told = json.loads((folder / "result.json").read_text())
            with av.open(str(folder / "result.mp4")) as video:
                assert sum(1 for _ in video.decode(video=0)) == told["frames"] == 6
            # The clip is removed after the job; the result stays.
            assert bucket.names() == {f"understudy/job-0/{name}" for name in ("result.mp4", "mask.mkv", "report.html")}
            # An error of the worker, reported with its code and field.
            assert call(server, str(WALK_SMALL), "--again", "--input", '{"preset": "nope"}') == 1
            assert ": INVALID_INPUT: preset: " in capsys.readouterr().err


def test_the_command_reports_progress_saves_and_does_not_send_twice(tmp_path: Path, store: Server) -> None:
    report = {"report": store.url("/report.html"), "plate": [store.url("/plate_0000.png"), store.url("/x.png")]}
    with endpoint_server(lambda job_id, body: [_QUEUED, _UNDER_WAY, _done(store, artifacts=report)]) as server:
        environment = {"RUNPOD_API_KEY": API_KEY, "RUNPOD_ENDPOINT_BASE_URL": server.url, "PATH": os.environ["PATH"]}
        words = [sys.executable, "-m", "client", "ep1", "https://example.com/a%20clip.mp4?x=1"]
        words += ["-o", str(tmp_path), "--poll", "0.01", "--execution-timeout", "900", "--input", '{"seed": 3}']
        first = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert first.returncode == 0, first.stderr
        assert [line.partition(": ")[2] for line in first.stderr.splitlines()] == [
            "in queue",
            "perform",
            "saving",
            "done",
        ]
        folder = tmp_path / "a_clip.mp4"
        assert (folder / "result.mp4").read_bytes() == b"a video" and (folder / "x.png").read_bytes() == b"p1"
        assert (folder / "report.html").read_bytes() == b"<p>" and (folder / "plate_0000.png").read_bytes() == b"p0"
        again = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert again.returncode == 0 and "1 of 1 clips" in again.stdout
        (body,) = server.jobs.values()
    assert body == {
        "input": {"seed": 3, "video_url": "https://example.com/a%20clip.mp4?x=1"},
        "policy": {"executionTimeout": 900_000},
    }


def test_an_inline_result_is_saved_under_the_names_that_a_bucket_gives(tmp_path: Path, call: Any) -> None:
    files = {"mask": b"m", "plate": b"z", "report": b"r"}
    output = {
        "video_base64": base64.b64encode(b"v").decode(),
        "video_content_type": "video/x-matroska",
        "artifacts_base64": {name: base64.b64encode(text).decode() for name, text in files.items()},
        "frames": 6,
    }
    with endpoint_server(lambda job_id, body: [{"status": "COMPLETED", "output": output}]) as server:
        assert call(server, "https://example.com/a.mp4", "--inline") == 0
        assert server.jobs["job-0"]["input"]["inline"] is True
    folder = tmp_path / "out" / "a.mp4"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"} == {
        "result.mkv": b"v",
        "mask.mkv": b"m",
        "plate.zip": b"z",
        "report.html": b"r",
    }
    assert json.loads((folder / "result.json").read_text()) == {"frames": 6, "video_content_type": "video/x-matroska"}


@pytest.mark.parametrize(("content", "name"), [(b"PK\3\4", "frame.zip"), (b"\x89PNG", "frame.png")])
def test_frames_without_a_video_are_a_result(tmp_path: Path, call: Any, content: bytes, name: str) -> None:
    output = {"artifacts_base64": {"frame": base64.b64encode(content).decode()}, "frames": 2}
    with endpoint_server(lambda job_id, body: [{"status": "COMPLETED", "output": output}]) as server:
        assert call(server, "https://example.com/a.mp4", "--inline", "--input", '{"mode": "frame"}') == 0
    assert {path.name for path in (tmp_path / "out" / "a.mp4").iterdir()} == {name, "result.json"}


def test_an_estimate_is_printed_and_takes_the_place_of_no_result(tmp_path: Path, call: Any, capsys: Any) -> None:
    told = {
        "frames": 30,
        "windows": 1,
        "tflop": 7.5,
        "seconds": {"A40": [1, 2, 3]},
        "cost_usd": {"A40": [0.1, 0.2, 0.3]},
    }
    output = {"preset": "fast", "estimate": told, "warnings": []}
    folder = tmp_path / "out" / "a.mp4"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{}")
    with endpoint_server(lambda job_id, body: [{"status": "COMPLETED", "output": output}]) as server:
        assert call(server, "https://example.com/a.mp4", "--input", '{"mode": "estimate"}') == 0
    assert "A40: about 2 s (1 to 3), 0.200 US dollars (0.100 to 0.300)" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"result.json", "estimate.json"}


def test_a_batch_respects_its_limit_and_reports_each_failure(
    tmp_path: Path, store: Server, call: Any, capsys: Any
) -> None:
    states: dict[str, list[State]] = {
        "a": [_QUEUED, _UNDER_WAY, _done(store)],
        "b": [{"status": "FAILED", "error": "nobody was found", "output": {"error_code": "NO_PERSON"}}],
        "c": [_UNDER_WAY, {"status": "FAILED", "error": "bad", "output": {"error_code": "TOO_LARGE", "field": "x"}}],
        "d": [_UNDER_WAY, {"status": "TIMED_OUT"}],
        "e": [_UNDER_WAY, _done(store, "/short.mp4")],
        "f": [_UNDER_WAY, 502, _done(store)],
        "g": [404],
        "i": [{"status": "COMPLETED", "output": {"text": "hello"}}],
        "h": [_QUEUED, _UNDER_WAY, _UNDER_WAY, _done(store)],
    }

    def worker(job_id: str, body: dict[str, Any]) -> list[State]:
        return states[Path(body["input"]["video_url"]).stem]

    with endpoint_server(worker) as server:
        assert call(server, *(f"https://example.com/{name}.mp4" for name in states), "--jobs", "3") == 1
        assert len(server.jobs) == 9 and server.most_at_once <= 3
        said = capsys.readouterr().err
        for name, code in {"b": "NO_PERSON", "c": "TOO_LARGE: x", "d": "TIMED_OUT", "e": "NOT_SAVED"}.items():
            assert f"{name}.mp4: {code}: " in said
        assert "i.mp4: NOT_SAVED: the answer names no files" in said
        assert "g.mp4: API_ERROR: the endpoint's API answered 404" in said
        have = {path.parent.name for path in (tmp_path / "out").glob("*/result.json")}
        assert have == {"a.mp4", "f.mp4", "h.mp4"}
        assert not list((tmp_path / "out").rglob("*.part")) and not (tmp_path / "out" / "e.mp4" / "result.mp4").exists()
        # Only clips without a result are sent again.
        assert call(server, *(f"https://example.com/{name}.mp4" for name in "abh")) == 1
        assert len(server.jobs) == 10


def test_a_job_that_may_have_been_taken_is_not_sent_twice(call: Any, store: Server, capsys: Any) -> None:
    with endpoint_server(lambda job_id, body: [_done(store)]) as server:
        server.refusals = [429]
        assert call(server, "https://example.com/a.mp4") == 0
        server.refusals = [500]
        assert call(server, "https://example.com/b.mp4") == 1
        assert len(server.jobs) == 1 and not server.refusals
        assert "b.mp4: API_ERROR: the endpoint's API answered 500" in capsys.readouterr().err


def test_a_wrong_key_is_reported(call: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("RUNPOD_API_KEY", "another")
    with endpoint_server(lambda job_id, body: [404]) as server:
        assert call(server, "https://example.com/a.mp4") == 1
        assert not server.jobs and "401" in capsys.readouterr().err


def test_ctrl_c_cancels_the_jobs(tmp_path: Path) -> None:
    with endpoint_server(lambda job_id, body: [_UNDER_WAY]) as server:
        environment = {"RUNPOD_API_KEY": API_KEY, "RUNPOD_ENDPOINT_BASE_URL": server.url, "PATH": os.environ["PATH"]}
        words = [sys.executable, "-m", "client", "ep1", *(f"https://example.com/{n}.mp4" for n in range(3))]
        # A shell that runs the tests in the background has them ignore the signal, and a child would inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            [*words, "-o", str(tmp_path), "--poll", "0.05"],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        signal.signal(signal.SIGINT, before)
        try:
            assert process.stderr is not None
            seen = 0
            for line in process.stderr:
                seen += "perform" in line
                if seen == 2:
                    break
            process.send_signal(signal.SIGINT)
            rest = process.stderr.read()
            assert process.wait(60) == 130 and "the jobs were cancelled" in rest
        finally:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        # The third was never sent.
        assert sorted(server.cancelled) == sorted(server.jobs) == ["job-0", "job-1"]


def test_a_folder_means_its_clips_and_a_name_is_harmless(tmp_path: Path) -> None:
    for name in ("b.mov", "a.MP4", "notes.txt"):
        (tmp_path / name).touch()
    clips = find_clips([str(tmp_path), "https://example.com/..%2f..%2fetc/.x%00y.mp4"], tmp_path / "out")
    assert [clip.folder.relative_to(tmp_path / "out").as_posix() for clip in clips] == ["a.MP4", "b.mov", "x_y.mp4"]
    with pytest.raises(InvalidInput, match="two clips"):
        find_clips([str(tmp_path / "b.mov"), "https://example.com/b.mov"], tmp_path)


def test_every_reference_picture_is_made_reachable() -> None:
    request = {
        "reference_image_url": "a.png",
        "reference_image_urls": ["https://example.com/b.png", "c.png", 7],
        "subjects": [{"subject": 0}, {"subject": 1, "reference_image_urls": ["d.png"]}, None],
        "seed": 1,
    }
    assert local_references(request) == ["a.png", "c.png", "d.png"]
    assert with_references(request, str.upper) == {
        "reference_image_url": "A.PNG",
        "reference_image_urls": ["HTTPS://EXAMPLE.COM/B.PNG", "C.PNG", 7],
        "subjects": [{"subject": 0}, {"subject": 1, "reference_image_urls": ["D.PNG"]}, None],
        "seed": 1,
    }
    # What is no list is left to the worker, which names the field.
    assert with_references({"subjects": "x", "reference_image_urls": "y"}, str.upper)["subjects"] == "x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.mp4"], "nothing.mp4: there is no such file"),
        ([str(WALK_SMALL)], "require a bucket"),
        (["https://example.com/a.mp4", "--input", "["], "--input: not valid JSON"),
        (["https://example.com/a.mp4", "--input", '{"video_url": "x"}'], "--input: video_url"),
        (["https://example.com/a.mp4", "--reference", "nobody.png"], "--reference"),
        (["https://example.com/a.mp4", "--input", '{"subjects": [{"reference_image_urls": ["no.png"]}]}'], "no.png"),
        (["https://example.com/a.mp4", "--reference", "x", "--input", '{"reference_image_urls": []}'], "--reference"),
        (["https://example.com/a.mp4", "--jobs", "0"], "--jobs"),
    ],
)
def test_a_wrong_call_is_reported_before_anything_is_sent(call: Any, words: list[str], said: str, capsys: Any) -> None:
    with endpoint_server(lambda job_id, body: []) as server:
        assert call(server, *words) == 2
        assert said in capsys.readouterr().err and not server.jobs


def test_advice_is_about_codes_that_exist() -> None:
    codes = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
    assert set(ADVICE) - {"TIMED_OUT"} <= codes
