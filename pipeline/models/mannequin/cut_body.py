"""A person whom the lower border of a reference picture cuts off: what is below it is guessed, not measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT

_EARS_TO_SHOULDERS = 0.44
"""Ratio of the vertical distance from ears to shoulders to the trunk's length, of BlazePose's joints (0.42 to 0.46 for
three rendered people seen whole)."""
_NEAR_BORDER = 0.1
"""Trunk lengths above the border within which hips are not seen but guessed, and guessed inside of the picture."""
_LEAST_CONFIDENCE = 0.3
_LOW = ("knee", "ankle", "heel", "toe")


def with_guesses_hung(skeleton: Float64Array, joints: Float64Array, cut_row: float) -> Float64Array:
    """Return a skeleton (23, 3) without legs that are below the border at ``cut_row``, and with hips at their height.

    A landmark model draws joints that are outside of the picture into it: a portrait would get a short trunk. There the
    trunk's length follows from the head. Legs that are not seen become NaN: they hang.
    """
    out = skeleton.copy()
    shoulders, hips, ears = (
        skeleton[[JOINT[f"{side}_{part}"] for side in ("left", "right")]].mean(0) for part in ("shoulder", "hip", "ear")
    )
    down = (hips - shoulders)[:2]
    trunk = float(np.hypot(*down))
    expected = float(shoulders[1] - ears[1]) / _EARS_TO_SHOULDERS
    if hips[1] > cut_row - _NEAR_BORDER * trunk and np.isfinite(expected) and 0 < trunk < expected:
        shift = down * (expected / trunk - 1)
        for part in ("hip", *_LOW):
            out[[JOINT[f"{side}_{part}"] for side in ("left", "right")], :2] += shift
    for side in ("left", "right"):
        rows = [JOINT[f"{side}_{part}"] for part in _LOW]
        knee = joints[rows[0]]
        if not (knee[2] >= _LEAST_CONFIDENCE and knee[1] < cut_row):
            out[rows] = np.nan
        elif not joints[rows[1], 1] < cut_row:
            out[rows[1:]] = np.nan
    return out


def measurable(skeleton: Float64Array, size_wh: tuple[int, int], cut_row: float) -> Float64Array:
    """Return the skeleton (23, 3) with NaN for joints outside of the picture: their places say nothing of lengths."""
    x, y = skeleton[:, 0], skeleton[:, 1]
    outside = ~((x >= 0) & (x < size_wh[0]) & (y >= 0) & (y < min(size_wh[1], cut_row)))
    return np.where(outside[:, None], np.nan, skeleton)


def end_of_picture(mask: NDArray[np.bool_], picture_ends: bool) -> float:
    """Return the row at which the picture cuts a person's mask (h, w) off; infinity where it does not."""
    return float(np.flatnonzero(mask.any(1))[-1] + 1) if picture_ends else float("inf")
