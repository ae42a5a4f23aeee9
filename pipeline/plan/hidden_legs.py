"""Occluded legs: discard the model's guesses and fill them in from the steps before and after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.joints import HIPS, JOINT, NUM_JOINTS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import fill_gaps, true_runs

LEGS = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle", "heel", "toe")]
ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]
SHORT, SHORTER = 0.93, 0.72
"""Length of the longer leg, hip to knee to ankle, relative to the usual one. Below the first value it is rejected where
both ankles' confidence is low, below the second always: behind a planter the man of walk_d keeps 0.4 to 0.6 of it at a
confidence of up to 0.99; a bent leg keeps the lengths of its parts, and of two legs that swing towards the camera one
is standing."""
LOW_CONFIDENCE = 0.5
USUAL_QUANTILE = 0.7
HIP_HEIGHT_BH = 0.1
"""Tolerance of the hips' height above the feet before and after: someone who sits down or jumps exceeds it."""
LEAST_STANDING = 0.8
MAX_SECONDS = 1.5
LEAST_SECONDS = 0.1
WALKING_BH_PER_S = 0.25
FILLED_CONFIDENCE = 0.4
"""High enough for a contact to start, although the foot itself is not visible."""


def with_hidden_legs(
    together: NDArray[np.float64],
    found: NDArray[np.bool_],
    world: Transforms,
    heights: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return joints and skeletons (T, 21 + 23, 3) of one run, xy in ``world``, with occluded legs filled in.

    ``found`` (T,) are the frames in which they were measured, ``heights`` (T,) standing heights in source px.
    """
    measured = np.where(found[:, None, None], together, np.nan)
    # Each frame's body height, as long as it is in ``world``.
    origin = apply_transform(invert(world), np.nan_to_num(measured[:, HIPS, :2].mean(axis=1)))
    ends = np.stack([origin, origin + np.column_stack([np.zeros(len(heights)), heights])], axis=1)
    heights_w = np.linalg.norm(np.diff(apply_transform(world, ends), axis=1)[:, 0], axis=1)
    hidden = hidden_legs(measured[:, :NUM_JOINTS], heights_w, seconds)
    if not hidden.any():
        return together
    # Frames of a gap next to hidden ones do not show the legs either.
    unknown = hidden | ~found
    hips = fill_gaps(measured[:, HIPS, :2].mean(axis=1), seconds)
    legs = fill_legs(measured[:, LEGS, :2], hips, unknown, heights_w, seconds)
    filled = together.copy()
    for rows in (LEGS, [NUM_JOINTS + row for row in LEGS]):
        for column, row in enumerate(rows):
            filled[hidden, row, :2] = legs[hidden, column]
    for row in LEGS:
        filled[hidden, row, 2] = FILLED_CONFIDENCE
    return filled


def hidden_legs(
    joints: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return (T,): frames in which both legs are guesses, of one run of joints (T, 21, 3) in ``world``.

    Both legs are too short for the person although the hips are at standing height, and before or after they are not.
    NaN rows (not found) are never among them. ``body_height_px`` (T,) is the standing height in ``world``.
    """
    length = _leg_lengths(joints) / body_height_px[:, None]
    longer = length.max(axis=1)
    known = np.isfinite(longer)
    if np.count_nonzero(known) < 5:
        return np.zeros(len(joints), np.bool_)
    usual = float(np.quantile(longer[known], USUAL_QUANTILE))
    low = np.nan_to_num(joints[:, ANKLES, 2]).max(axis=1) < LOW_CONFIDENCE
    short = known & ((longer < SHORTER * usual) | ((longer < SHORT * usual) & low))
    # Occluders enter and leave gradually: a run continues while the legs are not complete.
    doubted = ~known | (longer < SHORT * usual)
    runs = [(start, stop) for start, stop in true_runs(doubted) if short[start:stop].any()]
    for start, stop in runs:
        short[start:stop] = True
    good = known & ~short
    if not good.any():
        return np.zeros(len(joints), np.bool_)
    # The ground under the person: the lower foot where the legs are visible, linear in between.
    hips = joints[:, HIPS, 1].mean(axis=1)
    foot = np.where(good, joints[:, ANKLES, 1].max(axis=1), np.nan)
    over_ground = (fill_gaps(foot, pts_seconds) - hips) / body_height_px
    stands = np.abs(over_ground - float(np.median(over_ground[good]))) < HIP_HEIGHT_BH
    hidden = np.zeros(len(joints), np.bool_)
    for start, stop in runs:
        seconds = pts_seconds[stop - 1] - pts_seconds[start]
        sure = known[start:stop]
        if LEAST_SECONDS <= seconds <= MAX_SECONDS and np.mean(stands[start:stop][sure]) > LEAST_STANDING:
            hidden[start:stop] = sure
    return hidden


def fill_legs(
    points: NDArray[np.float64],
    hips: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    body_height_px: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return leg points (T, L, 2) with those of the hidden frames filled; ``hips`` (T, 2), all in ``world``.

    Someone who walks keeps the gait cycle: the legs are taken, relative to the hips, from one full stride earlier and
    later. Where the person stands, or the stride is unknown, they are interpolated linearly.
    """
    known = np.where(hidden[:, None, None], np.nan, points)
    filled = fill_gaps(known, pts_seconds)
    apart = (points - hips[:, None]) / body_height_px[:, None, None]
    stride = _stride_seconds(apart, ~hidden, pts_seconds)
    for start, stop in true_runs(hidden):
        before, after = max(start - 1, 0), min(stop, len(points) - 1)
        seconds = max(float(pts_seconds[after] - pts_seconds[before]), 1e-6)
        speed = float(np.linalg.norm(hips[after] - hips[before])) / seconds / float(body_height_px[start])
        if speed < WALKING_BH_PER_S:
            continue
        line = fill_gaps(np.where(hidden[:, None, None], np.nan, apart), pts_seconds)
        for t in range(start, stop):
            step = None if stride is None else _in_step(apart, hidden, pts_seconds, t, stride)
            filled[t] = hips[t] + body_height_px[t] * (line[t] if step is None else step)
    return filled


def _leg_lengths(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2): hip to knee to ankle, left and right."""
    sides = []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, JOINT[f"{side}_{part}"], :2] for part in ("hip", "knee", "ankle"))
        sides.append(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))
    return np.stack(sides, axis=1)


