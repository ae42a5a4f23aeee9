"""Occluded legs: discard the model's guesses and fill them in from the steps before and after."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import OFF_MASK_CONFIDENCE
from pipeline.joints import ANKLES, HIPS, JOINT, LEGS_OF_SIDE, NUM_JOINTS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import fill_gaps, true_runs
from pipeline.plan.gait import ANKLE, WALKING_BH_PER_S, make_walk
from pipeline.plan.leg_swaps import exchanged_legs, out_of_step_exchanged, with_legs_exchanged

LEGS = [row for rows in LEGS_OF_SIDE.values() for row in rows]
KNEES = [JOINT["left_knee"], JOINT["right_knee"]]
SHORT = 0.93
SHORTER = 0.72
"""Length of the longer leg, hip to knee to ankle, relative to the usual one. Below the first value it is rejected where
both ankles' confidence is low, below the second always: behind a planter the man of walk_d keeps 0.4 to 0.6 of it at a
confidence of up to 0.99; a bent leg keeps the lengths of its parts, and of two legs that swing towards the camera one
is standing."""
ONE_SHORT = 0.8
BESIDE_SECONDS = 0.3
"""Length of one leg, as above, from which it is hidden alone so long before and after both are."""
LOW_CONFIDENCE = 0.5
USUAL_QUANTILE = 0.7
HIP_HEIGHT_BH = 0.1
"""Tolerance of the hips' height above the feet before and after: someone who sits down or jumps exceeds it."""
LEAST_STANDING = 0.8
AIRBORNE_BH, AIRBORNE_SECONDS = 0.1, 0.6
"""Height of the lower foot above where it is within this time before, and above where it is after: who leaves the
ground with stretched legs draws them up on top. Feet of walkers, also up a slope, are not above both."""
MAX_SECONDS = 1.5
LEAST_SECONDS = 0.1
OUT_OF_STEP_BH = 0.08
"""An ankle this far from where the other steps have it is not this leg's, where something hides the leg just before or
after: landmarks of a hidden leg snap to the visible one. Ankles that are seen mostly stay within half of it."""
BRIDGE_SECONDS = 0.12
"""Between two doubtful moments this close together a leg is not seen either."""
MOST_SHIFT_BH = 0.04
"""Largest correction of the filled steps to those seen before and after: half-hidden ones are off themselves."""
FILLED_CONFIDENCE = 0.4
"""High enough for a contact to start, although the foot itself is not visible."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """How the legs go on where the whole person is not found, by the gait."""

    apart: NDArray[np.float64]
    """(T, 2, L, 2) leg points relative to each leg's own hip, in ``world``; NaN where the gait says nothing."""

    def taken(self, together: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return joints and skeletons (T, 21 + 23, 3) in ``world`` with these steps under the hips that they have."""
        result = together.copy()
        for side, rows in enumerate(LEGS_OF_SIDE.values()):
            frames = np.flatnonzero(np.isfinite(self.apart[:, side]).all(axis=(1, 2)))
            points = together[frames, None, HIPS[side], :2] + self.apart[frames, side]
            for offset in (0, NUM_JOINTS):
                result[frames[:, None], [row + offset for row in rows], :2] = points
        return result


def with_hidden_legs(
    together: NDArray[np.float64],
    found: NDArray[np.bool_],
    world: Transforms,
    heights: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> tuple[NDArray[np.float64], Steps]:
    """Return joints and skeletons (T, 21 + 23, 3) of one run, xy in ``world``, with occluded legs filled in, and the
    steps in frames that are not found.

    Left and right legs that the model exchanged for a moment are exchanged back first. ``found`` (T,) are the frames in
    which they were measured, ``heights`` (T,) standing heights in source px.
    """
    measured = np.where(found[:, None, None], together, np.nan)
    # Each frame's body height, as long as it is in ``world``.
    origin = apply_transform(invert(world), fill_gaps(measured[:, HIPS, :2].mean(axis=1), seconds))
    ends = np.stack([origin, origin + np.column_stack([np.zeros(len(heights)), heights])], axis=1)
    heights_w = np.linalg.norm(np.diff(apply_transform(world, ends), axis=1)[:, 0], axis=1)
    swapped = exchanged_legs(measured[:, :NUM_JOINTS], heights_w, seconds)
    hips = fill_gaps(measured[:, HIPS, :2], seconds)
    for _ in range(2):
        together = with_legs_exchanged(together, swapped)
        measured = with_legs_exchanged(measured, swapped)
        legs = np.stack([measured[:, rows, :2] for rows in LEGS_OF_SIDE.values()], axis=1)
        hidden, predicted = hidden_legs(measured[:, :NUM_JOINTS], legs, hips, heights_w, seconds)
        swapped = out_of_step_exchanged(legs, hips, predicted, heights_w, seconds)
        if not swapped.any():
            break
    # Frames of a gap next to hidden ones do not show the legs either.
    legs, in_step = fill_legs(legs, hips, hidden | ~found[:, None], predicted, heights_w, seconds)
    filled = together.copy()
    for side, rows in enumerate(LEGS_OF_SIDE.values()):
        here = hidden[:, side]
        for column, row in enumerate(rows):
            filled[here, row, :2] = legs[here, side, column]
            filled[here, NUM_JOINTS + row, :2] = legs[here, side, column]
            filled[here, row, 2] = FILLED_CONFIDENCE
    missing = in_step & ~found[:, None]
    return filled, Steps(np.where(missing[..., None, None], legs - hips[:, :, None], np.nan))


def hidden_legs(
    joints: NDArray[np.float64],
    legs: NDArray[np.float64],
    hips: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return where the left and the right leg are guesses, (T, 2), and what the gait has instead, (T, 2, L, 2).

    The latter is NaN where there is no gait. All of one run of ``joints`` (T, 21, 3) in ``world``, with ``legs``
    (T, 2, L, 2) and ``hips`` (T, 2, 2) of them. NaN rows (not found) are never hidden. A leg is a guess where knee or
    ankle lies beside the person's mask, where both legs are too short (``_both_short``) or it alone is just before or
    after, and, next to such frames and to those in which nobody is found, where it is out of step with the rest of the
    walk. Of somebody who neither walks nor stands only what is too short is.
    """
    known: NDArray[np.bool_] = np.asarray(np.isfinite(legs).all(axis=(2, 3)))
    if np.count_nonzero(known[:, 0]) < 5:
        return np.zeros_like(known), np.full_like(legs, np.nan)
    confidence = np.minimum(np.nan_to_num(joints[:, KNEES, 2]), np.nan_to_num(joints[:, ANKLES, 2]))
    is_off_mask = confidence < OFF_MASK_CONFIDENCE + 0.01
    short = _short_beside(joints, body_height_px, _both_short(joints, body_height_px, seconds), is_off_mask, seconds)
    seeds = ~known | is_off_mask | short
    walk = make_walk(legs, hips, body_height_px, seconds)
    predicted = np.full_like(legs, np.nan)
    hidden = _bridged(seeds, seconds)
    for _ in range(2):
        stride = walk.stride_seconds(known & ~hidden)
        if stride is None:
            break
        predicted = walk.in_step(known & ~hidden, stride)
        away = np.linalg.norm(walk.shapes[:, :, ANKLE] - predicted[:, :, ANKLE], axis=-1)
        out_of_step = np.nan_to_num(away) > OUT_OF_STEP_BH
        hidden = _bridged(_grown(hidden, out_of_step), seconds)
    for side in range(2):
        for start, stop in true_runs(hidden[:, side]):
            if seconds[stop - 1] - seconds[start] > MAX_SECONDS:
                hidden[start:stop, side] = short[start:stop, side]
    # Who neither walks nor stands does something of which only the landmarks know.
    is_told = np.isfinite(predicted[:, :, ANKLE, 0]) | short | walk.stands[:, None]
    return hidden & known & is_told, predicted


def _both_short(
    joints: NDArray[np.float64], body_height_px: NDArray[np.float64], seconds: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(T,): both legs are too short for the person although the hips are at standing height, and before or after they
    are not."""
    length = _leg_lengths(joints) / body_height_px[:, None]
    longer = length.max(axis=1)
    known = np.isfinite(longer)
    hidden = np.zeros(len(joints), np.bool_)
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
        return hidden
    # The ground under the person: the lower foot where the legs are visible, linear in between.
    hips = joints[:, HIPS, 1].mean(axis=1)
    foot = np.where(good, joints[:, ANKLES, 1].max(axis=1), np.nan)
    over_ground = (fill_gaps(foot, seconds) - hips) / body_height_px
    stands = np.abs(over_ground - float(np.median(over_ground[good]))) < HIP_HEIGHT_BH
    for start, stop in runs:
        lasts = seconds[stop - 1] - seconds[start]
        sure = known[start:stop]
        if _is_airborne(foot / body_height_px, start, stop, seconds):
            continue
        if LEAST_SECONDS <= lasts <= MAX_SECONDS and np.mean(stands[start:stop][sure]) > LEAST_STANDING:
            hidden[start:stop] = sure
    return hidden


def _short_beside(
    joints: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    both_short: NDArray[np.bool_],
    is_off_mask: NDArray[np.bool_],
    seconds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """(T, 2): ``both_short`` (T,), and just before and after it each leg that alone is too short, or beside the mask
    (``is_off_mask``, (T, 2)): an occluder hides one leg first."""
    if not both_short.any():
        return np.zeros_like(is_off_mask)
    lengths = _leg_lengths(joints) / body_height_px[:, None]
    longer = lengths.max(axis=1)
    usual = float(np.quantile(longer[np.isfinite(longer)], USUAL_QUANTILE))
    doubtful = is_off_mask | (np.nan_to_num(lengths, nan=0.0) < ONE_SHORT * usual)
    moments = seconds[both_short]
    after = np.searchsorted(moments, seconds)
    since = seconds - moments[np.maximum(after - 1, 0)]
    until = moments[np.minimum(after, len(moments) - 1)] - seconds
    away = np.minimum(np.abs(since), np.abs(until))
    doubtful &= (away <= BESIDE_SECONDS)[:, None]
    seeds = np.repeat(both_short[:, None], 2, axis=1)
    return _grown(seeds, _bridged(doubtful, seconds))


def _is_airborne(foot_bh: NDArray[np.float64], start: int, stop: int, seconds: NDArray[np.float64]) -> bool:
    """Say whether the feet are above the ground just before and just after a run of frames; ``foot_bh`` (T,) is the
    lower one's row, NaN unknown."""
    if start == 0 or stop == len(foot_bh):
        return False
    before = foot_bh[(seconds >= seconds[start] - AIRBORNE_SECONDS) & (np.arange(len(foot_bh)) < start)]
    after = foot_bh[(seconds <= seconds[stop - 1] + AIRBORNE_SECONDS) & (np.arange(len(foot_bh)) >= stop)]
    lifted = [np.nanmax(before) - foot_bh[start - 1], np.nanmax(after) - foot_bh[stop]]
    return bool(min(lifted) > AIRBORNE_BH)


def _bridged(flags: NDArray[np.bool_], seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return flags (T, 2) with short pauses between two runs filled."""
    result = flags.copy()
    for side in range(flags.shape[1]):
        for start, stop in true_runs(~flags[:, side]):
            if start > 0 and stop < len(flags) and seconds[stop] - seconds[start - 1] <= BRIDGE_SECONDS + 1e-6:
                result[start:stop, side] = True
    return result


def _grown(seeds: NDArray[np.bool_], doubtful: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the runs of seeds or doubtful frames (T, 2) that contain a seed."""
    result = seeds.copy()
    for side in range(seeds.shape[1]):
        for start, stop in true_runs(seeds[:, side] | doubtful[:, side]):
            result[start:stop, side] = seeds[start:stop, side].any()
    return result


def fill_legs(
    legs: NDArray[np.float64],
    hips: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    predicted: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return ``legs`` (T, 2, L, 2) with those of the ``hidden`` (T, 2) frames filled, and (T, 2) where the gait did it.

    ``hips`` (T, 2, 2), all in ``world``.

    Where it predicts them they are taken from it (``predicted``, relative to the hips, body heights), shifted so
    that they continue what is seen before and after. Elsewhere they are interpolated linearly: relative to the hips of
    somebody who walks, in place where the person stands.
    """
    unknown = np.where(hidden[..., None, None], np.nan, legs)
    filled = fill_gaps(unknown, seconds)
    in_step = np.zeros_like(hidden)
    size = body_height_px[:, None, None]
    for side in range(2):
        apart = (unknown[:, side] - hips[:, side, None]) / size
        line = fill_gaps(apart, seconds)
        for start, stop in true_runs(hidden[:, side]):
            before = max(start - 1, 0)
            after = min(stop, len(legs) - 1)
            lasts = max(float(seconds[after] - seconds[before]), 1e-6)
            middle = hips.mean(axis=1)
            speed = float(np.linalg.norm(middle[after] - middle[before])) / lasts / float(body_height_px[start])
            if speed < WALKING_BH_PER_S:
                continue
            here = slice(start, stop)
            shape = predicted[:, side] + _shift(apart - predicted[:, side], before, after, seconds)
            in_step[here, side] = np.isfinite(shape[here]).all(axis=(1, 2))
            shape = np.where(np.isfinite(shape), shape, line)[here]
            filled[here, side] = hips[here, side, None] + size[here] * shape
    return filled, in_step


def _shift(misfit: NDArray[np.float64], before: int, after: int, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (T, L, 2): the misfit of two frames, NaN where unknown, interpolated between them."""
    ends = np.nan_to_num(misfit[[before, after]])
    length = np.linalg.norm(ends, axis=-1, keepdims=True)
    ends *= np.minimum(1.0, MOST_SHIFT_BH / np.maximum(length, 1e-9))
    share = np.clip((seconds - seconds[before]) / max(float(seconds[after] - seconds[before]), 1e-6), 0, 1)
    return (1 - share[:, None, None]) * ends[0] + share[:, None, None] * ends[1]


def _leg_lengths(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2): hip to knee to ankle, left and right."""
    sides = []
    for side in ("left", "right"):
        hip, knee, ankle = (joints[:, JOINT[f"{side}_{part}"], :2] for part in ("hip", "knee", "ankle"))
        sides.append(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))
    return np.stack(sides, axis=1)
