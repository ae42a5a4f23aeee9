"""Edges that stay fixed in the picture while the scene moves: evidence of burnt-in graphics.

Sums of the gray picture and of its square, at a reduced size, give mean and variance of each pixel over short windows.
At a scene edge that the measured camera motion moves across its own direction the variance is many times the squared
gradient of the mean; at an edge of an opaque graphic it is a fraction of it. For translucent ones, mean and variance of
the gradient over a longer time are compared. An edge along the motion looks the same in both cases and is no evidence.
An edge counts only next to something that really changes: distant scenery is static together with everything around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Transforms
from pipeline.maths.geometry import apply_transform
from pipeline.maths.masks import grow

WINDOW_BLOCKS = 5
_LEAST_FRAMES = 8
"""Frames per window: fewer give a poor estimate of variance."""
_LASTING_BLOCKS = 16
"""Weight of the fading sums: about two seconds."""
_LEAST_LASTING = 14
_LASTING_GRADIENT = 3.0
"""Gray levels per px; what is left of the scene's own edges is below."""
_LASTING_RATIO = 2.5
"""Squared mean of a gradient over its variance, from block to block."""
_LASTING_MOTION_PX = 3.5
_LASTING_PEOPLE = 0.6
"""Largest share of the time that a person may be there."""
_LEAST_GRADIENT = 5.0
"""Gray levels per px: more than codec artifacts cause."""
_STILL = 0.35
"""Largest variance at a graphic's edge, in squared gradients of the mean."""
_LEAST_MOTION_PX = 1.0
"""Standard deviation of the scene's motion across the edge."""
_ACROSS = 0.2
"""Fraction of the motion's variance that must lie across the edge: 27° and more, since edges bend."""
_STROKE_PX = 5
_GRADIENT_ON_PEOPLE = 10.0
_STILL_ON_PEOPLE = 0.06
"""A person followed by the camera is nearly static in the picture; a graphic over them is exactly so."""
_LINK_PX = 4
"""Letters and words this close together form one graphic."""
_LEAST_EDGE_PX = 24
_LEAST_FREE_EDGE_PX = 16
"""Pixels of a graphic's edge that must lie off all people."""
_LEAST_ON_PEOPLE_PX = 120
"""Or of an edge altogether: a sticker over somebody has so many that are exactly still, a print on clothes has not."""
_RING_PX = 8
_CHANGE = 25.0
"""Variance of what really changes."""
_RING_CHANGES = 0.25
"""Fraction of the pixels around a graphic that must change."""
_LEAST_CHANGE = 6.0
"""The same on dark ground; it is above what codecs cause."""
_BLACK, _GRAY = 16.0, 80.0
"""Levels between which darkness counts."""
_LEAST_LETTERING_PX = 200
_LETTERING_GRADIENT = 15.0
_CALM = 6.0
_CALM_SHARE = 0.9
"""The area enclosed by an edge belongs to the graphic where at least this fraction of it has at most this variance."""
_GAP_PX = 9
_FLAT = 3.0
"""Variance caused by codec artifacts on a plain surface."""
_LARGEST_PART = 0.015
"""Fraction of the picture: a larger plain surface is more likely sky than an icon."""
_GRID_WH = (9, 6)
_MOST_CELLS = 0.6
"""Fraction of the grid's cells that have edges of graphics: captions, icons and a frame have less."""


@dataclass(slots=True, eq=False)
class Block:
    """Statistics of a few consecutive frames."""

    first: Float32Array
    second: Float32Array
    """(h, w) sums of the gray levels and of their squares."""
    people: Mask
    """(h, w) where there was a person."""
    world_from_source: list[Transforms] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class StillEdges:
    """Graphics found in a window of blocks; (h, w) each."""

    edges: Mask
    area: Mask
    """Edges and what belongs to them."""
    mean: Float32Array
    """Gray levels over the window."""


