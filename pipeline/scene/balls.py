"""Balls near the subject: round, of constant size and color, and moving differently from the subject and the
background.

A ball is recognized by its shape, so that it is found even where the background behind it was never seen, and is
complete in every frame. Circles are found by the Hough gradient transform, then linked over time (``ball_tracks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask, Picture
from pipeline.maths.reduce import reduced
from pipeline.shaped import Shaped, Shapes

BODY_PX = 240
"""Body height at which circles are detected."""
_RADIUS_BH = (0.026, 0.12)
"""From a handball next to a tall adult to a large beach ball in front of a child."""
_GRADIENT = 150.0
_WARM_GRADIENT = 300.0
_ROUNDNESS = 0.6
"""OpenCV's ``param1`` (of lightness and of color) and ``param2`` of ``HOUGH_GRADIENT_ALT``."""
_LEAST_APART_PX = 8
_MOST_CIRCLES = 16
_CALM_PX = 1.0
_SPOKES = 24
_EDGE_LAB = 14.0
_EDGE_SHARE = 0.75
"""Fraction of the outline at which the color changes."""
_ROOM_PX = 0.5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Circles(Shaped):
    """Circles detected in one frame, source px."""

    SHAPES: ClassVar[Shapes] = {"centers_xy": ("K", 2), "radii_px": ("K",), "colors": ("K", 3)}

    frame: int
    centers_xy: Float64Array
    """(K, 2)."""
    radii_px: Float64Array
    """(K,)."""
    colors: Float64Array
    """(K, 3) median Lab inside: words may lie on it."""

    def without(self, mask: Mask, origin_xy: tuple[int, int], factor: float) -> Circles:
        """Return those of which less than half lies in a mask (h, w), a part of the frame made smaller."""
        height, width = mask.shape
        kept = []
        for (x, y), radius in zip(self.centers_xy, self.radii_px / factor, strict=True):
            column = (x - origin_xy[0] + 0.5) / factor - 0.5
            row = (y - origin_xy[1] + 0.5) / factor - 0.5
            low = max(0, int(row - radius)), max(0, int(column - radius))
            high = min(height, int(row + radius) + 2), min(width, int(column + radius) + 2)
            rows, columns = np.ogrid[low[0] : high[0], low[1] : high[1]]
            disc = (columns - column) ** 2 + (rows - row) ** 2 <= radius**2
            inside = mask[low[0] : high[0], low[1] : high[1]] & disc
            kept.append(np.count_nonzero(inside) < 0.5 * np.count_nonzero(disc))
        which = np.array(kept, np.bool_)
        return Circles(self.frame, self.centers_xy[which], self.radii_px[which], self.colors[which])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BodyPath(Shaped):
    """What balls are distinguished from, in all frames: joints in source px, the subject's height, and the background's
    motion."""

    SHAPES: ClassVar[Shapes] = {
        "joints_xy": ("T", "J", 2),
        "hips_xy": ("T", 2),
        "height_px": ("T",),
        "world_from_source": ("T", 3, 3),
    }

    joints_xy: Float64Array
    """(T, J, 2) of head, hands and feet, NaN where not known."""
    hips_xy: Float64Array
    """(T, 2)."""
    height_px: Float64Array
    """(T,)."""
    world_from_source: Float64Array
    """(T, 3, 3)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Balls(Shaped):
    """Discs by frame, source px."""

    SHAPES: ClassVar[Shapes] = {"frames": ("N",), "discs": ("N", 3)}

    frames: NDArray[np.int64]
    """(N,) ascending; a frame may occur more than once."""
    discs: Float64Array
    """(N, 3): x, y, radius."""

    @classmethod
    def none(cls) -> Balls:
        """Return an empty set of balls."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 3)))

    @classmethod
    def load(cls, path: Path) -> Balls:
        """Read what ``save`` wrote; none where there is no file."""
        if not path.exists():
            return cls.none()
        with np.load(path) as saved:
            return cls(saved["frames"], saved["discs"])

    def save(self, path: Path) -> None:
        """Write to a file."""
        np.savez(path, frames=self.frames, discs=self.discs)

    def mask(self, frame: int, box_xyxy: tuple[int, int, int, int]) -> Mask | None:
        """Return the (h, w) mask of the balls in a box of a frame; None where there are none."""
        discs = self.discs[np.searchsorted(self.frames, frame) : np.searchsorted(self.frames, frame, side="right")]
        if not len(discs):
            return None
        x0, y0, x1, y1 = box_xyxy
        columns, rows = np.arange(x0, x1), np.arange(y0, y1)[:, None]
        found = np.zeros((y1 - y0, x1 - x0), np.bool_)
        for x, y, radius in discs:
            found |= (columns - x) ** 2 + (rows - y) ** 2 <= (radius + _ROOM_PX) ** 2
        return found


