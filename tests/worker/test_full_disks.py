"""Jobs on disks that are or become full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.http_server import http_server
from tests.support.job_runner import ROOT, WALK, Runner
from worker import answer as answering


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _is_run_as_root(request: pytest.FixtureRequest, folder: Path) -> bool:
    """Return whether this is root, who may mount; anybody else runs the test as root of a namespace of their own."""
    if os.geteuid() == 0:
        return True
    # The real root's temporary folder may be there, and is not writable.
    options = ["-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'namespace'}"]
    command = ["unshare", "-rm", sys.executable, "-m", "pytest", *options, request.node.nodeid]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
    return False


def test_a_full_disk_while_fetching_and_while_working(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if not _is_run_as_root(request, tmp_path):
        return
    with small_disk(tmp_path / "small") as folder:
        runner = Runner(folder, environment={"UNDERSTUDY_PRIVATE_HOSTS": "127.0.0.1"})
        with http_server({"/large.mp4": bytes(3_000_000)}) as server:
            runner.fails({"video_url": server.url("/large.mp4")}, "NO_SPACE")
        # The clip is a local one: it is the job that will not fit, and that is known before the work.
        answer = runner.fails({"video_url": str(WALK)}, "NO_SPACE")
        assert "are missing" in answer["error"] and not any(tmp_path.rglob("survey.zip"))
    Runner(tmp_path).does_a_good_job()


@pytest.mark.parametrize("size", ["200k", "3m", "6m"])
def test_a_disk_that_fills_up_in_any_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, size: str
) -> None:
    if not _is_run_as_root(request, tmp_path):
        return
    # As if somebody else filled it after the job had begun: in SURVEY, in PLATE with few pictures, and with many.
    monkeypatch.setattr(answering, "check_disk", lambda *_: None)
    with small_disk(tmp_path / "small", size) as folder:
        runner = Runner(folder)
        answer = runner.fails({"video_url": str(WALK), "start_s": 1.0, "end_s": 2.0}, "NO_SPACE")
        assert "missing" in answer["error"] or "left" in answer["error"]
