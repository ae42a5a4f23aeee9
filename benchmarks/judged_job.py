"""Run a job on a clip, and the figures that need only the job's own files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from benchmarks import figures
from benchmarks.picture_figures import RegionArea, changed_outside
from conf import compose_settings
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.models.loaded import load_models
from pipeline.request import JobRequest, SubjectChoice
from pipeline.result import JobResult
from pipeline.run import run_job
from worker.input import Artifact

ARTIFACTS: tuple[str, ...] = get_args(Artifact)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    name: str
    value: str
    aim: str
    passed: bool | None
    """None where there is no aim."""


def run(
    clip: Path,
    folder: Path,
    *overrides: str,
    artifacts: tuple[str, ...] = ARTIFACTS,
    subject: SubjectChoice = "largest",
) -> JobResult:
    """Run a job on a clip, results under ``folder``; ``overrides`` may begin with ``preset=NAME`` (default:
    preview)."""
    preset = "preview"
    if overrides and overrides[0].startswith("preset="):
        preset = overrides[0].removeprefix("preset=")
        overrides = overrides[1:]
    settings = compose_settings(preset, overrides)
    with tempfile.TemporaryDirectory(dir=folder) as workspace:
        return run_job(
            JobRequest(clip, folder / "out", artifacts=artifacts, subject=subject),
            settings,
            load_models(settings),
            Path(workspace),
        )


def video_of(result: JobResult) -> Path:
    """Return the path of a result's video, which every job of a benchmark has."""
    assert result.video is not None
    return result.video


def judge_planes(clip: Path, result: JobResult, out: Path, truth: figures.Truth | None) -> Iterator[Figure]:
    area = RegionArea()
    differ = 0
    pairs = zip(
        open_clip(clip).frames(),
        open_clip(video_of(result)).frames(),
        read_artifact(out / "edit_region.mkv"),
        read_artifact(out / "layer.mkv"),
        read_artifact(out / "mask.mkv"),
        strict=True,
    )
    for source, made, region, layer, mask in pairs:
        differ += changed_outside(source.planes, made.planes, region)
        area.add(region, truth.masks[source.index] if truth is not None else mask > 0, layer[..., 3])
    of = "" if truth is not None else f", {clip.name}"
    yield Figure(f"P1: samples that differ outside the edit region, lossless{of}", str(differ), "0", differ == 0)
    yield at_most(f"P1: area of the region / (subject ∪ new layer){of}", area.ratio, 2.0, 2)
    if truth is not None:
        yield at_most("source weight left over the true subject, %", area.source_left_percent, 0.5, 3)


def at_most(name: str, value: float, aim: float, digits: int) -> Figure:
    return Figure(name, f"{value:.{digits}f}", f"≤ {aim:.3g}", bool(value <= aim))


def at_least(name: str, value: float, aim: float, digits: int) -> Figure:
    return Figure(name, f"{value:.{digits}f}", f"≥ {aim:.3g}", bool(value >= aim))
