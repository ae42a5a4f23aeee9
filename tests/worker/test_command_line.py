"""The worker's command line: nothing unknown is ignored."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pipeline.errors import InvalidInput
from tests.support.job_runner import ROOT
from worker.command_line import parse_arguments

_JOB = '{"input": {"video_url": "clip.mp4"}}'


@pytest.mark.parametrize(
    ("words", "field", "told"),
    [
        (["clip.mp4"], "clip.mp4", "--test_input"),
        (["--chekc"], "--chekc", "did you mean --check?"),
        (["--tset_input", _JOB], "--tset_input", "did you mean --test_input?"),
        (["--rp_log_levle=INFO"], "--rp_log_levle=INFO", "did you mean --rp_log_level?"),
        (["-x"], "-x", "unknown option"),
        (["segmnt.count=3"], "segmnt.count", "did you mean segment.count?"),
        (["segment.cuont=3"], "segment.cuont", "did you mean segment.count?"),
        (["presett=preview"], "presett", "did you mean preset?"),
        (["~plate"], "~plate", "not added or removed"),
        (["~plate=off"], "~plate", "not added or removed"),
        (["+x=1"], "+x", "not added or removed"),
        (["++segment.count=1"], "++segment.count", "not added or removed"),
        (["hydra.run.dir=/tmp"], "hydra.run.dir", "unknown setting"),
        (["hydra/launcher=x"], "hydra/launcher", "unknown setting"),
        (["--rp_api_port", "many"], "--rp_api_port", "int"),
        (["--rp_api_concurrency", "2"], "--rp_api_concurrency", "1"),
        (["--test_input"], "--test_input", "one argument"),
    ],
)
def test_unknown_words_are_refused_with_the_nearest_known_one(words: list[str], field: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_arguments(["handler.py", *words], {})
    assert caught.value.field == field and told in caught.value.message


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("UNDERSTUDY_LOCKED", "output.codek", "did you mean output.codec?"),
        ("UNDERSTUDY_LOCKED", "segment.count, a;b", "not a setting that a job may change"),
        ("UNDERSTUDY_LOCKED", "preset", "not a setting that a job may change"),
        ("UNDERSTUDY_LOCKED", "limits.max_frames", "not a setting that a job may change"),
        ("UNDERSTUDY_OVERRIDES", "~plate", "not added or removed"),
        ("UNDERSTUDY_OVERRIDES", "hydra.run.dir=/x", "unknown setting"),
        ("UNDERSTUDY_OVERRIDES", "segmnt.count=3", "did you mean segment.count?"),
        ("UNDERSTUDY_OVERRIDES", "segment.count=99", "segment.count: must be at most 12"),
        ("UNDERSTUDY_OVERRIDES", "output=losles", "output"),
        ("UNDERSTUDY_OVERRIDES", "preset=nope", "preset"),
        ("UNDERSTUDY_OVERRIDES", "word", "not added or removed"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_arguments(["handler.py"], {variable: value})
    assert caught.value.field == variable and told in caught.value.message


def test_known_words_are_accepted() -> None:
    words = [
        "preset=preview",
        "output=lossless",
        "limits.max_frames=9",
        "--rp_serve_api",
        "--rp_api_port=8001",
        "plate=off",
    ]
    arguments = parse_arguments(["handler.py", *words, "--rp_log_level", "WARN"], {"UNDERSTUDY_LOCKED": "output.codec"})
    assert arguments is not None and arguments.origin == "api" and arguments.locked == ("output.codec",)
    assert arguments.overrides == ("output=lossless", "limits.max_frames=9", "plate=off")
    assert arguments.for_sdk == ("--rp_serve_api", "--rp_log_level", "WARN", "--rp_api_port", "8001")


def test_a_typing_error_runs_nothing_and_exits_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "handler.py", "--chekc"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2 and "--check" in done.stderr and not done.stdout