def _stride_seconds(
    apart: NDArray[np.float64], good: NDArray[np.bool_], pts_seconds: NDArray[np.float64]
) -> float | None:
    """Return the stride period: twice the median time from one crossing of the ankles to the next."""
    between = apart[:, 1, 0] - apart[:, 1 + len(LEGS) // 2, 0]
    passings = []
    for t in range(1, len(between)):
        if good[t - 1] and good[t] and (between[t - 1] >= 0) != (between[t] >= 0):
            passings.append(float(pts_seconds[t]))
    steps = np.diff(passings)
    steps = steps[(steps > 0.25) & (steps < 0.9)]
    return 2 * float(np.median(steps)) if len(steps) else None


def _in_step(
    apart: NDArray[np.float64], hidden: NDArray[np.bool_], pts_seconds: NDArray[np.float64], t: int, stride: float
) -> NDArray[np.float64] | None:
    """Return the legs relative to the hips a stride earlier, later or both, weighted by nearness; None where neither is
    visible."""
    found = []
    weights = []
    for count in (-1, 1, -2, 2):
        at = pts_seconds[t] + count * stride
        row = int(np.argmin(np.abs(pts_seconds - at)))
        if abs(pts_seconds[row] - at) < 0.04 and not hidden[row]:
            found.append(apart[row])
            weights.append(1 / abs(count))
        if found and count == 1:
            break
    return np.average(found, axis=0, weights=weights) if found else None
