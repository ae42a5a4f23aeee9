"""What moves with the subject's head: hair, hats and helmets that the mask misses, recognized over time.

In one frame a knot of hair above the head and somebody's head behind it look the same. Over many frames what is worn
stays where it is relative to the head, and what is behind does not.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import HAND, HEAD
from pipeline.scene.colors import counted
from pipeline.scene.samples import UNLIKELY, Sample
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.views import Shown

HALF_CELLS = 22
_CELL_BH = 0.0125
"""Cells of a square around the top of the head, turned with it: 0.275 body heights to each side."""
NUM_CELLS = 2 * HALF_CELLS + 1
_REACH_BH = 0.2
"""Long hair that flies."""
_WORN_BH = 0.15
"""Hair, hats and helmets; what extends farther is somebody behind, or an umbrella."""
_BEYOND_SHARE = 0.1
_OTHERS_BH = 0.02
_HAND_BH = 0.05
"""What is nearer to a hand may be held."""
_PRIOR = 1.0
_MOST_FRAMES = 0.5
_LEAST_LOOKS = 3.0


def head_counts(sample: Sample) -> Float64Array:
    """Return (2, NUM_CELLS, NUM_CELLS): cells around the head where something adheres to it, and where nothing
    does."""
    axes = _head_axes(sample)
    if axes is None:
        return np.zeros((2, NUM_CELLS, NUM_CELLS))
    steps = np.arange(-HALF_CELLS, HALF_CELLS + 1, dtype=np.float64) * _CELL_BH * sample.body.height_px
    places = axes[0] + steps[:, None, None] * axes[2] + steps[None, :, None] * axes[1]
    columns, rows = np.rint(places).astype(int).transpose(2, 0, 1)
    height, width = sample.outside.shape
    inside = (columns >= 0) & (rows >= 0) & (columns < width) & (rows < height)
    at = rows.clip(0, height - 1), columns.clip(0, width - 1)
    taken = adhering(sample)
    hidden = sample.subject_mask | _near_others(sample) | (sample.distances[HAND] <= _HAND_BH)
    return np.stack([(mask[at] & inside).astype(np.float64) for mask in (taken, ~taken & ~hidden)])


def adhering(sample: Sample) -> Mask:
    """Return (h, w): what differs from the background, touches the subject's head, and ends near it."""
    found = (sample.view.shown == Shown.OTHER) & ~_near_others(sample) & (sample.distances[HAND] > _HAND_BH)
    beside = found & ~sample.subject_mask & (sample.outside > 0)
    count, labeled = cv2.connectedComponents(beside.view(np.uint8), connectivity=4)
    areas = areas_of(labeled, count)
    head = sample.distances[HEAD]
    beyond = counts_in(labeled, head > _WORN_BH, count)
    # Cloth along the rest of the body is no part of it.
    kept = (beyond <= _BEYOND_SHARE * areas) & (counts_in(labeled, grow(_own_head(sample), 2), count) > 0)
    kept[0] = False
    in_mask = found & sample.subject_mask & (sample.outside > 0) & (head < _REACH_BH) & (head <= sample.outside)
    return np.asarray(those_of(labeled, kept) | in_mask, np.bool_)


def worn_cells(counts: Float64Array) -> NDArray[np.bool_]:
    """Return (NUM_CELLS, NUM_CELLS): where something adheres to the head in most frames; ``counts`` are sums of
    ``head_counts``."""
    taken, free = counts
    return np.asarray((taken > _MOST_FRAMES * (taken + free + _PRIOR)) & (taken + free >= _LEAST_LOOKS), np.bool_)


def worn_places(cells: NDArray[np.bool_], sample: Sample) -> Mask:
    """Return (h, w): the places of ``worn_cells`` in a frame."""
    axes = _head_axes(sample)
    shape = sample.outside.shape
    if axes is None or not cells.any():
        return np.zeros(shape, np.bool_)
    cell_px = _CELL_BH * sample.body.height_px
    middle = np.array([HALF_CELLS, HALF_CELLS], np.float64)
    view_from_cells = np.column_stack([axes[1] * cell_px, axes[2] * cell_px, axes[0]])
    view_from_cells[:, 2] -= view_from_cells[:, :2] @ middle
    size_wh = shape[1], shape[0]
    placed = cv2.warpAffine(cells.astype(np.float32), view_from_cells, size_wh, flags=cv2.INTER_LINEAR)
    beside = (sample.outside > 0) & (sample.distances[HEAD] <= sample.outside)
    return np.asarray((placed > _MOST_FRAMES) & beside, np.bool_)


def hair_counts(sample: Sample, cells: NDArray[np.bool_]) -> Float64Array:
    """Return (NUM_BINS,): the colors of what adheres to the head beside the mask."""
    return counted(sample.bins, adhering(sample) & worn_places(cells, sample) & ~sample.subject_mask)


def hair(unexplained: Mask, worn: Mask, sample: Sample, row: SceneRow) -> Mask:
    """Return the ``unexplained`` pixels (h, w) in colors of the head where something is ``worn``, or flies from there.

    A racket before the head has colors of its own.
    """
    head = row.subject[HEAD][sample.bins]
    like = head > row.foreign[sample.bins]
    worn = worn & unexplained & like
    near: Mask = unexplained & like & (head > UNLIKELY) & (sample.distances[HEAD] < _REACH_BH)
    near |= worn
    if not near.any():
        return near
    seeds = worn | _own_head(sample)
    count, labeled = cv2.connectedComponents(near.view(np.uint8), connectivity=8)
    kept = counts_in(labeled, grow(seeds, 2), count) > 0
    # What something else surrounds is its pattern: dark letters on a racket before the face.
    kept &= counts_in(labeled, grow(~unexplained, 1), count) > 0
    kept[0] = False
    return those_of(labeled, kept)


def _near_others(sample: Sample) -> Mask:
    return grow(sample.others_mask, max(1, round(_OTHERS_BH * sample.body.height_px)))


def _own_head(sample: Sample) -> Mask:
    return np.asarray(sample.subject_mask & (sample.distances[HEAD] <= sample.outside), np.bool_)


def _head_axes(sample: Sample) -> NDArray[np.float64] | None:
    """Return (3, 2): the top of the head, and unit vectors to its right and down; None where the head is not known."""
    heads = sample.body.segments[sample.body.segments[:, 5] == HEAD]
    if not len(heads):
        return None
    low, top = heads[0, :2].astype(np.float64), heads[0, 2:4].astype(np.float64)
    down = low - top
    length = float(np.hypot(*down))
    if length < 1.0:
        return None
    down /= length
    return np.stack([top, np.array([down[1], -down[0]]), down])
