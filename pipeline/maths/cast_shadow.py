"""Cast shadows of standing people: a shadow on flat ground is the silhouette sheared about the line of the feet.

A point that lies ``r`` px above the ground in the picture casts its shadow ``right * r`` px to the right of its foot
and ``up * r`` px above it. Two numbers per shot describe sun and camera together: neither has to be known, and the new
person's shadow falls like the original one. They are found by search: the true shear is the one whose shadow lies where
the frame is darker than the same ground at other times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Matte
from pipeline.maths.boxes import Box
from pipeline.maths.channels import is_known
from pipeline.maths.masks import grow
from pipeline.runtime.prefetch import parallel_map
from pipeline.shaped import Shaped, Shapes

FOOT_BH = 0.04
"""Distance of the ground below an ankle, body heights."""
SAMPLE_BODY_PX = 64
"""Body height at which shadows are searched for."""
_RIGHT = np.linspace(-1.8, 1.8, 19)
_UP = np.array([-0.5, -0.35, -0.2, -0.1, 0.1, 0.2, 0.3, 0.4, 0.55, 0.7])
_FINE = np.linspace(-0.08, 0.08, 5)
_FLAT = 0.02
"""Least height of a shadow, which would otherwise be a line."""
_SOFT_BH = (0.004, 0.012, 0.024, 0.048)
_REDUCED_SOFTNESS_PX = 2.5
"""Edge softness that remains when the picture is reduced for it: the loss is then below 1 %."""
_BLUR_PX = 0.6
"""Blur of edges by downscaling."""
_LEAST_DARKNESS = 0.08
_MOST_DARKNESS = 0.85
_STANDS_OUT = 5.0
"""Sum of the darkening over the square root of the number of pixels: 8 to 10 in sunlight, 1 to 3.5 without."""
_LEAST_DIFFERENCE = 0.10
"""Log-ratio by which a shadow is darker than the ground beside it."""
_LEAST_PX = 12


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ShadowSample(Shaped):
    """One frame at ``SAMPLE_BODY_PX``."""

    SHAPES: ClassVar[Shapes] = {"darkening": ("h", "w", 3), "silhouette": ("h", "w")}

    darkening: NDArray[np.float32]
    """(h, w, 3) log-ratio of the frame to the same ground at other times; NaN where that is unknown."""
    silhouette: Matte
    """(h, w)."""
    foot_row: float
    """Row of the ground under the person; infinite where it is not in the picture."""
    body_px: float = SAMPLE_BODY_PX
    shoulders: tuple[float, float] = (np.nan, np.nan)
    """Column and row of their middle, NaN unknown."""
    difference: NDArray[np.float32] | None = None
    """(h, w, 3) levels of the frame minus those of the same place at other times, under people too; NaN unknown."""


@dataclass(frozen=True, slots=True)
class ShadowShape:
    """How a person's shadow falls in a shot."""

    right: float
    up: float
    """Shear, px per px of height; see above."""
    darkness: tuple[float, float, float]
    """Fraction of the linear light that it removes, RGB."""
    softness_bh: float
    """Standard deviation of its edge before the shear, body heights."""


