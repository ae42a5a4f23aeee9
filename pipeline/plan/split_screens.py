"""Split screens: what the user is told about them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import times_of


def split_screens_told(split_screens: NDArray[np.int64] | None, info: VideoInfo) -> tuple[str, ...]:
    """Return warnings about shots that show two videos at once, ``Survey.split_screens``."""
    if split_screens is None:
        return ()
    shown: dict[str, NDArray[np.bool_]] = {}
    for first, last, x0, y0, x1, y1 in split_screens.tolist():
        place = _place((x0, y0, x1, y1), info.size_wh)
        shown.setdefault(place, np.zeros(info.num_frames, np.bool_))[first : last + 1] = True
    return tuple(
        f"two videos are shown at once {times_of(true_runs(frames), info)}: the person is replaced in the {place} one, "
        "and nothing is changed in the other; a point within the other selects a person there"
        for place, frames in shown.items()
    )


def _place(box: tuple[int, int, int, int], size_wh: tuple[int, int]) -> str:
    x0, y0, x1, y1 = box
    if (x1 - x0, y1 - y0) == size_wh:
        return "large"
    if x1 - x0 < size_wh[0] and y1 - y0 < size_wh[1]:
        return "small"
    if x1 - x0 == size_wh[0]:
        return "upper" if y0 == 0 else "lower"
    return "left" if x0 == 0 else "right"
