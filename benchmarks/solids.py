"""Simple solids in the true 3D of walk_a, as the clip's true camera sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, load_truth

WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
UP = np.array([0.0, 0.0, 1.0])
_SUN = np.array([-0.4, -0.6, 0.7])

Point = NDArray[np.float64]
"""(3,) m, in the clip's world."""
Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A cuboid."""

    center: Point
    axes: NDArray[np.float64]
    """(3, 3) rows: unit vectors of its sides."""
    halves_m: tuple[float, float, float]
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A stick, strap or limb between two points."""

    first: Point
    second: Point
    radius_m: float
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """A sphere."""

    center: Point
    radius_m: float
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Canopy:
    """An open umbrella, its apex up."""

    apex: Point
    radius_m: float
    height_m: float
    rgb: Color


Shape = Box | Tube | Ball | Canopy


def faces(shape: Shape, frame: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Yield the visible convex outlines (K, 2) px of a shape and their colors, farther ones first."""
    if isinstance(shape, Box):
        yield from _sides(shape, frame)
        return
    rgb = np.array(shape.rgb, np.float32)
    if isinstance(shape, Tube):
        ends = np.stack([project(shape.first, frame), project(shape.second, frame)])
        radii = [radius_px(point, shape.radius_m, frame) for point in (shape.first, shape.second)]
        yield _hull([_circle(end, radius) for end, radius in zip(ends, radii, strict=True)]), rgb
    elif isinstance(shape, Ball):
        at, radius = project(shape.center, frame), radius_px(shape.center, shape.radius_m, frame)
        yield _circle(at, radius), 0.8 * rgb
        yield _circle(at - 0.15 * radius, 0.8 * radius), rgb
    else:
        angles = np.linspace(0, 2 * np.pi, 13)
        rim = [
            shape.apex + shape.radius_m * np.array([np.cos(a), np.sin(a), 0.0]) - shape.height_m * UP for a in angles
        ]
        for first, second in sorted(pairwise(rim), key=lambda pair: -depth(pair[0], frame)):
            outline = np.stack([project(point, frame) for point in (shape.apex, first, second)])
            side = np.cross(first - shape.apex, second - shape.apex)
            yield _hull([outline]), _lit(rgb, side * np.sign(side[2]))


def _sides(box: Box, frame: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    eye = _eye(frame)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = sign * box.axes[axis]
            middle = box.center + normal * box.halves_m[axis]
            if normal @ (eye - middle) <= 0:
                continue
            first, second = (k for k in range(3) if k != axis)
            yield _rectangle(box, middle, (first, second), 1.0, frame), _lit(np.array(box.rgb, np.float32), normal)
            # A pocket or a label: things are seldom of one color.
            lighter = np.array(box.rgb, np.float32) * 0.8 + 40
            yield _rectangle(box, middle, (first, second), 0.45, frame), _lit(lighter, normal)


def _rectangle(box: Box, middle: Point, sides: tuple[int, int], size: float, frame: int) -> NDArray[np.float64]:
    first, second = (size * box.halves_m[k] * box.axes[k] for k in sides)
    corners = (middle + first + second, middle + first - second, middle - first - second, middle - first + second)
    return _hull([np.stack([project(corner, frame) for corner in corners])])


def _lit(rgb: NDArray[np.float32], normal: Point) -> NDArray[np.float32]:
    light = 0.6 + 0.4 * max(0.0, float(normal @ _SUN) / float(np.linalg.norm(normal) * np.linalg.norm(_SUN)))
    return np.asarray(rgb * np.float32(light))


def middle(shape: Shape) -> Point:
    """Return the point (3,) m by whose depth a shape is ordered."""
    if isinstance(shape, Tube):
        return np.asarray((shape.first + shape.second) / 2)
    return shape.apex if isinstance(shape, Canopy) else shape.center


def _hull(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return cv2.convexHull(np.concatenate(parts).astype(np.float32))[:, 0].astype(np.float64)


def _circle(center: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    return center + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def project(point: Point, frame: int) -> NDArray[np.float64]:
    """Return where the camera sees a point, (2,) px."""
    truth = load_walk_a()
    seen = truth.RT[frame, :, :3] @ point + truth.RT[frame, :, 3]
    return np.asarray((truth.K[frame] @ seen)[:2] / seen[2])


def depth(point: Point, frame: int) -> float:
    """Return a point's distance along the camera's axis, m."""
    truth = load_walk_a()
    return float(truth.RT[frame, 2, :3] @ point + truth.RT[frame, 2, 3])


def radius_px(point: Point, radius_m: float, frame: int) -> float:
    """Return the radius at which a small sphere around a point is seen."""
    return float(load_walk_a().K[frame, 0, 0] * radius_m / depth(point, frame))


def _eye(frame: int) -> Point:
    pose = load_walk_a().RT[frame]
    return np.asarray(-pose[:, :3].T @ pose[:, 3])


@lru_cache(maxsize=1)
def load_walk_a() -> Truth:
    """Return the ground truth of the clip."""
    return load_truth(WALK_A)


@lru_cache(maxsize=1)
def joints() -> NDArray[np.float64]:
    """Return the subject's true joints, (T, 17, 3) m."""
    with np.load(WALK_A / "gt.npz") as saved:
        return saved["keypoints3d"].astype(np.float64)
