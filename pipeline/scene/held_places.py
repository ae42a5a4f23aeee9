"""Where a carried object is relative to the trunk and the hands, over many frames.

In one frame the colors of a backpack may be those of the hedge behind it, and a box in front of the chest may end where
the wall has its color. What is carried stays where it is relative to the limb that carries it; the background does not.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import FOREARM, HEAD, TORSO, Body
from pipeline.scene.held import LEAST_AREA_PX
from pipeline.scene.samples import UNLIKELY, Sample, likeness
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.views import Shown

HALF_CELLS = 40
_CELL_BH = 0.0125
"""Cells of a square around each anchor: half a body height to each side."""
NUM_CELLS = 2 * HALF_CELLS + 1
NUM_ANCHORS = 5
"""The trunk; each hand upright, where a bag hangs; each hand turned with its forearm, where a racket is."""
_TRUNK, _UPRIGHT, _TURNED = 0, 1, 3
_PRIOR = 1.0
_LEAST_LOOKS = 3.0
_EDGE_PX = 3
"""Limbs are located with an error, and an object turns: its edge lies so far beside its usual place."""
_SEEN_SHARE = 0.5
"""Of its usual place an object must be seen to fill so much."""
_MOSTLY = 0.35
"""Of a region at the place of an object so much must lie there for the rest to be its own: where the object has turned,
its usual place is smaller than it is."""
_HAT_BH = 0.12
_LONG_HAIR_BH = 0.35
"""Hats and hair move with the trunk, too."""


def place_counts(things: Mask, free: Mask, body: Body) -> Float64Array:
    """Return (2, NUM_ANCHORS, NUM_CELLS, NUM_CELLS): the cells that ``things`` (h, w) cover, and those that are
    ``free`` of them (h, w)."""
    counts = np.zeros((2, NUM_ANCHORS, NUM_CELLS, NUM_CELLS))
    height, width = things.shape
    steps = np.arange(-HALF_CELLS, HALF_CELLS + 1, dtype=np.float64) * _CELL_BH * body.height_px
    for anchor, (origin, right) in _anchors(body).items():
        down = np.array([-right[1], right[0]])
        places = origin + steps[:, None, None] * down + steps[None, :, None] * right
        columns, rows = np.rint(places).astype(int).transpose(2, 0, 1)
        inside = (columns >= 0) & (rows >= 0) & (columns < width) & (rows < height)
        at = rows.clip(0, height - 1), columns.clip(0, width - 1)
        counts[0, anchor] = things[at] & inside
        counts[1, anchor] = free[at] & inside
    return counts


def places_in(labels: NDArray[np.uint8], kept: tuple[int, ...], sample: Sample, row: SceneRow) -> Float64Array:
    """Return one frame's ``place_counts``: of the labels (h, w) that are ``kept``, but for hats and long hair.

    A place is free where the background is seen beside the subject, or their own colors are on them.
    """
    head = row.subject[HEAD][sample.bins]
    near_head = sample.distances[HEAD] < np.where(head > UNLIKELY, np.float32(_LONG_HAIR_BH), np.float32(_HAT_BH))
    things = np.isin(labels, kept) & ~near_head
    shown = sample.view.shown
    is_background = (shown == Shown.PLATE) | (shown == Shown.SHADOW)
    likelihood = likeness(sample, row.subject)
    alike = (likelihood > UNLIKELY) & (likelihood > row.foreign[sample.bins])
    free = ~things & ~near_head & np.where(sample.subject_mask, alike, is_background)
    return place_counts(things, np.asarray(free, np.bool_), sample.body)


def shares(counts: Float64Array) -> Float32Array:
    """Return (NUM_ANCHORS, NUM_CELLS, NUM_CELLS): in what share of the frames an object covers a cell, from sums of
    ``place_counts``; 0 where too few frames tell."""
    taken, free = counts
    looks = taken + free
    share = np.where(looks >= _LEAST_LOOKS, taken / (looks + _PRIOR), 0.0)
    return np.asarray(share, np.float32)


def placed(share: NDArray[np.float32], sample: Sample) -> Float32Array:
    """Return (h, w): the largest share that a pixel has relative to any of the anchors."""
    shape = sample.outside.shape
    found = np.zeros(shape, np.float32)
    if not share.any():
        return found
    cell_px = _CELL_BH * sample.body.height_px
    for anchor, (origin, right) in _anchors(sample.body).items():
        if not share[anchor].any():
            continue
        axes = np.column_stack([right, (-right[1], right[0])]) * cell_px
        view_from_cells = np.column_stack([axes, origin - axes @ np.full(2, HALF_CELLS)])
        there = cv2.warpAffine(share[anchor], view_from_cells, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
        found = np.maximum(found, there)
    return found


def placed_things(unexplained: Mask, there: Mask) -> Mask:
    """Return the parts of ``unexplained`` (h, w) at the place of something carried (``there``), with their edges, and
    the regions that lie there mostly."""
    both = unexplained & there
    if not both.any():
        return both
    count, labeled = cv2.connectedComponents(both.view(np.uint8), connectivity=8)
    is_seen = areas_of(labeled, count) >= LEAST_AREA_PX
    is_seen[0] = False
    found = grow(those_of(labeled, is_seen), _EDGE_PX) & unexplained
    count, labeled = cv2.connectedComponents(unexplained.view(np.uint8), connectivity=4)
    lies_there = counts_in(labeled, found, count) >= _MOSTLY * areas_of(labeled, count)
    lies_there[0] = False
    return found | those_of(labeled, lies_there)


def whole_things(found: Mask, there: Mask, alike: Mask) -> Mask:
    """Return ``found`` (h, w) with the rest of each object at its usual place (``there``): never half of it.

    Where an object has the background's colors its place tells whose a pixel is; what looks like the subject
    (``alike``) is in front of it.
    """
    if not (found & there).any():
        return found
    count, labeled = cv2.connectedComponents((there & ~alike).view(np.uint8), connectivity=4)
    areas = areas_of(labeled, count)
    is_whole = (counts_in(labeled, found, count) >= _SEEN_SHARE * areas) & (areas >= LEAST_AREA_PX)
    is_whole[0] = False
    return found | those_of(labeled, is_whole)


def _anchors(body: Body) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the origin and the unit vector to the right of each known anchor, px of the view."""
    found = {}
    upright = np.array([1.0, 0.0])
    trunk = body.segments[body.segments[:, 5] == TORSO]
    if len(trunk):
        found[_TRUNK] = trunk[:, :4].reshape(-1, 2).mean(axis=0).astype(np.float64), upright
    forearms = body.segments[body.segments[:, 5] == FOREARM]
    for hand, side in zip(body.hands.astype(np.float64), body.hand_sides.tolist(), strict=True):
        found[_UPRIGHT + side] = hand, upright
        if not len(forearms):
            continue
        nearest = forearms[np.hypot(*(forearms[:, 2:4] - hand).T).argmin()]
        along = hand - nearest[:2]
        length = float(np.hypot(*along))
        if length > 1.0:
            found[_TURNED + side] = hand, along / length
    return found
