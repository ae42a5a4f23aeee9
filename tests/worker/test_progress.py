"""The last lines that a local user reads, and the errors that every caller reads."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.errors import EncodeFailed, InvalidInput
from tests.support.report_job import made_facts
from worker.error_answers import error_answer
from worker.output import PeopleAnswer, ResultFiles, plain_sentence, with_files
from worker.progress import STAGE_SHARE, JobPercent, local_summary

_LINK = "https://store.example/understudy/a/result.mp4?X-Amz-Signature=abc"


def _result_lines(files: ResultFiles) -> list[str]:
    summary = local_summary(with_files(made_facts(frames=3), files))
    return [line for line in summary.splitlines() if line.startswith("Result: ")]


def test_the_summary_names_the_result_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    local = tmp_path / "outputs" / "a" / "result.mp4"
    local.parent.mkdir(parents=True)
    local.touch()
    assert _result_lines(ResultFiles(video_url="outputs/a/result.mp4")) == [f"Result: {local}"]
    # A link is of use only as it is, with its signature.
    assert _result_lines(ResultFiles(video_url=_LINK)) == [f"Result: {_LINK}"]
    assert _result_lines(ResultFiles(video_url="s3://vol/a/result.mp4")) == ["Result: s3://vol/a/result.mp4"]
    assert _result_lines(ResultFiles(video_base64="AAAA")) == ["Result: in the answer above, as base64"]
    stills = ResultFiles(artifacts={"frame": [_LINK, _LINK]})
    assert _result_lines(stills) == [f"Result: {_LINK}"] * 2


def test_a_clip_without_people_has_no_stills_to_name() -> None:
    answer = PeopleAnswer(
        preset="preview", people=(), frames=3, duration_s=0.1, width=64, height=36, timings_s={}, warnings=()
    )
    assert local_summary(answer) == "No people were found in the clip"


def test_an_error_has_its_own_line_and_can_be_parsed() -> None:
    answer = error_answer(InvalidInput("must be an integer, got true", field="seed"))
    assert answer.error == "seed: must be an integer, got true [INVALID_INPUT]"
    assert plain_sentence(answer.error, answer.error_code, answer.field) == "must be an integer, got true"
    answer = error_answer(InvalidInput("no"))
    assert answer.error == "no [INVALID_INPUT]" and plain_sentence(answer.error, "INVALID_INPUT") == "no"


@pytest.mark.parametrize("path", ["/tmp/understudy/job-1/result.mp4", "/app/weights/sd15", "/runpod-volume/a b/c"])
def test_no_path_of_the_worker_goes_to_a_caller(path: str) -> None:
    told = error_answer(EncodeFailed(f"[Errno 22] Invalid argument: '{path}'")).error
    assert path not in told and "/tmp" not in told and "/app" not in told and "/runpod" not in told
    kept = "only http(s) URLs; 1/2 of it; and/or; https://x.example/a/b; /run"
    assert error_answer(EncodeFailed(kept)).error == f"{kept} [ENCODE_FAILED]"


def test_the_percentage_advances_in_every_stage_and_never_falls() -> None:
    percent = JobPercent()
    shown = [percent.update("open", 5, 10)]
    # The generator runs beside the plate and the scene.
    for stage, done in [
        ("survey", 10),
        ("split_screen", 5),
        ("plate", 5),
        ("perform", 5),
        ("plate", 10),
        ("scene", 5),
        ("scene", 10),
    ]:
        shown.append(percent.update(stage, done, 10))
    assert shown[0] == 0.0 and all(before < after for before, after in pairwise(shown))
    left = STAGE_SHARE["perform"] / 2 + STAGE_SHARE["finish"]
    assert shown[-1] == pytest.approx(100 * (1 - left))
    # A stage that is done again, and one that nobody knows, take nothing back.
    assert percent.update("plate", 1, 10) == percent.update("deliver", 0, 1) == shown[-1]
    assert percent.update("finish", 10, 10) == pytest.approx(100.0)


def test_a_resumed_job_counts_the_stages_that_were_done_before() -> None:
    assert JobPercent().update("finish", 0, 10) == pytest.approx(100 * (1 - STAGE_SHARE["finish"]))