class EdgeStatistics:
    """Finds edges that stay while the scene moves, at a reduced size; holds a few sums."""

    def __init__(self, size_wh: tuple[int, int], small_wh: tuple[int, int]) -> None:
        self._size_wh = size_wh
        self._small_wh = small_wh
        self._ratio = small_wh[0] / size_wh[0]
        self._blocks: deque[Block] = deque(maxlen=WINDOW_BLOCKS)
        self._lasting = LastingEdges(small_wh)

    def cut(self) -> None:
        """Forget the scene: another shot begins."""
        self._blocks.clear()
        self._lasting = LastingEdges(self._small_wh)

    def push(self, small: NDArray[np.uint8], people: Mask, world_from_source: Transforms, *, is_new: bool) -> None:
        """Take the next frame and its people, (h, w); ``is_new`` begins a block."""
        if is_new and self._blocks:
            self._lasting.push(self._blocks[-1])
        if is_new or not self._blocks:
            zeros = np.zeros(small.shape, np.float32)
            self._blocks.append(Block(zeros, zeros.copy(), people))
        block = self._blocks[-1]
        cv2.accumulate(small, block.first)
        cv2.accumulateSquare(small, block.second)
        block.world_from_source.append(world_from_source)

    def look(self) -> StillEdges | None:
        """Evaluate the window that ends with the current block; None where it is short or shows nothing."""
        frames = sum(len(block.world_from_source) for block in self._blocks)
        if len(self._blocks) < WINDOW_BLOCKS or frames < _LEAST_FRAMES:
            return None
        world = [matrix for block in self._blocks for matrix in block.world_from_source]
        moves = [
            float(np.trace(self._motion_spread(np.stack(matrices)), axis1=1, axis2=2).max()) >= least_px**2
            for matrices, least_px in ((world, _LEAST_MOTION_PX), (self._lasting.world, _LASTING_MOTION_PX))
        ]
        if not any(moves):
            return None
        mean = np.asarray(sum(block.first for block in self._blocks), np.float32) / np.float32(frames)
        square = np.asarray(sum(block.second for block in self._blocks), np.float32) / np.float32(frames)
        variance = np.maximum(square - mean * mean, 0)
        gradient = gradient_of(mean)
        steep = gradient[0] * gradient[0] + gradient[1] * gradient[1]
        # Both sides of the edge must change: where the motion reverses, a scene edge leaves one side static.
        worst = np.asarray(cv2.dilate(variance, np.ones((3, 3), np.uint8)), np.float32)
        is_still = (steep >= _LEAST_GRADIENT**2) & (worst < _STILL * steep)
        people = np.logical_or.reduce([block.people for block in self._blocks])
        if is_still.any():
            is_still &= ~people | ((steep >= _GRADIENT_ON_PEOPLE**2) & (worst < _STILL_ON_PEOPLE * steep))
        lasting = self._lasting.edges()
        crossed = self._crossed(is_still, gradient, world, _LEAST_MOTION_PX)
        crossed |= self._crossed(lasting, self._lasting.gradient, self._lasting.world, _LASTING_MOTION_PX)
        new = _graphics(crossed, people, variance, mean, steep)
        # A graphic leaves some of the scene to be seen: where edges stay all over the picture, the camera stands still,
        # and its motion was measured wrongly.
        if not new.any() or _covered_cells(new) > _MOST_CELLS:
            return None
        # Strokes along the motion prove nothing, but belong to the others.
        area = _area(grow(new, _STROKE_PX) & (is_still | lasting | new), variance)
        area |= _plain_parts(area, variance, people)
        return StillEdges(new, area | _stickers_on_people(new, variance, people), mean)

    def _crossed(
        self,
        candidates: Mask,
        gradient: tuple[Float32Array, Float32Array],
        matrices: Sequence[Transforms],
        least_px: float,
    ) -> Mask:
        """Return those candidates (h, w) that the scene's motion would change, given their gradient."""
        result = np.zeros_like(candidates)
        spread = self._motion_spread(np.stack(matrices))
        if np.trace(spread, axis1=1, axis2=2).max() < least_px**2:
            return result
        rows, columns = np.nonzero(candidates)
        across, down = _GRID_WH
        cell = rows * down // candidates.shape[0] * across + columns * across // candidates.shape[1]
        xx, xy, yy = spread[cell, 0, 0], spread[cell, 0, 1], spread[cell, 1, 1]
        gx, gy = gradient[0][rows, columns], gradient[1][rows, columns]
        moved = gx * gx * xx + 2 * gx * gy * xy + gy * gy * yy
        result[rows, columns] = moved >= (gx * gx + gy * gy) * np.maximum(least_px**2, _ACROSS * (xx + yy))
        return result

    def _motion_spread(self, world_from_source: Transforms) -> NDArray[np.float64]:
        """Return (cells, 2, 2): the covariance of the scene's motion, px of the small picture, in a grid of cells."""
        source_from_middle = np.linalg.inv(world_from_source) @ world_from_source[len(world_from_source) // 2]
        width, height = self._size_wh
        across, down = _GRID_WH
        grid = np.stack(
            np.meshgrid((np.arange(across) + 0.5) * width / across, (np.arange(down) + 0.5) * height / down), axis=-1
        ).reshape(-1, 2)
        places = np.stack([apply_transform(matrix, grid) for matrix in source_from_middle]) * self._ratio
        away = places - places.mean(axis=0)
        return np.asarray(np.einsum("tpi,tpj->pij", away, away) / len(world_from_source))


class LastingEdges:
    """Fading sums of the gradients of blocks: an edge of a translucent graphic is the same in all of them.

    Its gradient is a fraction of the graphic's contrast plus the scene's own, which averages out while it moves.
    """

    def __init__(self, small_wh: tuple[int, int]) -> None:
        shape = small_wh[::-1]
        self._gx = np.zeros(shape, np.float32)
        self._gy = np.zeros(shape, np.float32)
        self._square = np.zeros(shape, np.float32)
        self._people = np.zeros(shape, np.float32)
        self._count = 0
        self.world: deque[Transforms] = deque(maxlen=2 * _LASTING_BLOCKS)
        """Of the first frame of each block."""

    @property
    def gradient(self) -> tuple[Float32Array, Float32Array]:
        """Mean gradients over x and y, (h, w) each."""
        return self._gx, self._gy

    def push(self, block: Block) -> None:
        """Take the next block, complete."""
        self._count += 1
        weight = max(1 / self._count, 1 / _LASTING_BLOCKS)
        mean = block.first * np.float32(1 / len(block.world_from_source))
        gx, gy = gradient_of(mean)
        cv2.accumulateWeighted(gx, self._gx, weight)
        cv2.accumulateWeighted(gy, self._gy, weight)
        cv2.accumulateWeighted(gx * gx + gy * gy, self._square, weight)
        cv2.accumulateWeighted(block.people.astype(np.float32), self._people, weight)
        self.world.append(block.world_from_source[0])

    def edges(self) -> Mask:
        """Return (h, w) the edges that lasted."""
        if self._count < _LEAST_LASTING:
            return np.zeros(self._square.shape, np.bool_)
        steep = self._gx * self._gx + self._gy * self._gy
        spread = np.maximum(self._square - steep, 0)
        lasts = (steep >= _LASTING_GRADIENT**2) & (steep >= _LASTING_RATIO * spread)
        return lasts & (self._people < _LASTING_PEOPLE)


def gradient_of(picture: Float32Array | NDArray[np.uint8]) -> tuple[Float32Array, Float32Array]:
    """Return the gradients over x and y of a picture (h, w), in levels per px."""
    gx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(gx, np.float32), np.asarray(gy, np.float32)


def _covered_cells(edges: Mask) -> float:
    """Return the fraction of the grid's cells in which there are edges (h, w)."""
    cells = cv2.resize(edges.astype(np.float32), _GRID_WH, interpolation=cv2.INTER_AREA)
    return float(np.mean(cells > 0))


def _graphics(edges: Mask, people: Mask, variance: Float32Array, mean: Float32Array, steep: Float32Array) -> Mask:
    """Return those edges (h, w) that belong to a graphic: enough of them together, next to change or many on people.

    ``steep`` is the squared gradient of the ``mean``.
    """
    kept = np.zeros_like(edges)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grow(edges, _LINK_PX).view(np.uint8))
    height, width = edges.shape
    for label in range(1, count):
        x, y, w, h = stats[label, :4].tolist()
        area = np.s_[max(y - _RING_PX, 0) : min(y + h + _RING_PX, height),
                     max(x - _RING_PX, 0) : min(x + w + _RING_PX, width)]  # fmt: skip
        inside = labels[area] == label
        own = edges[area] & inside
        if np.count_nonzero(own) < _LEAST_EDGE_PX:
            continue
        if np.count_nonzero(own & ~people[area]) < _LEAST_FREE_EDGE_PX:
            if np.count_nonzero(own) >= _LEAST_ON_PEOPLE_PX:
                kept[area] |= own
            continue
        ring = grow(own, _RING_PX) & ~grow(own, 2) & ~people[area]
        change = _CHANGE
        if np.count_nonzero(own) >= _LEAST_LETTERING_PX and np.median(steep[area][own]) >= _LETTERING_GRADIENT**2:
            change = _change_at(mean[area][ring])
        if np.count_nonzero(variance[area][ring] > change) >= _RING_CHANGES * max(int(np.count_nonzero(ring)), 1):
            kept[area] |= own
    return kept