def find_circles(frame: int, picture: Picture, origin_xy: tuple[int, int], height_px: float) -> Circles:
    """Return the circles whose outline is an edge in a part of a frame, (h, w, 3) RGB with its corner at
    ``origin_xy``."""
    factor = max(1.0, height_px / BODY_PX)
    size_wh = max(1, round(picture.shape[1] / factor)), max(1, round(picture.shape[0] / factor))
    small = cv2.GaussianBlur(reduced(picture, size_wh), (0, 0), _CALM_PX)
    low, high = (radius * height_px / factor for radius in _RADIUS_BH)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    circles = np.vstack([_hough(lab[..., 0], _GRADIENT, low, high), _hough(_warmth(lab), _WARM_GRADIENT, low, high)])
    lab = lab.astype(np.float32)
    kept = []
    colors = []
    for x, y, radius in circles:
        inside, outside = (_around(lab, x, y, radius * scale) for scale in (0.8, 1.25))
        if np.mean(np.linalg.norm(inside - outside, axis=1) > _EDGE_LAB) >= _EDGE_SHARE:
            kept.append((x, y, radius))
            colors.append(np.median(np.vstack([inside, _around(lab, x, y, radius * 0.4)]), axis=0))
    discs = np.array(kept, np.float64).reshape(-1, 3)
    centers = (discs[:, :2] + 0.5) * factor - 0.5 + origin_xy
    return Circles(frame, centers, discs[:, 2] * factor, np.array(colors, np.float64).reshape(-1, 3))


def _warmth(lab: Picture) -> NDArray[np.uint8]:
    """Return (h, w): how red and yellow each pixel is; an orange ball may be as bright as a brick wall."""
    warm = 2 * (lab[..., 1].astype(np.int16) + lab[..., 2] - 256) + 128
    return np.asarray(warm.clip(0, 255), np.uint8)


def _hough(gray: NDArray[np.uint8], gradient: float, low: float, high: float) -> Float64Array:
    """Return (K, 3) circles: x, y, radius."""
    found = cv2.HoughCircles(
        np.ascontiguousarray(gray),
        cv2.HOUGH_GRADIENT_ALT,
        1.5,
        _LEAST_APART_PX,
        param1=gradient,
        param2=_ROUNDNESS,
        minRadius=max(3, round(low)),
        maxRadius=max(4, round(high)),
    )
    return np.zeros((0, 3)) if found is None else found[0, :_MOST_CIRCLES, :3].astype(np.float64)


def _around(lab: NDArray[np.float32], x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Return (spokes, 3) the colors along a circle; the picture's border is replicated outside."""
    angles = np.arange(_SPOKES) * (2 * np.pi / _SPOKES)
    columns = np.clip(np.rint(x + radius * np.cos(angles)), 0, lab.shape[1] - 1).astype(int)
    rows = np.clip(np.rint(y + radius * np.sin(angles)), 0, lab.shape[0] - 1).astype(int)
    return lab[rows, columns].astype(np.float64)
