"""The worker as RunPod runs it: a process in which the real SDK polls for jobs."""

from __future__ import annotations

import base64
import json
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.support.http_server import drip, http_server
from tests.support.job_api import job_api, wait_until, worker_process
from tests.support.job_runner import ROOT, SECRET, WALK_SMALL, good_job

_HOSTS = {"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"}


def test_a_worker_survives_good_bad_and_cancelled_jobs(tmp_path: Path) -> None:
    answers = {"/a.mp4": WALK_SMALL.read_bytes(), "/slow.mp4": drip(b"HTTP/1.1 200 OK\r\n\r\n")}
    with (
        job_api() as api,
        http_server(answers) as server,
        worker_process(tmp_path, {**api.environment(), **_HOSTS}) as worker,
    ):
        good = {**good_job(), "video_url": server.url("/a.mp4?Signature=geheim"), "inline": True}
        api.give("first", good)
        first = api.wait_for("first")
        assert first["output"]["frames_replaced"] == 6 and "error" not in first
        assert base64.b64decode(first["output"]["video_base64"])[4:8] == b"ftyp"

        for job_id, asked, code in (
            ("none", {}, "INVALID_INPUT"),
            ("key", {**good, "nope": 1}, "INVALID_INPUT"),
            ("path", {**good, "video_url": str(WALK_SMALL)}, "URL_REJECTED"),
            ("away", {**good, "video_url": server.url("/nothing.mp4")}, "DOWNLOAD_FAILED"),
            ("nowhere", {"video_url": server.url("/a.mp4")}, "INVALID_INPUT"),
        ):
            api.give(job_id, asked)
            failed = api.wait_for(job_id)
            assert failed["error"] and failed["output"]["error_code"] == code
            assert "stopPod" not in failed

        # Cancelled while its source trickles in, and while it renders.
        api.give("trickle", {**good, "video_url": server.url("/slow.mp4")})
        wait_until(lambda: "/slow.mp4" in server.asked, "the slow source is never asked for")
        api.stop("trickle")
        api.give("long", {"video_url": server.url("/a.mp4"), "inline": True})
        progress = api.wait_for("long", progress=True)["output"]
        assert set(progress) == {"stage", "percent", "eta_s"}
        api.stop("long")
        api.give("last", good)
        # Told to end while it works: the job is finished and reported first.
        wait_until(lambda: "last" in api.taken, "the next job is never taken")
        wait_until(lambda: '"job began", "job_id": "last"' in worker.text(), "the last job never begins")
        assert worker.ends(signal.SIGTERM) == 0
        last = api.wait_for("last")
        assert last["output"]["video_base64"] == first["output"]["video_base64"]
        assert not any(body.get("status") != "IN_PROGRESS" for name in ("trickle", "long") for body in api.posted(name))
        for job_id in ("first", "last"):
            posts = [body.get("status") for body in api.posted(job_id)]
            assert posts.count(None) == 1 and posts[-1] is None, "progress came after the result"
        text = worker.text()
        assert SECRET not in text and "geheim" not in text and "Traceback" not in text
        events = [json.loads(line) for line in text.splitlines() if line.startswith('{"time"')]
        ended = {event["job_id"]: event["code"] for event in events if event["event"] == "job ended"}
        assert ended["first"] == ended["last"] == "OK" and ended["trickle"] == ended["long"] == "CANCELLED"
        assert not any((tmp_path / "work").iterdir()) and not (tmp_path / "outputs").exists()


def test_an_idle_worker_stops_on_a_signal(tmp_path: Path) -> None:
    with job_api() as api, worker_process(tmp_path, api.environment()) as worker:
        wait_until(lambda: "worker is ready" in worker.text(), "the worker is never ready")
        wait_until(lambda: "Starting Serverless Worker" in worker.text(), "the SDK never starts")
        api.give("x", {})
        api.wait_for("x")
        assert worker.ends(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("environment", "code", "told"),
    [
        ({"UNDERSTUDY_WEIGHTS": "/nonexistent"}, 1, "python -m builder.fetch_models"),
        ({"BUCKET_NAME": "b"}, 2, "BUCKET_ENDPOINT_URL"),
        ({"UNDERSTUDY_STATE_DIR": "/proc/nothing"}, 1, "UNDERSTUDY_STATE_DIR"),
        ({"UNDERSTUDY_OVERRIDES": "segment.count=99"}, 2, "segment.count"),
    ],
)
def test_an_unfit_worker_takes_no_job(environment: dict[str, str], code: int, told: str, tmp_path: Path) -> None:
    with job_api() as api:
        api.give("x", {})
        with worker_process(tmp_path, {**api.environment(), **environment}) as worker:
            assert worker.ends() == code
            assert told in worker.text() and "Traceback" not in worker.text()
        assert not api.taken


def test_a_changed_weight_is_detected(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    for path in (ROOT / "weights").iterdir():
        if path.is_file():
            (weights / path.name).symlink_to(path)
    changed = weights / "movenet.tflite"
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.unlink()
    changed.write_bytes(data)
    with worker_process(tmp_path, {"UNDERSTUDY_WEIGHTS": str(weights)}, "--check") as worker:
        assert worker.ends() == 1 and "movenet.tflite" in worker.text()


def test_the_http_server_answers_and_keeps_its_jobs_apart(tmp_path: Path) -> None:
    port = _free_port()
    environment = {"UNDERSTUDY_LOCAL_ROOT": str(WALK_SMALL.parent)}
    with worker_process(tmp_path, environment, "--rp_serve_api", "--rp_api_port", str(port)) as worker:
        # It says that it has started before it listens.
        wait_until(
            lambda: "Application startup complete" in worker.text() and _listens(port), "the server never starts"
        )
        done = _ask(port, good_job())
        assert done["status"] == "COMPLETED" and Path(done["output"]["video_url"]).is_file()
        failed = _ask(port, {"video_url": "/etc/passwd"})
        assert failed["status"] == "FAILED" and "no such file" in failed["error"]


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _ask(port: int, asked: object) -> dict:
    request = urllib.request.Request(
        f"http://localhost:{port}/runsync", json.dumps({"input": asked}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return dict(json.load(response))