def cast(
    silhouette: Matte,
    foot_row: float,
    right: float,
    up: float,
    softness_px: float = 0.0,
    area_xyxy: Box | None = None,
) -> Matte:
    """Return the shadow (h, w), 0..1, of a silhouette on ground at the row ``foot_row``.

    The edge is softened before the shear: the picture foreshortens a penumbra like the ground. ``area_xyxy`` is the
    part of the silhouette's picture to return, all of it by default.
    """
    height, width = silhouette.shape
    x0, y0, x1, y1 = area_xyxy or (0, 0, width, height)
    shear = np.array([[1, -right, right * foot_row], [0, up, foot_row * (1 - up)], [0, 0, 1]])
    if abs(up) < _FLAT:
        shear[1, :2] = 0, _FLAT
        shear[1, 2] = foot_row * (1 - _FLAT)
    factor = max(1, int(softness_px / _REDUCED_SOFTNESS_PX))
    if factor > 1:
        # After a wide blur a smaller picture loses no detail.
        rows, columns = -(-height // factor), -(-width // factor)
        room = (0, rows * factor - height, 0, columns * factor - width)
        silhouette = cv2.copyMakeBorder(silhouette, *room, cv2.BORDER_REPLICATE)
        silhouette = np.asarray(cv2.resize(silhouette, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
        middle = (factor - 1) / 2
        shear = shear @ np.array([[factor, 0, middle], [0, factor, middle], [0, 0, 1]])
    if softness_px > 0.3:
        silhouette = np.asarray(cv2.GaussianBlur(silhouette, (0, 0), softness_px / factor), np.float32)
    shear[:2, 2] -= x0, y0
    return cv2.warpAffine(silhouette, shear[:2], (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)


def shadow_reach(silhouette_height_px: float, shape_right: float, shape_up: float) -> tuple[int, int, int]:
    """Return how far a shadow reaches to the left, to the right and below the feet, px."""
    sideways = shape_right * silhouette_height_px
    below = max(-shape_up, 0.0) * silhouette_height_px
    return int(max(-sideways, 0)) + 1, int(max(sideways, 0)) + 1, int(below) + 1


def reference_of(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (h, w, 3) logarithm of the unshadowed ground from (K, h, w, 3) views of it, NaN where hidden.

    The upper third of the known values is used: a moving shadow darkens the minority of them. Fewer than four give NaN.
    """
    count = is_known(pictures).sum(axis=0)
    ordered = np.sort(pictures, axis=0)
    row = np.clip(np.floor(0.67 * (count - 1)), 0, None).astype(np.int64)
    reference = np.take_along_axis(ordered, row[None, :, :, None], axis=0)[0]
    reference[count < 4] = np.nan
    return reference


def find_shear(samples: list[ShadowSample]) -> tuple[float, float] | None:
    """Find the shear (right, up) whose shadows are darker than the ground around them; None where there is no clear
    maximum."""
    grays = [np.asarray(sample.darkening.mean(axis=2), np.float32) for sample in samples]
    tried = [(float(right), float(up)) for right in _RIGHT for up in _UP]
    scores = list(parallel_map(lambda shear: _score(samples, grays, *shear), tried))
    shear, (score, difference) = min(zip(tried, scores, strict=True), key=lambda each: each[1][0])
    return shear if score < -_STANDS_OUT and difference < -_LEAST_DIFFERENCE else None


def measure_shadow(samples: list[ShadowSample], shear: tuple[float, float]) -> ShadowShape | None:
    """Refine a shadow from an approximate shear: least absolute differences over shear, softness and darkness.

    None where it is too faint to be visible.
    """
    grounds = [
        _wide(cast(sample.silhouette, sample.foot_row, *shear)) & is_known(sample.darkening) for sample in samples
    ]
    if sum(int(np.count_nonzero(ground)) for ground in grounds) < _LEAST_PX:
        return None
    best = shear
    for steps in ((_FINE, 2 * _FINE), (0.4 * _FINE, 0.5 * _FINE)):
        near = [(best[0] + float(dx), best[1] + float(dy)) for dx in steps[0] for dy in steps[1]]
        fits = list(parallel_map(lambda tried: _fit(samples, grounds, tried, _SOFT_BH[1])[0], near))
        best = near[fits.index(min(fits))]
    softness = min(_SOFT_BH, key=lambda tried: _fit(samples, grounds, best, tried)[0])
    darkness = 1 - np.exp(_fit(samples, grounds, best, softness)[1])
    if darkness.mean() < _LEAST_DARKNESS:
        return None
    red, green, blue = np.clip(darkness, 0, _MOST_DARKNESS)
    return ShadowShape(best[0], best[1], (float(red), float(green), float(blue)), softness)


def _wide(shadow: Matte) -> NDArray[np.bool_]:
    return grow(shadow > 0.5, 7)


def _score(
    samples: list[ShadowSample], grays: list[NDArray[np.float32]], right: float, up: float
) -> tuple[float, float]:
    """Return how much darker the shadow is than its surroundings, summed over pixels and divided by the square root of
    their number, and the mean difference of logarithms."""
    total = 0.0
    pixels = 0
    for sample, gray in zip(samples, grays, strict=True):
        shadow = cast(sample.silhouette, sample.foot_row, right, up) > 0.5
        around = grow(shadow, 4) & ~shadow
        known = np.isfinite(gray)
        inside = gray[shadow & known]
        outside = gray[around & known]
        if len(inside) >= _LEAST_PX and len(outside) >= _LEAST_PX:
            total += float(inside.sum()) - float(outside.mean()) * len(inside)
            pixels += len(inside)
    return (total / np.sqrt(pixels), total / pixels) if pixels else (0.0, 0.0)


def _fit(
    samples: list[ShadowSample], grounds: list[NDArray[np.bool_]], shear: tuple[float, float], softness_bh: float
) -> tuple[float, NDArray[np.float64]]:
    """Return the residual darkening of the ground that a shadow does not explain, and the (3,) logarithm of its
    light."""
    shadows = []
    values = []
    for sample, ground in zip(samples, grounds, strict=True):
        soft = cast(sample.silhouette, sample.foot_row, *shear, softness_bh * SAMPLE_BODY_PX)
        shadows.append(cv2.GaussianBlur(soft, (0, 0), _BLUR_PX)[ground])
        values.append(sample.darkening[ground])
    x, y = np.concatenate(shadows).astype(np.float64), np.concatenate(values).astype(np.float64)
    x, y = x - x.mean(), y - y.mean(axis=0)
    slope = x @ y / max(float(x @ x), 1e-9)
    return float(np.abs(y - x[:, None] * slope).sum()), np.asarray(slope, np.float64)
