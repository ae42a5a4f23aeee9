"""Shadows that a standing person casts on a wall behind or beside them.

On a wall that faces the camera, a distant light throws a copy of the silhouette: moved, a little smaller because the
wall is farther away, or larger where a near lamp throws it. Three numbers per shot describe it for somebody who walks
along the wall. They are found by correlation: the copy lies where the frame is darker than the same wall at other
times. A shadow on the ground does not have that shape, which tells the two apart.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Matte
from pipeline.datatypes.light import WallShape
from pipeline.maths.boxes import Box, box_of_mask
from pipeline.maths.cast_shadow import ShadowSample
from pipeline.maths.channels import is_known
from pipeline.maths.masks import grow

_SCALES = (0.85, 1.0, 1.2)
_SIDEWAYS_BH = 1.4
_VERTICAL_BH = 0.6
"""How far from the person a shadow is searched for."""
_COARSE = 2
"""Reduction for the search."""
_MOST_SAMPLES = 10
_LEAST_SAMPLES = 4
_STEPS_BH = (0.04, 0.02, 0.01, 0.005)
_AROUND = [(x, y) for y in (0, -1, 1) for x in (0, -1, 1)]
"""Steps of the refinement; the first of equal ones wins."""
_SOFT_BH = (0.004, 0.012, 0.024, 0.048)
_STANDS_OUT = 6.0
"""Sum of the darkening over the square root of the number of pixels. A shadow on the ground alone reaches 5."""
_LEAST_DIFFERENCE = 0.12
_LEAST_VISIBLE = 0.15
"""Fraction of the shadow that must be seen beside the person."""
_LEAST_OF_SAMPLES = 0.6
_LEAST_LIKENESS = 0.5
"""Correlation of the darkening with the silhouette."""
_LEAST_DARKNESS = 0.08
_MOST_DARKNESS = 0.85
_CORE = 0.9
"""Strength of a shadow from which it counts as full, and beside it as nothing where it is weaker by that."""
_LEAST_PX = 12
_ENDLESS_BH = 2.0


def throw_on_wall(
    silhouette: Matte,
    shoulders: tuple[float, float],
    body_px: float,
    shape: WallShape,
    *,
    softness_px: float = 0.0,
    area_xyxy: Box | None = None,
) -> Matte:
    """Return the shadow (h, w), 0..1, of a silhouette on a wall; ``shoulders`` are the column and row of their middle.

    ``area_xyxy`` is the part of the silhouette's picture to return, all of it by default.
    """
    height, width = silhouette.shape
    x0, y0, x1, y1 = area_xyxy or (0, 0, width, height)
    column, row = shoulders
    move = np.array(
        [
            [shape.scale, 0, (1 - shape.scale) * column + shape.right * body_px - x0],
            [0, shape.scale, (1 - shape.scale) * row + shape.down * body_px - y0],
        ]
    )
    shadow = cv2.warpAffine(silhouette, move, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    if softness_px > 0.3:
        shadow = cv2.GaussianBlur(shadow, (0, 0), softness_px)
    end = round(row + shape.bottom * body_px) - y0
    shadow[max(end, 0) :] = 0
    return np.asarray(shadow, np.float32)


def throw_of(sample: ShadowSample, shape: WallShape) -> Matte:
    """Return the shadow (h, w) that a shape predicts for a sample; nothing where the shoulders are unknown."""
    if not np.isfinite(sample.shoulders).all():
        return np.zeros(sample.silhouette.shape, np.float32)
    softness_px = shape.softness * sample.body_px
    return throw_on_wall(sample.silhouette, sample.shoulders, sample.body_px, shape, softness_px=softness_px)


def find_wall(samples: list[ShadowSample]) -> WallShape | None:
    """Find where on a wall the shadow falls, approximately; None where there is no clear maximum."""
    usable = _usable(samples)
    if len(usable) < _LEAST_SAMPLES:
        return None
    grays = [np.asarray(sample.darkening.mean(axis=2), np.float32) for sample in usable]
    best: tuple[float, WallShape] | None = None
    for scale in _SCALES:
        score, shape = _best_shift(usable, grays, scale)
        if best is None or score < best[0]:
            best = score, shape
    assert best is not None
    return best[1] if _is_shadow(usable, grays, best[1]) else None


def _best_shift(samples: list[ShadowSample], grays: list[NDArray[np.float32]], scale: float) -> tuple[float, WallShape]:
    """Return the score (see ``_STANDS_OUT``) of the best shift at a scale, and the shape that it gives."""
    body = np.median([sample.body_px for sample in samples]) / _COARSE
    reach_x = round(_SIDEWAYS_BH * body)
    reach_y = round(_VERTICAL_BH * body)
    darkening = np.zeros((2 * reach_y + 1, 2 * reach_x + 1))
    pixels = np.zeros_like(darkening)
    whole = 0.0
    for sample, gray in zip(samples, grays, strict=True):
        maps = _correlated(sample, gray, scale, reach_x, reach_y)
        if maps is not None:
            darkening += maps[0]
            pixels += maps[1]
            whole += maps[2]
    scores = np.where(pixels > _LEAST_VISIBLE * whole, darkening / np.sqrt(np.maximum(pixels, 1)), 0.0)
    row, column = np.unravel_index(np.argmin(scores), scores.shape)
    right, down = float((column - reach_x) / body), float((row - reach_y) / body)
    shape = WallShape(right, down, scale, _ENDLESS_BH, 0.0)
    return float(scores[row, column]), shape


def _correlated(
    sample: ShadowSample, gray: NDArray[np.float32], scale: float, reach_x: int, reach_y: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float] | None:
    """Return how much darker a moved silhouette's pixels are than those around it, summed, and their number, both for
    all shifts; and the silhouette's size. None where there is no silhouette."""
    size_wh = max(gray.shape[1] // _COARSE, 1), max(gray.shape[0] // _COARSE, 1)
    known = np.isfinite(gray).astype(np.float32)
    seen = cv2.resize(known, size_wh, interpolation=cv2.INTER_AREA)
    dark = cv2.resize(np.where(known > 0, gray, 0).astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
    factor = scale / _COARSE
    body_wh = max(round(gray.shape[1] * factor), 1), max(round(gray.shape[0] * factor), 1)
    body = cv2.resize(sample.silhouette, body_wh, interpolation=cv2.INTER_AREA) > 0.5
    x0, y0, x1, y1 = box_of_mask(body)
    column, row = (round(value * factor) for value in sample.shoulders)
    if x1 - x0 < 2 or y1 - y0 < 4 or not (x0 <= column < x1 and y0 <= row < y1):
        return None
    kernel = np.pad(body[y0:y1, x0:x1], 3)
    around = grow(kernel, 2) & ~kernel
    anchor = column - x0 + 3, row - y0 + 3
    here = [round(value / _COARSE) for value in sample.shoulders]
    sums = []
    for picture in (dark, seen):
        # Outside the picture nothing is known.
        wide = cv2.copyMakeBorder(picture, reach_y, reach_y, reach_x, reach_x, cv2.BORDER_CONSTANT)
        for shape in (kernel, around):
            result = cv2.filter2D(
                wide, cv2.CV_32F, shape.astype(np.float32), anchor=anchor, borderType=cv2.BORDER_CONSTANT
            )
            sums.append(result[here[1] : here[1] + 2 * reach_y + 1, here[0] : here[0] + 2 * reach_x + 1])
    if sums[0].shape != (2 * reach_y + 1, 2 * reach_x + 1):
        return None
    inside, outside, count, count_around = (np.asarray(each, np.float64) for each in sums)
    usable = (count > _LEAST_PX / _COARSE) & (count_around > _LEAST_PX / _COARSE)
    darker = inside - count * outside / np.maximum(count_around, 1)
    area = float(_COARSE**2)
    return area * np.where(usable, darker, 0), area * np.where(usable, count, 0), area * float(kernel.sum())


def _is_shadow(samples: list[ShadowSample], grays: list[NDArray[np.float32]], shape: WallShape) -> bool:
    """Return whether a moved silhouette is darker than what is around it, in most of the samples, and looks like it."""
    total = 0.0
    pixels = 0
    differences = []
    for sample, gray in zip(samples, grays, strict=True):
        shadow = throw_of(sample, shape) > 0.5
        known = np.isfinite(gray)
        inside = gray[shadow & known]
        outside = gray[grow(shadow, 4) & ~shadow & known]
        if len(inside) >= _LEAST_PX and len(outside) >= _LEAST_PX:
            total += float(inside.sum()) - float(outside.mean()) * len(inside)
            pixels += len(inside)
            differences.append(float(inside.mean() - outside.mean()))
    if not differences or total / np.sqrt(pixels) > -_STANDS_OUT or total / pixels > -_LEAST_DIFFERENCE:
        return False
    return float(np.mean(np.array(differences) < -_LEAST_DIFFERENCE / 2)) >= _LEAST_OF_SAMPLES


def measure_wall(samples: list[ShadowSample], found: WallShape) -> tuple[WallShape, tuple[float, float, float]] | None:
    """Refine a shadow on a wall and return it with its darkness, RGB: least absolute differences over place, scale,
    softness and darkness; then the row at which it ends. None where it is faint, or not like the silhouette.
    """
    usable = _usable(samples)
    grounds = [grow(throw_of(each, found) > 0.5, 7) & is_known(each.darkening) for each in usable]
    if sum(int(np.count_nonzero(ground)) for ground in grounds) < _LEAST_PX:
        return None
    colors = np.concatenate([each.darkening[ground] for each, ground in zip(usable, grounds, strict=True)])
    colors = colors.astype(np.float64) - colors.mean(axis=0, dtype=np.float64)
    gray = colors.mean(axis=1)

    def shadow_of(shape: WallShape) -> NDArray[np.float64]:
        parts = [throw_of(each, shape)[ground] for each, ground in zip(usable, grounds, strict=True)]
        shadow = np.concatenate(parts).astype(np.float64)
        return shadow - shadow.mean()

    def unexplained(shape: WallShape) -> float:
        shadow = shadow_of(shape)
        slope = float(shadow @ gray) / max(float(shadow @ shadow), 1e-9)
        return float(np.abs(gray - slope * shadow).sum())

    best = replace(found, softness=_SOFT_BH[1])
    for step in _STEPS_BH:
        scaled = [replace(best, scale=best.scale * (1 + 2 * step * sign)) for sign in (0, -1, 1)]
        best = min(scaled, key=unexplained)
        near = [replace(best, right=best.right + step * x, down=best.down + step * y) for x, y in _AROUND]
        best = min(near, key=unexplained)
    best = min((replace(best, softness=tried) for tried in _SOFT_BH), key=unexplained)
    best = replace(best, bottom=_bottom(usable, best))
    shadow = shadow_of(best)
    power = max(float(shadow @ shadow), 1e-9)
    likeness = -float(shadow @ gray) / max(np.sqrt(power * float(gray @ gray)), 1e-9)
    # A regression's slope would be too small: the shape is never quite right.
    inside = shadow > shadow.min() + _CORE
    beside = shadow < shadow.min() + 1 - _CORE
    if not inside.any() or not beside.any():
        return None
    darkness = 1 - np.exp(np.median(colors[inside], axis=0) - np.median(colors[beside], axis=0))
    if likeness < _LEAST_LIKENESS or darkness.mean() < _LEAST_DARKNESS:
        return None
    red, green, blue = (float(value) for value in np.clip(darkness, 0, _MOST_DARKNESS))
    return best, (red, green, blue)


def _usable(samples: list[ShadowSample]) -> list[ShadowSample]:
    """Return the samples in which the shoulders are known, or some of them, evenly spread."""
    known = [sample for sample in samples if np.isfinite(sample.shoulders).all()]
    return known[:: max(1, -(-len(known) // _MOST_SAMPLES))]


def _bottom(samples: list[ShadowSample], shape: WallShape) -> float:
    """Return where the wall ends, body heights below the shoulders: the rows above it are dark inside the shadow."""
    rows = []
    values = []
    for sample in samples:
        gray = sample.darkening.mean(axis=2)
        shadow = throw_of(sample, shape) > 0.7
        beside = grow(shadow, 4) & ~grow(shadow, 1) & np.isfinite(gray)
        if not beside.any():
            continue
        where = np.nonzero(shadow & np.isfinite(gray))
        rows.append((where[0] - sample.shoulders[1]) / sample.body_px)
        values.append(gray[where] - np.median(gray[beside]))
    if not rows:
        return _ENDLESS_BH
    row, value = np.concatenate(rows), np.concatenate(values)
    order = np.argsort(row)
    # Half of the shadow's own depth divides what is dark from what is not.
    half = np.median(value) / 2
    gained = np.cumsum(half - value[order])
    last = int(np.argmax(gained))
    return _ENDLESS_BH if last >= 0.97 * len(order) else float(row[order][last])
