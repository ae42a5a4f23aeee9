"""Warnings about frames whose background fits badly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import seconds_of, times_of

POOR_FIT = 0.65
"""Fit below which a background shows another place, or is much softer than the frame; see ``maths.similarity``."""
MUCH_UNSEEN = 0.08
"""Visible inpainted background relative to the subject's area: a strip as wide as a forearm beside them."""
_LEAST_SECONDS = 0.1
"""A shorter time is not noticeable."""


def plate_doubts(series: Mapping[str, NDArray[np.float64]], info: VideoInfo) -> tuple[str, ...]:
    """Return one sentence per kind of background defect, with the times; empty where all are good.

    ``series`` are (N,) figures over the replaced frames, of ``QualityMeter``: ``frame``, ``plate_fit`` (NaN where
    unknown), ``unseen_px`` and ``old_px``.
    """
    fit = np.full(info.num_frames, np.nan)
    unseen = np.zeros(info.num_frames)
    frames = series["frame"].astype(np.int64)
    fit[frames] = series["plate_fit"]
    unseen[frames] = series["unseen_px"] / np.maximum(series["old_px"], 1.0)
    lines = []
    poor = _long_runs(np.nan_to_num(fit, nan=1.0) < POOR_FIT, info)
    if poor:
        lines.append(f"the background put in the subject's place does not fit what surrounds it {times_of(poor, info)}")
    invented = _long_runs(unseen > MUCH_UNSEEN, info)
    if invented:
        lines.append(
            f"part of the background beside the new person was never shown by any frame and was filled in"
            f" {times_of(invented, info)}"
        )
    return tuple(lines)


def _long_runs(frames: NDArray[np.bool_], info: VideoInfo) -> list[tuple[int, int]]:
    return [run for run in true_runs(frames) if seconds_of(run, info) >= _LEAST_SECONDS]
