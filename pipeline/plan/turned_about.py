"""Frames in which a landmark model took somebody's front for their back, or the other way round.

Without its depth a pose can be read in two ways, as the mirrored pair of bodies that throw one silhouette. A model that
sees no face (blurred, dark, looking down) may change from one reading to the other from frame to frame; nobody turns
about as fast as that.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT, NUM_JOINTS, SHOULDERS, SKELETON_NAMES

_LEAST_SHOULDERS_BH, _LEAST_HIPS_BH = 0.08, 0.03
"""Breadths in the picture from which it is certain which side of the body is on which: people seen from the side have
less (up to 0.07), and a model may exchange single joints of theirs."""
_FULL_SHOULDERS_BH = 0.19
"""Breadth of shoulders seen from the front (0.19 to 0.23); a narrower one is a turned trunk."""
_LEAST_TURN_DEGREES = 50.0
_FASTEST_DEGREES_PER_SECOND = 1500.0
"""A figure skater turns five times a second."""
_EXCHANGED_SHARE = 0.75
"""Of the way that all limbs go in one step, what is left with left and right exchanged (0.03 to 0.6 where a model
changes its mind)."""
_TOES_BH, _MOST_TOES_BH = 0.02, 0.04
"""How far toes are below heels, along the trunk, of somebody turned neither to nor from a camera that looks a little
down: 0.03 to 0.09 from the front, -0.04 to 0.02 from the back, whichever way the model reads the body. And the most by
which one frame differs from it."""
_LEAST_SURE_BH = 0.005
"""Difference between two readings from which feet decide: where the model is right they point forwards by 0.012 to
0.038 on the mean, where it is not by -0.002 to 0.004."""
_RIGHT_BH = 0.008
"""Feet that point forwards by more than this are read rightly."""
_THERE_AND_BACK_SECONDS = 0.3
"""Nobody turns about and back in that time."""
_LEAST_FRAMES = 3
_CONFIDENT = 0.5
_LONGEST_BREAK_SECONDS = 0.15
"""Across a longer time without certain frames anybody may have turned."""


def turned_about(
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    body_height_px: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return (T,): frames of one shot's joints (T, 21, 3) and skeletons (T, 23, 3) whose front and back are exchanged.

    Shoulders and hips that point the other way than just before, without time to turn, part the shot in stretches that
    contradict each other. Of those that follow each other without a break, the reading counts in which the feet point
    forwards more, else the one that holds for longer. ``body_height_px`` (T,) may be rough; NaN rows are frames
    without the person.
    """
    result = np.zeros(len(skeletons), np.bool_)
    scale = np.where(np.isfinite(body_height_px), body_height_px, 1.0)[:, None, None]
    points = skeletons[..., :2].astype(np.float64) / scale
    known = np.flatnonzero(np.isfinite(points).all(axis=(1, 2)) & np.isfinite(body_height_px))
    shoulders = points[:, SHOULDERS[0]] - points[:, SHOULDERS[1]]
    hips = points[:, HIPS[0]] - points[:, HIPS[1]]
    broad = np.linalg.norm(shoulders[known], axis=1) >= _LEAST_SHOULDERS_BH
    broad &= np.linalg.norm(hips[known], axis=1) >= _LEAST_HIPS_BH
    certain = known[broad]
    forwards = _feet_forwards(joints, points)
    for chain in np.split(certain, 1 + np.flatnonzero(np.diff(seconds[certain]) > _LONGEST_BREAK_SECONDS)):
        flips = _flips(chain, shoulders, hips, points, seconds)
        if not flips.any():
            continue
        reading = np.concatenate([[0], np.cumsum(flips)]) % 2 == 1
        by_feet = _mean_of_seen(forwards[chain][~reading]) - _mean_of_seen(forwards[chain][reading])
        is_other = by_feet < 0 if abs(by_feet) >= _LEAST_SURE_BH else reading.mean() > 0.5
        if is_other:
            reading = ~reading
        if _mean_of_seen(forwards[chain][reading]) > _RIGHT_BH:
            # Both readings are right: somewhere the person did turn.
            continue
        result[chain] = reading
        between = known[(known > chain[0]) & (known < chain[-1])]
        for frame in np.setdiff1d(between, chain):
            nearest = chain[np.abs(chain - frame).argmin()]
            is_exchanged = _like_exchanged(points[frame], points[nearest]) < 1
            result[frame] = result[nearest] != is_exchanged
    return result


