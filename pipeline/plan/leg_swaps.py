"""Left and right legs that a landmark model exchanged for a few frames."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import HIPS, JOINT, LEGS_OF_SIDE, NUM_JOINTS
from pipeline.maths.smoothing import true_runs

_LEFT = LEGS_OF_SIDE["left"]
_RIGHT = LEGS_OF_SIDE["right"]
_SWITCH_BH = 0.25
"""Cost of an exchange, in body heights by which knees and ankles have to move less smoothly without it."""
_MOST_BH = 0.3
"""Largest cost of one leg in one frame: a single wild landmark decides nothing."""
_LONGEST_SECONDS = 0.2
"""Over longer times it is not known which of the two names is the right one."""
_OUT_OF_STEP_BH = 0.2
_LONGEST_IN_STEP_SECONDS = 0.6
"""Sum of both ankles' distances from the gait, and time: somebody who walks does not change step."""
_PROFILE_BH = 0.1
"""Distance of the hips from each other in the picture above which each leg hangs from its own: models take one for the
other of people seen from the side (distance 0 to 0.08; 0.11 to 0.13 from the front)."""


def exchanged_legs(
    joints: NDArray[np.float64], body_height_px: NDArray[np.float64], seconds: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (T,): frames whose left and right legs are exchanged, of one run of joints (T, 21+, 3) in ``world``.

    Of the two ways of naming the legs in each frame the one is taken along which knees and ankles move most evenly
    (second differences; Viterbi), every change of names at a price. Legs that pass each other go straight on, exchanged
    ones would turn about. Only of people seen from the side, and for a moment. NaN rows (not found) are passed over.
    """
    result = np.zeros(len(joints), np.bool_)
    rows = [JOINT["left_knee"], JOINT["left_ankle"], JOINT["right_knee"], JOINT["right_ankle"]]
    known = np.flatnonzero(np.isfinite(joints[:, rows + HIPS, :2]).all(axis=(1, 2)))
    if len(known) < 4:
        return result
    hips = joints[known][:, HIPS, :2].mean(axis=1, keepdims=True)
    legs = (joints[known][:, rows, :2] - hips) / body_height_px[known, None, None]
    legs = legs.reshape(len(known), 2, 2, 2)
    wide = np.linalg.norm(joints[known, HIPS[0], :2] - joints[known, HIPS[1], :2], axis=1) / body_height_px[known]
    swapped = np.array(_names(_bends(legs)))
    if swapped.mean() > 0.5:
        swapped = ~swapped
    for start, stop in true_runs(swapped):
        frames = known[start:stop]
        is_short = seconds[frames[-1]] - seconds[frames[0]] <= _LONGEST_SECONDS
        result[frames] = is_short and float(np.median(wide[start:stop])) <= _PROFILE_BH
    return result


def out_of_step_exchanged(
    legs: NDArray[np.float64],
    hips: NDArray[np.float64],
    predicted: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return (T,): frames whose ankles, exchanged, are where the gait has them, and otherwise are not.

    ``legs`` (T, 2, L, 2) and ``hips`` (T, 2, 2) in ``world``, ``predicted`` (T, 2, L, 2) relative to the hips in body
    heights, NaN unknown; row 1 of a leg is its ankle. Also for longer than ``exchanged_legs`` dares.
    """
    size = body_height_px[:, None, None]
    expected = hips + size * predicted[:, :, 1]
    straight = np.linalg.norm(legs[:, :, 1] - expected, axis=-1).sum(axis=1) / body_height_px
    crossed = np.linalg.norm(legs[:, ::-1, 1] - expected, axis=-1).sum(axis=1) / body_height_px
    better = (np.nan_to_num(straight) > _OUT_OF_STEP_BH) & (np.nan_to_num(crossed) < 0.5 * np.nan_to_num(straight))
    wide = np.linalg.norm(hips[:, 0] - hips[:, 1], axis=1) / body_height_px
    result = np.zeros(len(legs), np.bool_)
    for start, stop in true_runs(better & (wide <= _PROFILE_BH)):
        result[start:stop] = stop - start > 1 and seconds[stop - 1] - seconds[start] <= _LONGEST_IN_STEP_SECONDS
    return result


def with_legs_exchanged(together: NDArray[np.float64], swapped: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return joints and skeletons (T, 21 + 23, 3) with left and right legs exchanged in some frames (T,)."""
    if not swapped.any():
        return together
    result = together.copy()
    frames = np.flatnonzero(swapped)[:, None]
    for offset in (0, NUM_JOINTS):
        left, right = ([row + offset for row in side] for side in (_LEFT, _RIGHT))
        result[frames, left] = together[frames, right]
        result[frames, right] = together[frames, left]
    return result


def _bends(legs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T - 2, 2, 2, 2): cost of three frames in a row, by whether each one's (T, side, part, 2) legs are exchanged."""
    both = np.stack([legs, legs[:, ::-1]])
    bends = np.empty((len(legs) - 2, 2, 2, 2))
    for a, b, c in product((0, 1), repeat=3):
        bend = np.linalg.norm(both[c, 2:] - 2 * both[b, 1:-1] + both[a, :-2], axis=-1).sum(axis=-1)
        bends[:, a, b, c] = np.minimum(bend, _MOST_BH).sum(axis=-1)
    return bends


def _names(bends: NDArray[np.float64]) -> list[bool]:
    """Return the cheapest naming of each frame: whether its legs are exchanged."""
    switch = _SWITCH_BH * (1 - np.eye(2))
    total = switch.copy()
    came_from: list[NDArray[np.int64]] = []
    for bend in bends:
        # (a, b, c): the cheapest way to the names of the last two frames.
        sums = total[:, :, None] + bend + switch[None]
        best = sums.argmin(axis=0)
        came_from.append(best)
        total = np.take_along_axis(sums, best[None], axis=0)[0]
    b, c = np.unravel_index(int(total.argmin()), total.shape)
    names = [int(c), int(b)]
    for best in reversed(came_from):
        names.append(int(best[names[-1], names[-2]]))
    return [bool(name) for name in reversed(names)]
