"""Blurred copies around the picture: what the user is told about them."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Overlays
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import times_of


def copies_told(overlays: Overlays | None, info: VideoInfo) -> tuple[str, ...]:
    """Return a warning about blurred copies that cannot follow the picture."""
    if overlays is None or overlays.copies is None:
        return ()
    unknown = np.zeros(info.num_frames, np.bool_)
    for first, last in overlays.borders[overlays.copies[:, -1] == 0, :2].tolist():
        unknown[first : last + 1] = True
    if not unknown.any():
        return ()
    times = times_of(true_runs(unknown), info)
    return (f"the blurred copy of the picture around it {times} is left as it is, and shows the original person",)
