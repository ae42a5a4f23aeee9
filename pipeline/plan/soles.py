"""Bring the feet's landmarks down to the soles that the mask shows.

A landmark model finds ankles, heels and toes of some people, in some shoes, too high or too low by up to 2.5 % of their
height, in all frames alike. The mask's lower end is where the lower sole is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth

_FEET = np.array([JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "heel", "toe")])
_SOLES = np.array([JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("heel", "toe")])
_CONFIDENT = 0.5
_WHOLE = 0.9
"""Visible fraction of a person whose lower end is the feet's."""
_EDGE_PX = 2.0
_MOST_BH = 0.04
"""A larger distance of the mask from the landmarks has another reason: a shadow in the mask, a hidden foot."""
_LIMITS_BH = (-0.015, 0.025)
_SIGMA_SECONDS = 0.5
"""Steps should not change it, a new distance or direction should."""
_LEAST_FRAMES = 5
_HEIGHT_OF_TRUNK = 3.3


def sole_shift(
    joints: NDArray[np.float32],
    boxes_xyxy: NDArray[np.float64],
    visible: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
    picture_height: int,
) -> NDArray[np.float64]:
    """Return by how many px (T,) the feet's joints lie too high, smooth over time; 0 where too little shows it.

    ``joints`` (T, 21, 3) are those of one shot, ``boxes_xyxy`` (T, 4) the half-open boxes of the masks, ``visible``
    (T,) 0..1. NaN rows are frames without the person.
    """
    nothing = np.zeros(len(joints))
    seen = (joints[:, _FEET, 2] >= _CONFIDENT).all(axis=1) & (visible >= _WHOLE)
    seen &= boxes_xyxy[:, 3] < picture_height - _EDGE_PX
    trunk = joints[:, HIPS, :2].mean(axis=1) - joints[:, SHOULDERS, :2].mean(axis=1)
    height = _HEIGHT_OF_TRUNK * np.linalg.norm(trunk, axis=1).astype(np.float64)
    lowest = joints[:, _SOLES, 1].max(axis=1).astype(np.float64)
    gap = (boxes_xyxy[:, 3] - 1 - lowest) / height
    known = seen & np.isfinite(gap) & (np.abs(gap) < _MOST_BH)
    if np.count_nonzero(known) < _LEAST_FRAMES:
        return nothing
    course = gaussian_smooth(fill_gaps(np.where(known, gap, np.nan), pts_seconds), pts_seconds, _SIGMA_SECONDS)
    smooth = gaussian_smooth(fill_gaps(height, pts_seconds), pts_seconds, _SIGMA_SECONDS)
    return np.clip(course, *_LIMITS_BH) * smooth


def with_lowered_feet(points: NDArray[np.float32], shift_px: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return joints or a skeleton (T, 21+, 3) with ankles, heels and toes moved down by ``shift_px`` (T,)."""
    lowered = points.copy()
    lowered[:, _FEET, 1] += shift_px[:, None].astype(np.float32)
    return lowered
