"""Every diffusion preset end to end, on the real clip, with the real classes at tiny sizes on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.errors import Cancelled
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.request import JobRequest
from pipeline.result import JobResult
from pipeline.run import run_job, run_stills
from pipeline.settings import Settings
from tests.support.job_runner import WALK_SMALL
from tests.support.models import real_models

_PART = {"start_s": 1.4, "end_s": 1.8}


def _settings(preset: str, *overrides: str) -> Settings:
    small = (*tiny_overrides(preset), "people=blazepose", "output=lossless", "generate.steps=3")
    return compose_settings(preset, (*small, "segment.count=2", "segment.chunk_seconds=0.2", *overrides))


def _job(folder: Path, settings: Settings, *artifacts: str) -> JobResult:
    return run_job(
        JobRequest(WALK_SMALL, folder / "out", artifacts=artifacts, **_PART),
        settings,
        real_models(settings),
        folder / "work",
    )


@pytest.mark.parametrize("preset", ["fast", "balanced", "high"])
def test_a_preset_keeps_the_promises(tmp_path: Path, preset: str) -> None:
    settings = _settings(preset)
    result = _job(tmp_path / "a", settings, "edit_region", "mask", "analysis")
    assert result.video is not None
    source = open_clip(WALK_SMALL, **_PART)
    made = open_clip(result.video)
    assert made.info.num_frames == source.info.num_frames == 12
    assert np.array_equal(made.info.durations, source.info.durations) and made.info.pix_fmt == source.info.pix_fmt
    quality = result.report.quality
    assert quality.changed_outside == 0 and quality.source_left_percent <= 0.5
    regions = list(read_artifact(result.artifacts["edit_region"][0]))
    for a, b, region in zip(source.frames(), made.frames(), regions, strict=True):
        assert np.array_equal(a.planes[0][region == 0], b.planes[0][region == 0])
        assert not np.array_equal(a.planes[0], b.planes[0])
    # Noise contains no person: every matte is the figure's outline, and the report states so.
    assert quality.mattes_propagated == result.report.frames_replaced == 12
    assert _job(tmp_path / "b", settings).video.read_bytes() == result.video.read_bytes()  # type: ignore[union-attr]


def test_a_killed_job_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """The chunk before gives the frames that the next one begins with, and the colors that it is held to."""
    settings = _settings("balanced")
    whole = _job(tmp_path / "whole", settings).video.read_bytes()  # type: ignore[union-attr]

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "perform" and done >= 6:
            raise Cancelled("enough")

    request = JobRequest(WALK_SMALL, tmp_path / "out", **_PART)  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        run_job(request, settings, real_models(settings), tmp_path / "work", progress=stop)
    again = run_job(request, settings, real_models(settings), tmp_path / "work")
    assert again.video is not None and again.video.read_bytes() == whole


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_a_frame_of_each_segment(tmp_path: Path, preset: str) -> None:
    request = JobRequest(WALK_SMALL, tmp_path / "out", **_PART)  # type: ignore[arg-type]
    result = run_stills(request, _settings(preset), real_models(_settings(preset)), tmp_path / "work")
    assert len(result.artifacts["frame"]) == 2 and all(path.stat().st_size for path in result.artifacts["frame"])
