"""A warning about the times at which what the subject carries was not recognized."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import seconds_of, times_of

_AROUND_SECONDS = 1.5
"""What is carried before and after is carried in between."""
_LEAST_SHARE = 0.4
"""Of its usual area around a frame: less is a part of it, or nothing."""
_LEAST_AREA = 0.002
"""Of the subject's: smaller areas come and go by chance."""
_LEAST_SECONDS = 0.06
"""A single frame passes unnoticed at the usual rates."""


def carried_doubts(series: Mapping[str, NDArray[np.float64]], info: VideoInfo) -> tuple[str, ...]:
    """Return one sentence with the times, or nothing.

    ``series`` are (N,) figures over the replaced frames, of ``QualityMeter``: ``frame``, ``carried_px`` (held objects),
    ``things_px`` (those and objects that move on their own) and ``old_px``.
    """
    frames = series["frame"].astype(np.int64)
    carried = _over_time(frames, series["carried_px"], info)
    things = _over_time(frames, series["things_px"], info)
    least_px = _LEAST_AREA * _over_time(frames, series["old_px"], info)
    is_replaced = np.zeros(info.num_frames, np.bool_)
    is_replaced[frames] = True
    reach = max(1, round(_AROUND_SECONDS * float(info.frame_rate or 30)))
    lost = np.zeros(info.num_frames, np.bool_)
    for frame in frames.tolist():
        usual = min(
            _usual(carried[max(0, frame - reach) : frame], least_px[frame]),
            _usual(carried[frame + 1 : frame + 1 + reach], least_px[frame]),
        )
        lost[frame] = things[frame] < _LEAST_SHARE * usual
    runs = [run for run in true_runs(lost & is_replaced) if seconds_of(run, info) >= _LEAST_SECONDS]
    if not runs:
        return ()
    return (f"what the subject carries was not recognized {times_of(runs, info)}: it may be missing or cut there",)


def _usual(areas: NDArray[np.float64], least_px: float) -> float:
    """Return the typical area of what is carried; 0 where nothing is in most frames."""
    seen = areas > least_px
    if len(areas) == 0 or 2 * np.count_nonzero(seen) < len(areas):
        return 0.0
    return float(np.median(areas[seen]))


def _over_time(frames: NDArray[np.int64], values: NDArray[np.float64], info: VideoInfo) -> NDArray[np.float64]:
    every = np.zeros(info.num_frames)
    every[frames] = values
    return every
