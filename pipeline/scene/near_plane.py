"""Find a plane near the subject that moves against the background: a railing, a fence, a hedge close to the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.runtime.compiled import njit
from pipeline.scene.parallax import RowParallax

_CONTRAST = 8.0
"""Least difference of a pixel from those beside it, gray levels: elsewhere no depth can be told."""
_MOST_SEEDS = 1500
_DEPTH_STEP_PX = 0.5
_DEPTH_REACH_BH = 0.15
_TOLERANCE = np.float32(30.0)
_LEAST_LOOKS = 4
_MATCHED = 9.0
_PEAKED = (1.5, 4.0)
"""Cost of other depths, relative to the best one's and on top of that, from which a depth is certain."""
_PEAK_STEPS = 4
_APART_PX = 1.5
"""Movement against the plate, over all frames, from which a pixel belongs to a layer of its own."""
_FIT_PX = 0.7
_TRIALS = 300
_LEAST_TRIANGLE = 100.0
"""Twice the area of a sample: points close together tell no slope."""
_SEED_LOOKS = 6
_ACROSS = np.array([[-0.5, 0.0, 0.5]], np.float32)
_LEAST_INLIERS = 40
_INLIER_SHARE = 0.25
_MOST_SLOPE = 0.25, 0.8
"""Change of a depth along rows and along columns over the largest that is tried, per body height: steeper planes are
chance. A fence on the ground to which a plate is registered does not move at its foot, and most at its top."""


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


def near_plane(
    looks: Sequence[Look], parallax: RowParallax, bin_px: float, body_height: float
) -> tuple[NDArray[np.float64], int] | None:
    """Return (3,) the depth ``p[0] x + p[1] y + p[2]`` of a plane that moves on its own on the subject's way, and how
    many points lie on it; None where there is none.

    Positions are plate px divided by ``bin_px``, as are depths and ``body_height``. Pixels with contrast are compared
    with the other looks at all depths; a plane is fitted by random sampling (RANSAC: Fischler and Bolles 1981) to
    those whose depth is certain and not the background's. All looks are of ``parallax.frames``.
    """
    if len(looks) <= _LEAST_LOOKS:
        return None
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
    found = []
    for which in np.unique(np.linspace(0, len(looks) - 1, _SEED_LOOKS).astype(int)):
        seeds = _seeds(pictures[which], free[which] & way, parallax.direction_xy)
        on_plate = seeds[:, ::-1] + canvas.origin_xy
        behind = _at_nodes(parallax.plate_depths, on_plate, to_plate[which], looks[which], bin_px)
        depth, is_own = _own_depths(
            pictures, free, moves - moves[which], parallax.direction_xy, int(which), seeds, depths, behind
        )
        is_own &= np.abs(depth - behind) * np.ptp(moves) > _APART_PX
        place = on_plate + moves[which] * depth[:, None] * parallax.direction_xy
        found.append(np.column_stack([place, depth])[is_own])
    return _fitted_plane(np.concatenate(found), np.array(_MOST_SLOPE) * _DEPTH_REACH_BH)


def plane_from_plate(parallax: RowParallax, plane: NDArray[np.float64], row: int) -> Transforms:
    """Return the motion (3, 3) from a frame's place in the plate to the plane's positions at the anchor, both reduced.

    A point at ``x`` is seen at ``x - move depth(x) direction``, which is linear in ``x``.
    """
    shown = np.eye(3)
    shown[:2] -= parallax.moves[row] * np.outer(parallax.direction_xy, plane)
    return np.asarray(np.linalg.inv(shown), np.float64)


def _seeds(picture: Picture, allowed: Mask, direction_xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return (N, 2) rows and columns of the allowed pixels with contrast along a direction."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slopes = [cv2.filter2D(gray, -1, kernel) for kernel in (_ACROSS, _ACROSS.T)]
    contrast = np.abs(slopes[0] * direction_xy[0] + slopes[1] * direction_xy[1])
    inner = cv2.erode(allowed.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    seeds = np.argwhere(inner & (contrast > _CONTRAST))
    return seeds[:: max(1, -(-len(seeds) // _MOST_SEEDS))]


def _at_nodes(
    nodes: NDArray[np.float32], on_plate: NDArray[np.float64], to_plate: Transforms, look: Look, bin_px: float
) -> NDArray[np.float64]:
    """Return (N,) the background's depth at plate positions (N, 2) of a look, reduced by ``bin_px``."""
    if not len(on_plate):
        return np.zeros(0)
    to_source = look.source_from_view @ np.linalg.inv(to_plate)
    source = cv2.perspectiveTransform(on_plate[None], to_source)[0]
    last = np.array(nodes.shape[::-1]) - 1
    at = np.clip(np.rint(source * last / (np.array(look.source_wh) - 1)), 0, last).astype(int)
    return np.asarray(nodes[at[:, 1], at[:, 0]] / bin_px, np.float64)


def _own_depths(
    pictures: NDArray[np.uint8],
    free: NDArray[np.bool_],
    moves: NDArray[np.float64],
    direction_xy: NDArray[np.float64],
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
    _match(pictures, free, moves[:, None] * direction_xy, which, seeds, depths, costs)
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


def _fitted_plane(
    points: NDArray[np.float64], most_slope: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int] | None:
    """Return (3,) the plane through most of the points (N, 3) x, y, depth, and how many lie on it; None where too few
    do."""
    if len(points) < _LEAST_INLIERS:
        return None
    middle = points[:, :2].mean(axis=0)
    design = np.column_stack([points[:, :2] - middle, np.ones(len(points))])
    depth = points[:, 2]
    random = np.random.default_rng(0)
    best = np.zeros(len(points), np.bool_)
    for _ in range(_TRIALS):
        chosen = random.choice(len(points), 3, replace=False)
        if abs(np.linalg.det(design[chosen])) < _LEAST_TRIANGLE:
            continue
        plane = np.linalg.solve(design[chosen], depth[chosen])
        fits = np.abs(design @ plane - depth) < _FIT_PX
        if (np.abs(plane[:2]) < most_slope).all() and fits.sum() > best.sum():
            best = fits
    if best.sum() < max(_LEAST_INLIERS, _INLIER_SHARE * len(points)):
        return None
    plane = np.linalg.lstsq(design[best], depth[best], rcond=None)[0]
    return np.array([plane[0], plane[1], plane[2] - plane[:2] @ middle]), int(best.sum())
