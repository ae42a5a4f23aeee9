"""The trunk's lean towards the camera, which a landmark model confuses with what the arms do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.maths.smoothing import smoothstep

WINDOW_SECONDS = 3.0
KEPT = 0.2
"""Fraction kept of a lean's difference from what is usual around it. On walk_a the RMS error of the shoulders' depth
relative to the hips' falls from 1.6 to 0.7 % of body height: an arm stretched out towards the camera had tipped the
trunk back by 4 % for 24 frames."""
FORESHORTENED = (0.88, 0.95)
"""Length of the trunk in the picture, relative to its upper quantile: below the first value it truly leans towards the
camera or away from it, from the second on it is upright within 18 degrees."""
SIDEWAYS = (0.9, 0.96)
"""Cosine of the trunk's lean within the picture, likewise."""
LENGTH_QUANTILE = 0.8
LEAST_FRAMES = 5
_LOWER = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "heel", "toe")]
_UPPER = [row for row in range(len(JOINT)) if row not in _LOWER]


def with_steady_trunk(
    skeletons: NDArray[np.float64], pts_seconds: NDArray[np.float64], body_height_px: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return skeletons (T, 23, 3) px of one run of frames, the upper bodies shifted in z towards their usual lean.

    How far the shoulders are before the hips is nearly invisible in a single picture of somebody upright, while over
    ``WINDOW_SECONDS`` its median is reliable. A trunk that the picture shows foreshortened or tilted keeps its lean.
    """
    trunk = skeletons[:, SHOULDERS].mean(axis=1) - skeletons[:, HIPS].mean(axis=1)
    length = np.hypot(trunk[:, 0], trunk[:, 1]) / body_height_px
    lean = trunk[:, 2] / body_height_px
    known = np.isfinite(lean) & (length > 0)
    if not known.any():
        return skeletons
    whole = float(np.quantile(length[known], LENGTH_QUANTILE))
    cosine = -trunk[:, 1] / body_height_px / np.where(known, length, 1.0)
    upright = _ramp(length / whole, FORESHORTENED) * _ramp(cosine, SIDEWAYS) * known
    first = np.searchsorted(pts_seconds, pts_seconds - WINDOW_SECONDS / 2)
    last = np.searchsorted(pts_seconds, pts_seconds + WINDOW_SECONDS / 2, side="right")
    shift = np.zeros(len(skeletons))
    for i in np.flatnonzero(upright > 0):
        near = lean[first[i] : last[i]][upright[first[i] : last[i]] > 0.5]
        if len(near) >= LEAST_FRAMES:
            shift[i] = upright[i] * (1 - KEPT) * (float(np.median(near)) - lean[i]) * body_height_px[i]
    steady = skeletons.copy()
    steady[:, _UPPER, 2] += shift[:, None]
    return steady


def _ramp(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    low, high = bounds
    return np.asarray(smoothstep((np.nan_to_num(values) - low) / (high - low)))
