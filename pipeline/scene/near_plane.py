"""Find planes before the subject that move against the background: railings, fences, hedges, posts near the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.runtime.compiled import njit
from pipeline.scene.near_fit import planes_through
from pipeline.scene.parallax import RowParallax

_CONTRAST = 8.0
"""Least difference of a pixel from those beside it, gray levels: elsewhere no depth can be told."""
_MOST_SEEDS = 1500
_DEPTH_STEP_PX = 0.5
_DEPTH_REACH_BH = 0.2
_TOLERANCE = np.float32(30.0)
_LEAST_LOOKS = 4
_MATCHED = 9.0
_PEAKED = (1.5, 4.0)
"""Cost of other depths, relative to the best one's and on top of that, from which a depth is certain."""
_PEAK_STEPS = 4
_APART_BH = 0.016
"""Movement against the plate, over all frames, from which a pixel belongs to a layer of its own: depths between the
plate's nodes are less certain."""
_SEED_LOOKS = 6
_ACROSS = np.array([[-0.5, 0.0, 0.5]], np.float32)
_MOST_PLANES = 3
_LEAST_INLIERS = 40
_INLIER_SHARE = 0.25
_LEAST_BEFORE = 20
"""Least points on a plane: where nothing else is known of it, also as a share of all, and where it stands on the ground
before the subject's feet."""
_SHOWN_SHARE = 0.1
"""Share of a plane's points in the first frame that shows enough of it."""
_BEFORE_BH = 0.03
_BELOW_BH = (0.08, 0.3)
"""How far below the feet the ground's depth is read."""
_LEAST_SLOPE = 0.01
"""Least change, per px down the picture, of how far the ground is from an upright plane: along it nothing is told."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One frame around the subject, reduced."""

    number: int
    picture: Picture
    """(h, w, 3) smoothed a little."""
    free: Mask
    """(h, w) where nobody is, nor near."""
    body: Mask
    """(h, w) certainly inside the subject's outline."""
    source_from_view: Transforms
    """(3, 3)."""
    source_wh: tuple[int, int]
    core: Mask
    """(h, w) well inside the subject's mask."""
    unseen: Mask
    """(h, w) along the bones that the mask leaves out: something hides them."""

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.picture.shape[1], self.picture.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A part of a plane into which looks are warped."""

    origin_xy: NDArray[np.float64]
    size_wh: tuple[int, int]

    @classmethod
    def around(cls, looks: Sequence[Look], from_views: Sequence[Transforms]) -> Canvas:
        """Return the canvas that holds all looks."""
        corners = []
        for look, from_view in zip(looks, from_views, strict=True):
            width, height = look.size_wh
            box = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float64)
            corners.append(cv2.perspectiveTransform(box, from_view)[0])
        points = np.concatenate(corners)
        origin = np.floor(points.min(axis=0))
        width, height = np.ceil(points.max(axis=0) - origin).astype(int) + 1
        return cls(origin, (int(width), int(height)))

    def warped(self, picture: Picture, from_view: Transforms) -> Picture:
        """Return a view's picture on the canvas."""
        return np.asarray(cv2.warpPerspective(picture, self._shift() @ from_view, self.size_wh), np.uint8)

    def warped_mask(self, mask: Mask, from_view: Transforms) -> Mask:
        """Return a view's mask on the canvas; False beyond the view."""
        whole = self._shift() @ from_view
        return cv2.warpPerspective(mask.view(np.uint8), whole, self.size_wh, flags=cv2.INTER_NEAREST) > 0

    def _shift(self) -> Transforms:
        return np.array([[1, 0, -self.origin_xy[0]], [0, 1, -self.origin_xy[1]], [0, 0, 1]], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class NearPlane:
    """A plane that moves on its own; positions and depths are plate px divided by the model's ``bin_px``."""

    depth: NDArray[np.float64]
    """(3,) ``p[0] x + p[1] y + p[2]``."""
    num_points: int
    middle_xy: NDArray[np.float64]
    """(2,) of its points, at the anchor."""
    first_look: int
    """The first frame that shows enough of it."""


def near_planes(looks: Sequence[Look], parallax: RowParallax, bin_px: float, body_height: float) -> list[NearPlane]:
    """Return the planes that move on their own on the subject's way, the clearest first.

    ``body_height`` is that of work pictures. Pixels with contrast are compared with the other looks at all depths;
    planes are fitted to those whose depth is certain and not the background's. All looks are of ``parallax.frames``.
    """
    if len(looks) <= _LEAST_LOOKS:
        return []
    rows = np.searchsorted(parallax.frames, [look.number for look in looks]).tolist()
    small = np.diag([1 / bin_px, 1 / bin_px, 1.0])
    to_plate = [
        small @ parallax.plate_from_source[row] @ look.source_from_view for look, row in zip(looks, rows, strict=True)
    ]
    moves = parallax.moves[rows]
    canvas = Canvas.around(looks, to_plate)
    placed = list(zip(looks, to_plate, strict=True))
    pictures = np.stack([canvas.warped(look.picture, at) for look, at in placed])
    free = np.stack([canvas.warped_mask(look.free, at) for look, at in placed])
    way = np.any([canvas.warped_mask(look.body, at) for look, at in placed], axis=0)
    way = cv2.dilate(way.view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    reach = _DEPTH_REACH_BH * body_height
    depths = np.arange(-reach, reach + 1e-6, _DEPTH_STEP_PX)
    found, shown_in = [], []
    for which in np.unique(np.linspace(0, len(looks) - 1, _SEED_LOOKS).astype(int)).tolist():
        seeds = _seeds(pictures[which], free[which] & way, parallax.direction_xy)
        behind = _at_nodes(parallax.plate_depths, seeds[:, ::-1] + canvas.origin_xy, to_plate[which], looks[which])
        steps = (moves - moves[which])[:, None] * parallax.direction_xy
        seeds, behind = _not_behind(pictures, free, steps, which, seeds, behind / bin_px)
        depth, is_own = _own_depths(pictures, free, steps, which, seeds, depths, behind)
        is_own &= np.abs(depth - behind) * np.ptp(moves) > _APART_BH * body_height
        place = seeds[:, ::-1] + canvas.origin_xy + moves[which] * depth[:, None] * parallax.direction_xy
        found.append(np.column_stack([place, depth])[is_own])
        shown_in += [looks[which].number] * np.count_nonzero(is_own)
    points, numbers = np.concatenate(found), np.array(shown_in, np.int64)
    planes = []
    for depth, on_plane in planes_through(points, _LEAST_BEFORE):
        is_before = _stands_before(depth, placed, parallax, bin_px, body_height)
        is_clear = len(on_plane) >= max(_LEAST_INLIERS, _INLIER_SHARE * len(points))
        if is_before or (is_before is None and is_clear):
            known, counts = np.unique(numbers[on_plane], return_counts=True)
            first = int(known[np.argmax(counts >= _SHOWN_SHARE * len(on_plane))])
            planes.append(NearPlane(depth, len(on_plane), points[on_plane, :2].mean(axis=0), first))
    return planes[:_MOST_PLANES]


def plane_from_plate(parallax: RowParallax, plane: NDArray[np.float64], row: int) -> Transforms:
    """Return the motion (3, 3) from a frame's place in the plate to the plane's positions at the anchor, both reduced.

    A point at ``x`` is seen at ``x - move depth(x) direction``, which is linear in ``x``.
    """
    shown = np.eye(3)
    shown[:2] -= parallax.moves[row] * np.outer(parallax.direction_xy, plane)
    return np.asarray(np.linalg.inv(shown), np.float64)


def _stands_before(
    plane: NDArray[np.float64],
    placed: Sequence[tuple[Look, Transforms]],
    parallax: RowParallax,
    bin_px: float,
    body_height: float,
) -> bool | None:
    """Return whether something upright in a plane (3,) stands on the ground nearer than the subject; None if unknown.

    It stands where its depth is the ground's, and before the feet where that is further down in the picture. How
    depths change across the picture depends on what the plate is registered to, but equally for both.
    """
    known = []
    for look, to_plate in placed:
        rows = np.flatnonzero(look.body.any(axis=1))
        height = look.body.shape[0]
        if not len(rows):
            continue
        foot = float(rows[-1])
        source_height = look.source_wh[1]
        scale = look.source_from_view[1, 1]
        last = (source_height - 1 - look.source_from_view[1, 2]) / scale
        low = min(foot + _BELOW_BH[1] * body_height, last)
        if foot >= height - 2 or low - foot < _BELOW_BH[0] * body_height:
            continue
        x = float(np.flatnonzero(look.body[rows[-1]]).mean())
        on_plate = cv2.perspectiveTransform(np.array([[[x, foot], [x, low]]]), to_plate)[0]
        ground = _at_nodes(parallax.plate_depths, on_plate, to_plate, look) / bin_px
        above = ground - on_plate @ plane[:2] - plane[2]
        slope = (above[1] - above[0]) / (low - foot)
        if abs(slope) < _LEAST_SLOPE:
            continue
        known.append(-above[0] * np.sign(slope) > _BEFORE_BH * body_height * abs(slope))
    return bool(np.mean(known) > 0.5) if known else None


def _seeds(picture: Picture, allowed: Mask, direction_xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N, 2) rows and columns of the allowed pixels with contrast along a direction."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slopes = [cv2.filter2D(gray, -1, kernel) for kernel in (_ACROSS, _ACROSS.T)]
    contrast = np.abs(slopes[0] * direction_xy[0] + slopes[1] * direction_xy[1])
    inner = cv2.erode(allowed.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return np.argwhere(inner & (contrast > _CONTRAST))


def _at_nodes(
    nodes: NDArray[np.float32], on_plate: NDArray[np.float64], to_plate: Transforms, look: Look
) -> NDArray[np.float64]:
    """Return (N,) the background's depth, px, at plate positions (N, 2) of a look."""
    if not len(on_plate):
        return np.zeros(0)
    to_source = look.source_from_view @ np.linalg.inv(to_plate)
    source = cv2.perspectiveTransform(on_plate[None], to_source)[0]
    last = np.array(nodes.shape[::-1]) - 1
    at = (source * last / (np.array(look.source_wh) - 1)).astype(np.float32)
    depth = cv2.remap(nodes, at[:, :1], at[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return depth[:, 0].astype(np.float64)


def _not_behind(
    pictures: NDArray[np.uint8],
    free: NDArray[np.bool_],
    steps_xy: NDArray[np.float64],
    which: int,
    seeds: NDArray[np.int64],
    behind: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return some of the ``seeds`` (N, 2) that do not match at the background's depth, ``behind`` (N,), and that."""
    costs = np.full(len(seeds), np.inf, np.float32)
    nearest = np.rint(behind / _DEPTH_STEP_PX) * _DEPTH_STEP_PX
    for depth in np.unique(nearest):
        there = np.flatnonzero(nearest == depth)
        around = depth + _DEPTH_STEP_PX * np.arange(-1, 2)
        matched = np.empty((len(there), len(around)), np.float32)
        _match(pictures, free, steps_xy, which, seeds[there], around, matched)
        costs[there] = matched.min(axis=1)
    left = np.flatnonzero(costs > _PEAKED[1])
    left = left[:: max(1, -(-len(left) // _MOST_SEEDS))]
    return seeds[left], behind[left]


def _own_depths(
    pictures: NDArray[np.uint8],
    free: NDArray[np.bool_],
    steps_xy: NDArray[np.float64],
    which: int,
    seeds: NDArray[np.int64],
    depths: NDArray[np.float64],
    behind: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (N,) the best depth of pixels of the look ``which``, and whether it is certain, and not that of the
    background, ``behind`` (N,)."""
    if not len(seeds):
        return np.zeros(0), np.zeros(0, np.bool_)
    costs = np.empty((len(seeds), len(depths)), np.float32)
    _match(pictures, free, steps_xy, which, seeds, depths, costs)
    best = costs.argmin(axis=1)
    least = costs[np.arange(len(costs)), best]
    sides = [np.clip(best + step, 0, len(depths) - 1) for step in (-_PEAK_STEPS, _PEAK_STEPS)]
    beside = np.minimum(*(costs[np.arange(len(costs)), side] for side in sides))
    on_background = np.clip(np.rint((behind - depths[0]) / _DEPTH_STEP_PX).astype(int), 1, len(depths) - 2)
    for step in (-1, 0, 1):
        beside = np.minimum(beside, costs[np.arange(len(costs)), on_background + step])
    is_sure = (least < _MATCHED) & (beside > _PEAKED[0] * least + _PEAKED[1])
    is_sure &= (best >= _PEAK_STEPS) & (best < len(depths) - _PEAK_STEPS)
    return depths[best], is_sure


@njit(cache=True, nogil=True)
def _match(
    pictures: NDArray[np.uint8],
    free: NDArray[np.bool_],
    steps_xy: NDArray[np.float64],
    which: int,
    seeds: NDArray[np.int64],
    depths: NDArray[np.float64],
    costs: NDArray[np.float32],
) -> None:
    """Fill (N, D) with the mean difference of each pixel, with those above and below it, from the other looks that see
    it free, if it has that depth."""
    count, height, width = free.shape
    for s in range(len(seeds)):
        row, column = seeds[s]
        for d in range(len(depths)):
            total = np.float32(0)
            seen = 0
            for i in range(count):
                x = column - steps_xy[i, 0] * depths[d]
                y = row - steps_xy[i, 1] * depths[d]
                left, top = int(np.floor(x)), int(np.floor(y))
                if i == which or left < 0 or top < 1 or left + 1 >= width or top + 2 >= height:
                    continue
                if not (free[i, top, left] and free[i, top + 1, left + 1]):
                    continue
                fx, fy = np.float32(x - left), np.float32(y - top)
                apart = np.float32(0)
                for beside in range(-1, 2):
                    worst = np.float32(0)
                    for channel in range(3):
                        upper = pictures[i, top + beside, left, channel] * (1 - fx)
                        upper += pictures[i, top + beside, left + 1, channel] * fx
                        lower = pictures[i, top + beside + 1, left, channel] * (1 - fx)
                        lower += pictures[i, top + beside + 1, left + 1, channel] * fx
                        there = upper + (lower - upper) * fy
                        worst = max(worst, abs(there - np.float32(pictures[which, row + beside, column, channel])))
                    apart += min(worst, _TOLERANCE) / np.float32(3)
                total += apart
                seen += 1
            costs[s, d] = total / seen if seen >= _LEAST_LOOKS else _TOLERANCE
