"""The documents name existing things, and their examples run as written, with a stand-in for RunPod's API."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline import errors
from tests.support.endpoint_server import API_KEY, State, endpoint_server
from worker.command_line import help_text
from worker.delivery.bucket_settings import NAMES
from worker.input import parse_request

_ROOT = Path(__file__).resolve().parents[1]
_PAGES = {
    path.relative_to(_ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *sorted(_ROOT.glob("*.md")),
        *sorted((_ROOT / "docs").glob("*.md")),
        _ROOT / "benchmarks" / "README.md",
    )
}
_SOURCES = ("pipeline", "worker", "conf", "builder", "client", "webpage", "benchmarks", "scripts")
_CODES = {each.code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "code")}
_OUTPUT = {"video_url": "https://store.example/result.mp4", "video_base64": base64.b64encode(b"v").decode()}


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _PAGES["docs/api.md"], re.MULTILINE | re.DOTALL)


def _worker(job_id: str, body: dict[str, Any]) -> list[State]:
    parse_request(body["input"])
    under_way = {"status": "IN_PROGRESS", "output": {"stage": "survey", "percent": 12.5, "eta_s": None}}
    return [under_way, {"status": "COMPLETED", "output": _OUTPUT}]


def _run(command: list[str], text: str, folder: Path, **more: str) -> str:
    """Run an example and return its output; the jobs that it sends are checked by the stand-in's worker."""
    with endpoint_server(_worker) as server:
        text = text.replace("https://api.runpod.ai/v2", server.url).replace("time.sleep(2)", "").replace("2000)", "1)")
        environment = {
            "PATH": os.environ["PATH"],
            "RUNPOD_API_KEY": API_KEY,
            "ENDPOINT_ID": "ep1",
            "RUNPOD_ENDPOINT_BASE_URL": server.url,
            **more,
        }
        done = subprocess.run([*command, text], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert server.jobs or more
    return done.stdout


def test_every_variable_is_explained_and_no_other_is_named() -> None:
    name = r"\b(?:UNDERSTUDY|BUCKET)_[A-Z_]+[A-Z]\b"
    known = set(re.findall(name, help_text()))
    assert known <= set(re.findall(name, _PAGES["docs/deploy.md"]))
    for page in ("README.md", "docs/deploy.md", "docs/api.md", "docs/settings.md"):
        text = _PAGES[page]
        assert set(re.findall(name, text)) <= known, page


@pytest.mark.parametrize("page", ["docs/deploy.md", "docs/api.md"])
def test_every_error_code_is_explained(page: str) -> None:
    assert _CODES - set(re.findall(r"`([A-Z_]+)`", _PAGES[page])) == set()


def test_the_python_example_of_the_readme_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", _PAGES["README.md"], re.MULTILINE | re.DOTALL)
    cut = block.replace('artifacts=("report",)', 'artifacts=("report",), start_s=1.5, end_s=1.6')
    assert cut != block and block.count("\n") <= 10
    shutil.copy(_ROOT / "assets" / "walk_a" / "sample.mp4", tmp_path / "clip.mp4")
    path = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run([sys.executable, "-c", cut], cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "result.mp4").stat().st_size > 0 and "report.html" in done.stdout


def test_no_page_or_source_cites_what_is_not_in_the_repository() -> None:
    sources = [*_ROOT.glob("*.py"), *(path for top in _SOURCES for path in (_ROOT / top).rglob("*.py"))]
    texts = {path.relative_to(_ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sources} | _PAGES
    cited = re.compile(
        r"\b(?:DESIGN|HOSTILE|ROBUSTNESS|FINDINGS|STRUCTURE|MODELS|WEIGHTS|SEED)(?:\.md|'s|\b section)|\bseed design\b"
    )
    assert {path: cited.findall(text) for path, text in texts.items() if cited.search(text)} == {}


@pytest.mark.parametrize("page", _PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _PAGES[page]):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        linked = ((_ROOT / page).parent / path).resolve() if path else _ROOT / page
        assert linked.is_file(), target
        headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        assert not heading or heading in [each.lower().replace(" ", "-") for each in headings], target


def test_the_calls_with_curl_run_in_their_order(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = "set -eu\n" + "\necho\n".join(_blocks("bash")).replace("\ncurl", "\necho; curl")
    said = [json.loads(line) for line in _run(["bash", "-c"], script, tmp_path).splitlines() if line]
    # The first call's answer went into $job.
    assert [each["status"] for each in said] == ["IN_PROGRESS", "COMPLETED", "CANCELLED", "IN_QUEUE"]


@pytest.mark.parametrize("number", range(4))
def test_the_calls_from_python_run(number: int, tmp_path: Path) -> None:
    more = {}
    if "boto3" in _blocks("python")[number]:
        more = dict.fromkeys(NAMES, "any") | {"BUCKET_ENDPOINT_URL": "https://s3.example"}
    said = _run([sys.executable, "-c"], _blocks("python")[number], tmp_path, **more)
    if more:
        asked = parse_request(json.loads(said)["input"])
        assert asked.upload_url is not None and "X-Amz-Signature" in asked.upload_url
        assert "content-type" not in asked.upload_url.lower() and set(asked.artifact_upload_urls) == {"report"}
    elif "base64" in _blocks("python")[number]:
        assert (tmp_path / "result.mp4").read_bytes() == b"v"
    else:
        assert _OUTPUT["video_url"] in said
    assert len(_blocks("python")) == 4


def test_the_calls_from_javascript_run(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (block,) = _blocks("javascript")
    assert "survey 12.5\n" + _OUTPUT["video_url"] in _run(["node", "--input-type=module", "-e"], block, tmp_path)
