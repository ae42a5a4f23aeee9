"""Where a side of the picture cuts through somebody's trunk: there the landmarks tell too small a body.

A landmark model presses a whole body into the strip that it sees, with full confidence: shoulders come close to each
other, the head comes down. Pressing only ever makes somebody smaller, so that the size which they have before and after
is the least one. It also lifts the trunk: of whoever walks in or out, course and pose beside the side are believed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.joints import FEET, HIPS, JOINT, NUM_JOINTS, SHOULDERS, WRISTS
from pipeline.maths.geometry import scale_of
from pipeline.maths.smoothing import smoothstep

IS_LIMB = np.isin(
    np.arange(NUM_JOINTS),
    [*WRISTS, *FEET, *(JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "knee"))],
)
"""(21,) whether a joint belongs to neither trunk nor head."""
_EDGE_PX = 1.5
_NEAR_TRUNK = 0.15
"""Distance of a shoulder or hip from the side, relative to the trunk's length, from which the side may cut through
it: landmarks are pressed close to the edge."""
_LEAST_FRAMES = 5
_REFERENCE_SECONDS = 0.5
"""Frames beside a pressed run whose size is the least one."""
_ALL_PRESSED_SECONDS = 1.5
"""The same around each frame of somebody who is hardly ever free: some are pressed less than others."""
_QUANTILE = 0.8
"""Bones are longest when they lie in the image plane."""
_COURSE_SECONDS = 0.3
"""Free frames that show where somebody walks in or out, and how fast."""
_LEAST_COURSE_FRAMES = 4
_MOST_THROUGH_SECONDS = 0.6
"""Whoever is cut off for longer does not walk through the side."""
_LEAST_PACE_BH_PER_S = 0.25
_OFF_COURSE_BH = (0.03, 0.08)
"""Up to the first distance of the trunk from its course landmarks are believed, from the second on not at all."""
_MOST_SHRINKING = 0.1
"""Of a size's logarithm, per second: how fast somebody who is cut off may yet walk away."""


def pressed_to_a_side(
    joints: NDArray[np.float32], boxes_xyxy: NDArray[np.float64], size_wh: tuple[int, int]
) -> NDArray[np.bool_]:
    """Return (T,): frames in which the left or right edge of the picture cuts through, or close by, the trunk.

    ``joints`` (T, 21, 3) and ``boxes_xyxy`` (T, 4) in px; NaN rows are frames without the person, and not pressed.
    """
    trunk = joints[:, [*SHOULDERS, *HIPS], :2].astype(np.float64)
    near = _NEAR_TRUNK * np.linalg.norm(trunk[:, :2].mean(axis=1) - trunk[:, 2:].mean(axis=1), axis=1)
    last = size_wh[0] - 1
    with np.errstate(invalid="ignore"):
        left = (boxes_xyxy[:, 0] < _EDGE_PX) & (trunk[..., 0].min(axis=1) < near)
        right = (boxes_xyxy[:, 2] > last - _EDGE_PX) & (trunk[..., 0].max(axis=1) > last - near)
    return np.asarray(left | right)


def with_held_size(
    height_px: NDArray[np.float64],
    pressed: NDArray[np.bool_],
    world_from_source: Transforms,
    pts_seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return measured standing heights (T,) of one shot, NaN where unknown, the ``pressed`` (T,) ones at least as large
    as those measured next to them in time, in ``world``; where hardly any are free, as the larger ones of the pressed.
    """
    known = np.isfinite(height_px)
    free = known & ~pressed
    reach = _REFERENCE_SECONDS
    if np.count_nonzero(free) < _LEAST_FRAMES:
        free = known
        reach = _ALL_PRESSED_SECONDS
    if not pressed.any() or np.count_nonzero(free) < _LEAST_FRAMES:
        return height_px
    scale = scale_of(world_from_source)
    logs = np.log(np.maximum(height_px * scale, 1.0))
    told = np.flatnonzero(free)
    held = height_px.copy()
    for frame in np.flatnonzero(pressed & known):
        away = np.abs(pts_seconds[told] - pts_seconds[frame])
        nearest = float(away.min())
        beside = told[away <= max(nearest + reach, float(np.sort(away)[_LEAST_FRAMES - 1]))]
        least = float(np.quantile(logs[beside], _QUANTILE)) - _MOST_SHRINKING * nearest
        held[frame] = np.maximum(held[frame], np.exp(least) / scale[frame])
    return held


def on_course_through_sides(
    points: NDArray[np.float64],
    pressed: NDArray[np.bool_],
    known: NDArray[np.bool_],
    pts_seconds: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    in_sight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return points (T, J, 2+) in ``world`` of one run of frames, at whose ends somebody may walk in or out.

    Up to the last ``pressed`` (T,) frame near an end, a trunk that is off the course of the free frames beside it is
    put there, with the pose of the nearest of them. The course is straight across, and level: up and down a walk is
    not straight. ``known`` (T,) frames have points. Limbs ``in_sight`` (T, J), 0..1, go up or down with the trunk, but
    not across: there the picture shows where they are.
    """
    moved = points.copy()
    trunk = points[:, [*SHOULDERS, *HIPS], :2].mean(axis=1)
    free = known & ~pressed & np.isfinite(trunk).all(axis=1)
    for rows in (np.arange(len(points)), np.arange(len(points))[::-1]):
        through = pressed[rows] & (np.abs(pts_seconds[rows] - pts_seconds[rows[0]]) <= _MOST_THROUGH_SECONDS)
        if not through.any():
            continue
        count = int(np.flatnonzero(through)[-1]) + 1
        cut, beside = rows[:count], rows[count:]
        since = np.abs(pts_seconds[beside] - pts_seconds[cut[-1]])
        near = beside[free[beside] & (since <= _COURSE_SECONDS + 1e-9)]
        if len(near) < _LEAST_COURSE_FRAMES:
            continue
        pace, start = np.polyfit(pts_seconds[near] - pts_seconds[near[0]], trunk[near, 0], 1)
        if abs(pace) < _LEAST_PACE_BH_PER_S * body_height_px[near[0]]:
            continue
        across = start + pace * (pts_seconds[cut] - pts_seconds[near[0]])
        course = np.column_stack([across, np.full(count, trunk[near, 1].mean())])
        off = np.nan_to_num(np.linalg.norm(course - trunk[cut], axis=1)) / body_height_px[cut]
        low, high = _OFF_COURSE_BH
        share = smoothstep((off - low) / (high - low))[:, None, None]
        posed = points[near[0], :, :2] + (course - trunk[near[0]])[:, None]
        lifted = (course - trunk[cut])[:, None] * [0.0, 1.0]
        sight = in_sight[cut][..., None]
        change = share * (sight * lifted + (1 - sight) * (posed - points[cut, :, :2]))
        moved[cut, :, :2] += np.nan_to_num(change)
    return moved