def with_sides_exchanged(
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    limb_edges: NDArray[np.float64],
    turned: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return joints (T, 21, 3), skeletons (T, 23, 3) and limb edges (T, limbs, places, 2) in the other reading where
    ``turned`` (T,): left and right change names, and what was in front of the body's plane is behind it.

    The plane itself stays: how much a trunk leans to the camera comes from how the camera is held, and models say the
    same in both readings.
    """
    if not turned.any():
        return joints, skeletons, limb_edges
    rows = _other_sides()
    joints = np.where(turned[:, None, None], joints[:, rows[:NUM_JOINTS]], joints)
    mirrored = skeletons[:, rows]
    mirrored[..., 2] = 2 * _depth_of_plane(mirrored) - mirrored[..., 2]
    skeletons = np.where(turned[:, None, None], mirrored, skeletons)
    # The left limbs come first, then the right ones.
    other_limbs = np.roll(limb_edges, limb_edges.shape[1] // 2, axis=1)
    return joints, skeletons, np.where(turned[:, None, None, None], other_limbs, limb_edges)


def _depth_of_plane(skeletons: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the depth (T, 23) px, at each joint's height, of the plane through hips and shoulders; the head is above
    the shoulders, not bent on with them."""
    hips = skeletons[:, HIPS].mean(axis=1)
    trunk = skeletons[:, SHOULDERS].mean(axis=1) - hips
    length = np.maximum(np.linalg.norm(trunk[:, :2], axis=1), 1.0)
    up = trunk[:, :2] / length[:, None]
    along = ((skeletons[..., :2] - hips[:, None, :2]) * up[:, None]).sum(axis=-1) / length[:, None]
    return np.asarray(hips[:, 2:] + np.minimum(along, 1.0) * trunk[:, 2:], np.float32)


def _flips(
    chain: NDArray[np.int64],
    shoulders: Float64Array,
    hips: Float64Array,
    points: Float64Array,
    seconds: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return (N - 1,) between which of the certain frames (N,) of a chain front and back change names."""
    is_possible, is_certain = np.zeros((2, max(len(chain) - 1, 0)), np.bool_)
    for row, (a, b) in enumerate(pairwise(chain)):
        if _is_opposite(shoulders[[a, b]], hips[[a, b]]) and _like_exchanged(points[b], points[a]) < _EXCHANGED_SHARE:
            is_possible[row] = True
            is_certain[row] = _is_too_fast(shoulders[[a, b]], float(seconds[b] - seconds[a]))
    # Where people were lost for a moment there was time to turn about, but not to turn back at once.
    begins, ends = seconds[chain[:-1]], seconds[chain[1:]]
    flips = is_certain.copy()
    for row in np.flatnonzero(is_possible & ~is_certain).tolist():
        apart = np.maximum(begins - ends[row], begins[row] - ends)
        flips[row] = (is_certain & (apart <= _THERE_AND_BACK_SECONDS)).any()
    return flips


def _is_opposite(shoulders: Float64Array, hips: Float64Array) -> bool:
    """Say whether trunks (2, 2), of two frames, point opposite ways."""
    return bool((shoulders[0] * shoulders[1]).sum() < 0 and (hips[0] * hips[1]).sum() < 0)


def _is_too_fast(shoulders: Float64Array, step_seconds: float) -> bool:
    """Say whether nobody can turn between shoulders (2, 2), of two frames, that point opposite ways."""
    breadths = np.linalg.norm(shoulders, axis=1) / _FULL_SHOULDERS_BH
    from_profile = np.degrees(np.arcsin(np.minimum(breadths, 1.0))).sum()
    return bool(from_profile >= max(_LEAST_TURN_DEGREES, _FASTEST_DEGREES_PER_SECOND * step_seconds))


def _feet_forwards(joints: NDArray[np.float32], points: Float64Array) -> Float64Array:
    """Return (T,) body heights by which feet point where the body faces, as it is read; NaN where they are not seen.

    The toes are nearer to the camera than the heels, and so lower in the picture, of somebody who faces it. Landmarks
    of feet show what is seen, also where left and right are exchanged. ``points`` (T, 23, 2) in body heights.
    """
    up = points[:, SHOULDERS].mean(axis=1) - points[:, HIPS].mean(axis=1)
    up = up / np.maximum(np.linalg.norm(up, axis=1, keepdims=True), 1e-9)
    across = np.column_stack([-up[:, 1], up[:, 0]])
    faces_camera = np.sign(((points[:, SHOULDERS[0]] - points[:, SHOULDERS[1]]) * across).sum(axis=1))
    toes = [JOINT["left_toe"], JOINT["right_toe"]]
    heels = [JOINT["left_heel"], JOINT["right_heel"]]
    below = -((points[:, toes] - points[:, heels]) * up[:, None]).sum(axis=-1).mean(axis=1)
    is_seen = (joints[:, [*toes, *heels], 2] >= _CONFIDENT).all(axis=1)
    forwards = faces_camera * np.clip(below - _TOES_BH, -_MOST_TOES_BH, _MOST_TOES_BH)
    return np.where(is_seen, forwards, np.nan)


def _mean_of_seen(values: Float64Array) -> float:
    """Return the mean of what is not NaN; NaN, with which nothing is compared, where that is little."""
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) >= _LEAST_FRAMES else float("nan")


def _like_exchanged(points: Float64Array, others: Float64Array) -> float:
    """Return how far limbs (23, 2) are from the other frame's with left and right exchanged, over how far they are as
    they are named."""
    points = points - points[HIPS].mean(axis=0)
    others = others - others[HIPS].mean(axis=0)
    as_named = np.linalg.norm(points - others, axis=1).sum()
    exchanged = np.linalg.norm(points[_other_sides()] - others, axis=1).sum()
    return float(exchanged / max(as_named, 1e-9))


def _other_sides() -> list[int]:
    """Return for each row of a skeleton the row of the other side's joint."""
    names = [
        name.replace("left_", "right_") if name.startswith("left_") else name.replace("right_", "left_")
        for name in SKELETON_NAMES
    ]
    return [SKELETON_NAMES.index(name) for name in names]