def _change_at(levels: Float32Array) -> float:
    """Return the variance of what really changes around clear lettering; (N,) gray levels. Editors darken the ground
    of white letters, and with it what moves there."""
    level = float(levels.mean()) - _BLACK if levels.size else _GRAY
    return max(_LEAST_CHANGE, _CHANGE * min(max(level, 0.0) / _GRAY, 1.0) ** 2)


def _area(edges: Mask, variance: Float32Array) -> Mask:
    """Return the graphics (h, w) of which these are the edges: strokes, and what they enclose where it is static."""
    if not edges.any():
        return edges.copy()
    strokes = cv2.morphologyEx(edges.view(np.uint8), cv2.MORPH_CLOSE, np.ones((_STROKE_PX, _STROKE_PX), np.uint8))
    area = grow(strokes.astype(np.bool_), 1)
    # An outline has a gap where its edge lies along the motion.
    closed = cv2.morphologyEx(area.view(np.uint8), cv2.MORPH_CLOSE, np.ones((_GAP_PX, _GAP_PX), np.uint8))
    count, labels = cv2.connectedComponents(1 - closed, connectivity=4)
    sizes = np.bincount(labels.ravel(), minlength=count)
    calm = np.bincount(labels[variance < _CALM], minlength=count)
    outside = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    enclosed = calm >= _CALM_SHARE * np.maximum(sizes, 1)
    enclosed[outside] = False
    enclosed[0] = False
    return area | enclosed[labels]


