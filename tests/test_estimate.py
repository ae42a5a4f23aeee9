from __future__ import annotations

from pathlib import Path

import pytest

from tests.job_runner import WALK, Runner


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
    runner.does_a_good_job()


def test_an_estimate_follows_the_settings(tmp_path: Path) -> None:
    runner = Runner(tmp_path)

    def tflop(**more: object) -> float:
        job = {"video_url": str(WALK), "mode": "estimate", "preset": "fast", **more}
        return float(runner.answer(job)["estimate"]["tflop"])

    assert tflop(overrides={"generate.steps": 8}) > 1.5 * tflop()
    assert tflop(overrides={"generate.guidance": 3.0}) > 1.5 * tflop()
    assert tflop(end_s=1.0) < 0.5 * tflop()
    assert runner.answer({"video_url": str(WALK), "mode": "estimate", "artifacts": ["mask"]})["field"] == "input"
