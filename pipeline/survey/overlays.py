"""Find burnt-in graphics (captions, icons, logos, watermarks): what stays fixed in the picture while the scene moves.

Sums of the gray picture and of its square, at a reduced size, give mean and variance of each pixel over short windows.
At a scene edge that the measured camera motion moves across its own direction the variance is many times the squared
gradient of the mean; at an edge of a graphic, even a semi-transparent one, it is a fraction of it. An edge along the
motion looks the same in both cases and is no evidence. An edge counts only next to something that really changes:
distant scenery is static together with everything around it.
"""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Overlays
from pipeline.maths.geometry import apply_transform
from pipeline.maths.masks import grow

_SHORT_SIDE = 360
"""Strokes of a caption are still a pixel wide."""
_BLOCK_SECONDS = 0.14
_WINDOW_BLOCKS = 5
_LEAST_FRAMES = 8
"""Frames per window: fewer give a poor estimate of variance."""
_MOST_RATE = 30.0
"""Frames per second that are examined."""
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
"""Fraction of a graphic's edge that must lie off all people."""
_RING_PX = 8
_CHANGE = 25.0
"""Variance of what really changes."""
_RING_CHANGES = 0.25
"""Fraction of the pixels around a graphic that must change."""
_CALM = 6.0
_CALM_SHARE = 0.9
"""The area enclosed by an edge belongs to the graphic where at least this fraction of it has at most this variance."""
_GAP_PX = 9
_FLAT = 3.0
"""Variance caused by codec artifacts on a plain surface."""
_LARGEST_PART = 0.015
"""Fraction of the picture: a larger plain surface is more likely sky than an icon."""
_KEEPS = 0.7
"""Fraction of a graphic's edge that must be found again where the scene does not move."""
_GRID_WH = (9, 6)


@dataclass(slots=True, eq=False)
class _Block:
    """Statistics of a few consecutive frames."""

    first: Float32Array
    second: Float32Array
    """(h, w) sums of the gray levels and of their squares."""
    people: Mask
    """(h, w) where there was a person."""
    world_from_source: list[Transforms] = field(default_factory=list)