def _plain_parts(area: Mask, variance: Float32Array, people: Mask) -> Mask:
    """Return the plain surfaces (h, w) that touch a graphic's edges: the inside of an icon around its letters.

    Surfaces mostly on people are left out: the clothes of a person followed by the camera may be just as plain.
    """
    if not area.any():
        return area.copy()
    flat = cv2.morphologyEx((variance < _FLAT).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels = cv2.connectedComponents(flat, connectivity=4)
    sizes = np.bincount(labels.ravel(), minlength=count)
    touched = np.bincount(labels[area], minlength=count) > 0
    on_people = np.bincount(labels[people], minlength=count)
    taken = touched & (sizes <= _LARGEST_PART * area.size) & (2 * on_people <= sizes)
    taken[0] = False
    return grow(np.asarray(taken[labels], np.bool_), 1)


def _stickers_on_people(edges: Mask, variance: Float32Array, people: Mask) -> Mask:
    """Return what is still (h, w) within the convex hull of the edges of each graphic that lies on people alone."""
    found = np.zeros_like(edges)
    if not (edges & people).any():
        return found
    count, labels = cv2.connectedComponents(grow(edges, _LINK_PX).view(np.uint8))
    for label in range(1, count):
        own = edges & (labels == label)
        if np.count_nonzero(own & ~people) >= _LEAST_FREE_EDGE_PX:
            continue
        hull = np.zeros(edges.shape, np.uint8)
        points = np.argwhere(own)[:, ::-1].astype(np.int32)
        cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
        found |= hull.view(np.bool_) & (variance < _CALM)
    return found
