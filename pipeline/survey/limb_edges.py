"""Where the outline of a person's mask lies on either side of each limb."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import LIMB_PLACES, Person
from pipeline.joints import LIMBS

REACHES = {"upper_arm": 0.085, "forearm": 0.07, "thigh": 0.11, "shin": 0.085}
"""How far from the bone the outline is searched for, relative to the mask's longer side: more than half a limb's
width, clothes included, and the error of the landmarks."""
_STEPS = 40
"""Samples on each side of the bone: one is 0.2 % of a body's height, less than a pixel of most masks."""
_MOST_BESIDE = 0.6
"""Of the reach: a bone that lies farther beside the mask belongs to something else."""
_SHORTEST = 0.05
"""Of the mask's longer side: a bone seen shorter points at the camera, and has no sides."""


def limb_edges(person: Person) -> NDArray[np.float32]:
    """Return (limbs, places, 2) px: the distance of the outline from each limb's bone along its normal, on both sides.

    Limbs are ``LIMBS``, places ``LIMB_PLACES`` along each; the normal is the bone's direction turned from x to y, and
    the first of the two distances, usually negative, is the one against it. NaN where there is no outline within the
    limb's reach, or where it is the picture's edge.
    """
    mask = person.mask
    size = float((person.box_xyxy[2:] - person.box_xyxy[:2]).max())
    ends = person.joints[np.array(LIMBS.rows), :2].astype(np.float64)
    bones = ends[:, 1] - ends[:, 0]
    lengths = np.linalg.norm(bones, axis=1)
    edges = np.full((len(LIMBS.rows), len(LIMB_PLACES), 2), np.nan, np.float32)
    rows = np.flatnonzero(lengths > _SHORTEST * size)
    if not len(rows) or not mask.any():
        return edges
    normals = np.stack([-bones[:, 1], bones[:, 0]], axis=1)[rows] / lengths[rows, None]
    middles = ends[rows, None, 0] + np.array(LIMB_PLACES)[:, None] * bones[rows, None]
    step = size / _STEPS * np.array([REACHES[kind] for kind in LIMBS.kinds])[rows]
    along = np.arange(-_STEPS, _STEPS + 1)
    points = middles[:, :, None] + (along * step[:, None])[:, None, :, None] * normals[:, None, None]
    x, y = np.rint(points[..., 0]).astype(np.intp), np.rint(points[..., 1]).astype(np.intp)
    height, width = mask.shape
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    covered = inside & mask[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    # The covered sample nearest to the bone; from there the limb goes on until the first uncovered ones.
    start = np.where(covered, np.abs(along), 2 * _STEPS).argmin(axis=-1)
    on_limb = np.take_along_axis(covered, start[..., None], axis=-1)[..., 0]
    on_limb &= np.abs(start - _STEPS) < _MOST_BESIDE * _STEPS
    number = np.arange(len(along))
    after = np.where(~covered & (number > start[..., None]), number, len(along)).min(axis=-1)
    before = np.where(~covered & (number < start[..., None]), number, -1).max(axis=-1)
    for side, (border, inwards) in enumerate(((before, 0.5), (after, -0.5))):
        at = np.clip(border, 0, len(along) - 1)
        found = on_limb & (at == border) & np.take_along_axis(inside, at[..., None], axis=-1)[..., 0]
        edges[rows, :, side] = np.where(found, (border + inwards - _STEPS) * step[:, None], np.nan)
    return edges