class OverlayFinder:
    """Takes a clip's frames in order, with the camera's measured motion; holds a few sums and no frame."""

    def __init__(self, info: VideoInfo) -> None:
        self._size_wh = info.size_wh
        width, height = info.size_wh
        self._ratio = min(1.0, _SHORT_SIDE / min(width, height))
        self._small_wh = max(1, round(width * self._ratio)), max(1, round(height * self._ratio))
        rate = float(info.frame_rate) or 30.0
        self._block_frames = max(1, round(rate * _BLOCK_SECONDS))
        self._step = max(1, round(rate / _MOST_RATE))
        self._blocks: deque[_Block] = deque(maxlen=_WINDOW_BLOCKS)
        self._found: deque[Mask] = deque()
        """Blocks that a later window may still include."""
        self._edges = self._empty()
        self._mask = self._empty()
        """Edges and area of the graphics in the last window."""
        self._packed: list[bytes] = []
        self._frames = 0

    @property
    def known(self) -> Mask | None:
        """(h, w) at a reduced size: the graphics found so far; None where there are none."""
        return self._mask if self._mask.any() else None

    def push(self, luma: NDArray[np.uint8], people_mask: Mask, world_from_source: Transforms, is_cut: bool) -> None:
        """Take the next frame: (H, W) uint8, all people (H, W), the camera's motion (3, 3) since the shot began."""
        if is_cut:
            self._blocks.clear()
        index = self._frames
        self._frames = self._frames + 1
        if index % self._block_frames == 0:
            self._end_block()
            self._found.append(self._empty())
        if index % self._block_frames == 0 or not self._blocks:
            zeros = np.zeros(self._small_wh[::-1], np.float32)
            self._blocks.append(_Block(zeros, zeros.copy(), self._empty()))
        if index % self._step:
            return
        block = self._blocks[-1]
        small = cv2.resize(luma, self._small_wh, interpolation=cv2.INTER_AREA)
        cv2.accumulate(small, block.first)
        cv2.accumulateSquare(small, block.second)
        if not block.world_from_source:
            people = cv2.resize(people_mask.view(np.uint8), self._small_wh, interpolation=cv2.INTER_NEAREST)
            block.people = people.astype(np.bool_)
        block.world_from_source.append(world_from_source)

    def finish(self) -> Overlays:
        """Return the graphics of all frames pushed."""
        self._end_block()
        self._release(0)
        lengths = [len(data) for data in self._packed]
        return Overlays(
            size_wh=self._size_wh,
            small_wh=self._small_wh,
            block_frames=self._block_frames,
            packed=np.frombuffer(b"".join(self._packed), np.uint8),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        )

    def _empty(self) -> Mask:
        return np.zeros(self._small_wh[::-1], np.bool_)

    def _end_block(self) -> None:
        """Evaluate the window that ends here."""
        frames = sum(len(block.world_from_source) for block in self._blocks)
        if len(self._blocks) == _WINDOW_BLOCKS and frames >= _LEAST_FRAMES:
            self._look(frames)
            for found in list(self._found)[-_WINDOW_BLOCKS:]:
                found |= self._mask
        else:
            self._edges = self._empty()
            self._mask = self._empty()
        self._release(_WINDOW_BLOCKS)

    def _release(self, kept: int) -> None:
        while len(self._found) > kept:
            found = self._found.popleft()
            self._packed.append(zlib.compress(np.packbits(found).tobytes(), 1) if found.any() else b"")

    def _look(self, frames: int) -> None:
        mean = np.asarray(sum(block.first for block in self._blocks), np.float32) / np.float32(frames)
        square = np.asarray(sum(block.second for block in self._blocks), np.float32) / np.float32(frames)
        variance = np.maximum(square - mean * mean, 0)
        gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
        gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
        steep = gx * gx + gy * gy
        # Both sides of the edge must change: where the motion reverses, a scene edge leaves one side static.
        worst = np.asarray(cv2.dilate(variance, np.ones((3, 3), np.uint8)), np.float32)
        is_still = (steep >= _LEAST_GRADIENT**2) & (worst < _STILL * steep)
        if not is_still.any():
            self._edges = is_still
            self._mask = is_still.copy()
            return
        people = np.logical_or.reduce([block.people for block in self._blocks])
        clear = (steep >= _GRADIENT_ON_PEOPLE**2) & (worst < _STILL_ON_PEOPLE * steep)
        is_still &= clear | ~people
        new = _graphics(is_still & self._is_crossed(gx, gy, steep), people, variance)
        old = _found_again(self._edges, self._mask, is_still)
        self._edges = new | old
        # Strokes along the motion prove nothing, but belong to the others.
        area = _area(old | (grow(new, _STROKE_PX) & is_still), variance)
        self._mask = area | _plain_parts(area, variance, people & ~self._mask)

    def _is_crossed(self, gx: Float32Array, gy: Float32Array, steep: Float32Array) -> Mask:
        """Return (h, w): whether the scene's motion would change the pixel, given its gradient."""
        world = np.stack([matrix for block in self._blocks for matrix in block.world_from_source])
        source_from_middle = np.linalg.inv(world) @ world[len(world) // 2]
        width, height = self._size_wh
        columns, rows = _GRID_WH
        grid = np.stack(
            np.meshgrid((np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows), axis=-1
        ).reshape(-1, 2)
        places = np.stack([apply_transform(matrix, grid) for matrix in source_from_middle]) * self._ratio
        away = places - places.mean(axis=0)
        spread = np.einsum("tpi,tpj->pij", away, away) / len(world)
        xx, xy, yy = (
            cv2.resize(
                spread[:, i, j].reshape(rows, columns).astype(np.float32),
                self._small_wh,
                interpolation=cv2.INTER_LINEAR,
            )
            for i, j in ((0, 0), (0, 1), (1, 1))
        )
        across = gx * gx * xx + 2 * gx * gy * xy + gy * gy * yy
        return across >= steep * np.maximum(_LEAST_MOTION_PX**2, _ACROSS * (xx + yy))


def _graphics(edges: Mask, people: Mask, variance: Float32Array) -> Mask:
    """Return those edges (h, w) that belong to a graphic: enough of them together, not all on people, next to
    change."""
    kept = np.zeros_like(edges)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grow(edges, _LINK_PX).view(np.uint8))
    height, width = edges.shape
    for label in range(1, count):
        x, y, w, h = stats[label, :4].tolist()
        area = np.s_[max(y - _RING_PX, 0) : min(y + h + _RING_PX, height),
                     max(x - _RING_PX, 0) : min(x + w + _RING_PX, width)]  # fmt: skip
        inside = labels[area] == label
        own = edges[area] & inside
        if np.count_nonzero(own) < _LEAST_EDGE_PX or np.count_nonzero(own & ~people[area]) < _LEAST_FREE_EDGE_PX:
            continue
        ring = grow(own, _RING_PX) & ~grow(own, 2) & ~people[area]
        if np.count_nonzero(variance[area][ring] > _CHANGE) >= _RING_CHANGES * max(int(np.count_nonzero(ring)), 1):
            kept[area] |= own
    return kept


def _found_again(edges: Mask, mask: Mask, is_still: Mask) -> Mask:
    """Return the edges of previously found graphics that are unchanged."""
    if not edges.any():
        return edges
    count, labels = cv2.connectedComponents(grow(mask, 1).view(np.uint8))
    before = np.bincount(labels[edges], minlength=count)
    now = np.bincount(labels[edges & is_still], minlength=count)
    keeps = (now >= _KEEPS * before) & (before > 0)
    return keeps[labels] & edges


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
