"""Patch-based inpainting: fill a hole with patches from its surroundings, so that lines and texture continue.

Every patch that touches the hole is matched to the most similar known patch, and each pixel becomes the weighted mean
of the votes of the patches over it; repeated, from coarse to fine (Wexler, Shechtman and Irani, "Space-Time Completion
of Video", PAMI 2007). The last vote at each size is one of the majority, as in a shift map (Pritch, Kav-Venaki and
Peleg, "Shift-Map Image Editing", ICCV 2009): pixels are copied, and keep their texture. Similar patches are found by
random search and propagated to neighbors (Barnes et al., "PatchMatch", SIGGRAPH 2009). The random numbers come from a
hash, so that the result is deterministic.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.maths.patch_match import RADIUS, Field, copy_agreed, measure, search, vote

_COARSEST_PX = 5.0
"""Half the width of the hole in the smallest picture: there a patch covers a good part of it."""
_ROUNDS = (8, 6, 4, 3)
"""Search-and-vote iterations, from the smallest picture to the largest."""
_WORK_PX = 40_000
"""Largest hole in which patches are searched for; at larger sizes the field is upscaled."""
_ROW_LEVELS2 = 900.0
"""Penalty, as mean squared difference (levels), of a patch from one hole's height above or below: horizontal neighbors
are mostly of the same kind, wall beside wall and ground beside ground."""
_FALL = 1.3
"""Decay of a patch's weight per pixel into the hole: known content propagates inward from its edge."""


def fill_by_patches(picture: Picture, hole: Mask, known: Mask) -> Picture:
    """Return the picture (H, W, 3) with ``hole`` (H, W) filled from ``known`` (H, W) pixels, all others unchanged.

    Where too little is known around the hole to provide patches the picture is unchanged.
    """
    x0, y0, x1, y1 = box_of_mask(hole)
    reach = max(48, int(0.8 * max(x1 - x0, y1 - y0)))
    box = clipped(grown((x0, y0, x1, y1), reach), (hole.shape[1], hole.shape[0]))
    area = np.s_[box[1] : box[3], box[0] : box[2]]
    small_hole = np.ascontiguousarray(hole[area])
    pictures, holes, sources = _pyramid(np.ascontiguousarray(picture[area]), small_hole, (known & ~hole)[area])
    if not all(_source_of(source).any() for source in sources):
        return picture
    filled: NDArray[np.float32] | None = None
    field: Field | None = None
    for level in range(len(pictures) - 1, -1, -1):
        current = pictures[level]
        inside = holes[level]
        if filled is None:
            filled = _smooth_start(current, inside)
        else:
            larger = cv2.resize(filled, current.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            filled = np.where(inside[..., None], larger, current)
        rounds = _ROUNDS[min(len(pictures) - 1 - level, len(_ROUNDS) - 1)]
        filled, field = _completed(
            filled, inside, sources[level], field, rounds, searching=int(inside.sum()) <= _WORK_PX
        )
    result = picture.copy()
    assert filled is not None
    result[area][small_hole] = np.clip(np.rint(filled[small_hole]), 0, 255).astype(np.uint8)
    return result


def _pyramid(picture: Picture, hole: Mask, known: Mask) -> tuple[list[NDArray[np.float32]], list[Mask], list[Mask]]:
    """Halve picture, hole and known mask until the hole is thin; averages use pixels outside the hole only."""
    pictures = [picture.astype(np.float32)]
    holes = [hole]
    sources = [known]
    while _half_width(holes[-1]) > _COARSEST_PX and min(holes[-1].shape) > 8 * RADIUS:
        outside = (~holes[-1]).astype(np.float32)
        size_wh = (holes[-1].shape[1] // 2, holes[-1].shape[0] // 2)
        share = cv2.resize(outside, size_wh, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(pictures[-1] * outside[..., None], size_wh, interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(sums / np.maximum(share, 1e-3)[..., None], np.float32))
        holes.append(np.asarray(share < 0.5, np.bool_))
        shown = cv2.resize(sources[-1].astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
        sources.append(np.asarray(shown > 0.99, np.bool_))
    return pictures, holes, sources


def _half_width(hole: Mask) -> float:
    padded = np.pad(hole, 1).astype(np.uint8)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_5).max())


def _smooth_start(picture: NDArray[np.float32], hole: Mask) -> NDArray[np.float32]:
    whole = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.asarray(cv2.inpaint(whole, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA), np.float32)


def _source_of(known: Mask) -> Mask:
    """Return (h, w): the centers of patches that are fully known and inside the picture."""
    known = ~grow(~known, RADIUS)
    for edge in (np.s_[:RADIUS], np.s_[-RADIUS:]):
        known[edge] = False
        known[:, edge] = False
    return known


def _completed(
    picture: NDArray[np.float32], hole: Mask, known: Mask, before: Field | None, rounds: int, *, searching: bool
) -> tuple[NDArray[np.float32], Field]:
    """Search and vote ``rounds`` times, starting from the field of the picture half the size."""
    margin = RADIUS
    padded = cv2.copyMakeBorder(picture, margin, margin, margin, margin, cv2.BORDER_REFLECT_101)
    inside = np.pad(hole, margin, mode="edge")
    source = np.pad(_source_of(known), margin)
    targets = grow(inside, RADIUS)
    for edge in (np.s_[:margin], np.s_[-margin:]):
        targets[edge] = False
        targets[:, edge] = False
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    trust = np.power(np.float32(_FALL), -depth).astype(np.float32)
    field = _started(before, source, targets, margin)
    cost = np.empty(targets.shape, np.float32)
    places = np.argwhere(targets).astype(np.int32)
    height = max(int(np.ptp(places[:, 0])), 1)
    slope = np.float32(_ROW_LEVELS2 * 3 * (2 * RADIUS + 1) ** 2 / height**2)
    for number in range(rounds if searching else 1):
        measure(padded, places, field, cost, slope)
        if searching:
            search(padded, places, targets, source, field, cost, slope, number)
        usual = float(np.quantile(cost[targets], 0.75)) + 1.0
        if number + 1 < rounds and searching:
            vote(padded, places, inside, field, cost, trust, np.float32(usual))
        else:
            padded = copy_agreed(padded, targets, inside, field, cost, trust, np.float32(usual))
    return padded[margin:-margin, margin:-margin].copy(), field[margin:-margin, margin:-margin] - margin


def _started(before: Field | None, source: Mask, targets: Mask, margin: int) -> Field:
    """Return the field of this size: the smaller one's times two, or spread evenly over the source."""
    places = np.argwhere(source).astype(np.int32)
    height, width = source.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.int32)
    # A step coprime to the count visits the source evenly.
    even = places[(rows * 7919 + columns * 104729) % len(places)]
    field = np.ascontiguousarray(even, np.int32)
    if before is not None:
        small_rows = np.clip((rows - margin) // 2, 0, before.shape[0] - 1)
        small_columns = np.clip((columns - margin) // 2, 0, before.shape[1] - 1)
        found = 2 * before[small_rows, small_columns] + margin
        found[..., 0] += (rows - margin) % 2
        found[..., 1] += (columns - margin) % 2
        usable = (found >= 0).all(axis=2) & (found[..., 0] < height) & (found[..., 1] < width)
        usable[usable] &= source[found[usable][:, 0], found[usable][:, 1]]
        field[usable] = found[usable]
    return field
