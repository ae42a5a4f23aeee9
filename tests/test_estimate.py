from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from conf import compose_settings
from pipeline.estimate import (
    PART_COSTS,
    estimate,
    estimate_lines,
    generation_share,
    part_costs,
    planned_chunks,
    seconds_of_job,
)
from pipeline.media.decode import open_clip
from tests.support.clip_info import video_info
from tests.support.job_runner import ROOT, WALK, Runner
from worker.progress import JobPercent


@pytest.mark.parametrize("preset", ["preview", "fast", "balanced", "high"])
def test_an_estimate_needs_no_weights_no_gpu_and_no_destination(tmp_path: Path, preset: str) -> None:
    runner = Runner(tmp_path)
    answer = runner.answer({"video_url": str(WALK), "mode": "estimate", "preset": preset})
    told = answer["estimate"]
    assert "video_url" not in answer and answer["preset"] == preset
    assert told["frames"] > 100 and told["windows"] > 0
    if preset == "preview":
        assert told["tflop"] == 0 and set(told["seconds"]) == {"CPU"}
    else:
        assert told["tflop"] > 100 and told["generator_calls"] > told["frames"]
        assert 0 < told["cost_usd"]["A40"][0] < told["cost_usd"]["A40"][2] < 1
    if preset == "preview":
        runner.does_a_good_job()


def test_an_estimate_follows_the_settings(tmp_path: Path) -> None:
    runner = Runner(tmp_path)

    def tflop(**more: object) -> float:
        job = {"video_url": str(WALK), "mode": "estimate", "preset": "fast", **more}
        return float(runner.answer(job)["estimate"]["tflop"])

    assert tflop(overrides={"generate.steps": 10}) > 1.5 * tflop()
    assert tflop(overrides={"generate.guidance": 3.0}) > 1.5 * tflop()
    assert tflop(end_s=1.0) < 0.5 * tflop()
    assert runner.answer({"video_url": str(WALK), "mode": "estimate", "artifacts": ["mask"]})["field"] == "artifacts"


def test_mattes_and_the_safety_checker_are_counted_for_every_generated_frame() -> None:
    info = video_info(300)
    beside = json.loads(PART_COSTS.read_text())["beside"]
    for preset in ("fast", "wan"):
        settings = compose_settings(preset)
        unchecked = compose_settings(preset, ("generate.safety=false",))
        safety = estimate(info, settings).tflop - estimate(info, unchecked).tflop
        # Also in the frames at which windows and chunks meet, up to a fifth more.
        assert 0.99 < safety / (300 * beside["safety"]) < 1.2
    generator = 300 * part_costs(compose_settings("fast").generate)["unet"] * 3
    assert estimate(info, compose_settings("fast")).tflop > generator + 300 * (2 * beside["people"] + beside["safety"])


def test_an_estimate_ends_in_sentences_on_a_terminal() -> None:
    asked = {"input": {"video_url": str(WALK), "mode": "estimate", "preset": "high"}}
    command = [sys.executable, "handler.py", "--test_input", json.dumps(asked)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.search(r"^A40: about \d+ s \(\d+ to \d+\), 0\.\d+ US dollars", done.stderr, re.MULTILINE), done.stderr


def test_a_job_that_cannot_end_in_time_is_measured_by_what_the_generator_takes() -> None:
    quick = ("limits.seconds_per_megapixel=0.01",)
    info = open_clip(WALK, compose_settings("high").limits).info
    times = {name: seconds_of_job(info, compose_settings(name, quick)) for name in ("preview", "fast", "high")}
    assert times["preview"][1] < 1 < times["fast"][0] < times["high"][0]
    assert all(quickest < expected for quickest, expected in times.values())


def test_small_pictures_take_their_time_too() -> None:
    info = open_clip(WALK, compose_settings("preview").limits).info
    tiny = replace(info, width=64, height=36)
    settings = compose_settings("preview")
    usual = estimate(info, settings).other_stages_s
    assert 0.5 * usual < estimate(tiny, settings).other_stages_s < usual


def test_the_bar_moves_while_the_generator_works() -> None:
    """Of a minute on the GPU the bar shows most, whatever the shares of the other stages are."""
    assert generation_share(compose_settings("preview")) == 0
    share = generation_share(compose_settings("high"))
    assert 0.7 < share < 1
    percent = JobPercent(share)
    begin = percent.update("perform", 0, 100)
    end = percent.update("perform", 100, 100)
    assert end - begin > 70 and percent.update("finish", 1, 1) == pytest.approx(100)


def test_an_estimate_of_shared_chunks_has_both_times() -> None:
    """Frame by frame: what three workers draw in a third of the rounds, rounded up."""
    info = video_info(1800)
    settings = compose_settings("fast", ("segment.count=1", "composite.crossfade=false"))
    chunks = len(planned_chunks(info, settings.segment))
    rounds = -(-chunks // 3) / chunks
    assert chunks in (15, 16)
    alone = estimate(info, settings)
    told = estimate(info, settings, workers=3)
    shared = told.fan_out
    assert alone.fan_out is None and shared is not None and shared.workers == 3
    assert told.model_copy(update={"fan_out": None}) == alone
    for gpu in ("A40", "H100"):
        for before, after in zip(alone.seconds[gpu], shared.seconds[gpu], strict=True):
            card = before - alone.other_stages_s
            assert after == pytest.approx(alone.other_stages_s + card * rounds, abs=0.2)
        # The work is the same, and somebody has to begin with it.
        assert all(after > before for before, after in zip(alone.cost_usd[gpu], shared.cost_usd[gpu], strict=True))
    assert len(estimate_lines(told)) == 2 * len(estimate_lines(alone)) - 1
    assert estimate(video_info(30), settings, workers=9).fan_out.workers == 1
    mannequin = estimate(info, compose_settings("preview"), workers=4)
    assert mannequin.fan_out.seconds["CPU"] < mannequin.seconds["CPU"] and mannequin.fan_out.cost_usd == {}


def test_an_estimate_counts_every_subject(tmp_path: Path) -> None:
    info = video_info(1800)
    settings = compose_settings("fast")
    one = estimate(info, settings)
    two = estimate(info, settings, subjects=2)
    # The people are found in the source once; all else is done for each.
    found = 1800 * json.loads(PART_COSTS.read_text())["beside"]["people"]
    assert (two.windows, two.tflop) == (2 * one.windows, pytest.approx(2 * one.tflop - found, abs=0.2))
    # The clip is read, its camera and background are found once.
    assert one.other_stages_s < two.other_stages_s < 2 * one.other_stages_s
    assert seconds_of_job(info, settings, subjects=2) > seconds_of_job(info, settings)

    job = {"video_url": str(WALK), "mode": "estimate", "preset": "fast"}
    people = [{"subject": 0, "prompt": "a man in a green shirt"}, {"subject": 1, "prompt": "a woman in a white shirt"}]
    runner = Runner(tmp_path)
    told = [runner.answer({**job, **more})["estimate"]["windows"] for more in ({}, {"subjects": people})]
    assert told[1] == 2 * told[0]
