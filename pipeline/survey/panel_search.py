"""Find a translucent panel between two pictures of the same scene: one without it, one with it.

Beneath a panel the later picture is a fixed slope times the earlier one plus a fixed offset. The line that fits the
changed pixels best is searched first, then the rectangle that gains most by it (Kadane's maximum sum, in two
dimensions).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow

SLOPES = (0.1, 0.93)
"""Of panels that are told from opaque graphics, and from light that changes."""
_MEAN = np.full((1, 3), 1 / 3, np.float32)
_CHANGED = 7.0
"""Gray levels."""
_FITS = 5.0
"""Gray levels by which a pixel beneath a panel may differ from the line."""
_OF_TYPICAL = 3.0
"""The same, relative to the median of the picture."""
_BLUR_PX = 1.5
"""Fine texture does not lie exactly where the camera's motion leads."""
_LEAST_CHANGED = 150
_TRIES = 120
_SAMPLES = 300
_LEAST_SHARE = 0.2
"""Share of the changed pixels that must agree with a line."""
_SEED = 5
_MOST_GAIN = 12.0
"""Gray levels that one pixel can gain: letters on the panel are no evidence against it."""
_PRICE = 0.7
"""Gray levels that a pixel must gain: beyond the panel chance gains a little."""
_LEAST_WIDTH = 0.1
_LEAST_HEIGHT = 0.035
"""Fractions of the picture."""
_LEAST_INLIERS = 0.4
_LEAST_SPREAD = 5.0
"""Standard deviation of what lies beneath: on a plain surface no slope shows."""
_LEAST_CORRELATION = 0.85
_EXPLAINED = 0.4
"""Largest residual beneath the panel, relative to the change."""
_RING_PX = 3
_RING_CHANGE = 0.4
"""Largest change around the panel, relative to that inside."""


@dataclass(frozen=True, slots=True)
class PanelGuess:
    """A panel at a reduced size."""

    box_xyxy: Box
    slope: float
    """1 - opacity."""
    color: tuple[float, float, float]
    """RGB, 0..255."""


def find_panel(before_rgb: Float32Array, after_rgb: Float32Array, valid: Mask) -> PanelGuess | None:
    """Return the clearest panel that ``after_rgb`` (h, w, 3) has and ``before_rgb`` has not; ``valid`` (h, w) are the
    pixels that show the same of the scene in both. None where there is none."""
    before, after = (cv2.GaussianBlur(cv2.transform(each, _MEAN), (0, 0), _BLUR_PX) for each in (before_rgb, after_rgb))
    change = cv2.absdiff(after, before)
    least = (
        max(_CHANGED, _OF_TYPICAL * float(np.median(change[::2, ::2][valid[::2, ::2]])))
        if valid[::2, ::2].any()
        else _CHANGED
    )
    changed = cv2.morphologyEx((valid & (change > least)).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    if not changed.any() or _largest_part(changed) < _LEAST_CHANGED:
        return None
    line = _line_of(before[changed], after[changed])
    if line is None:
        return None
    residual = np.abs(after - line[0] * before - line[1])
    gain = np.clip(change - residual, -_MOST_GAIN, _MOST_GAIN) - np.float32(_PRICE)
    gain[~valid] = 0
    height, width = change.shape
    halved = cv2.resize(gain, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    left, top, right, bottom = _largest_sum(np.asarray(halved, np.float32))
    x0, y0, x1, y1 = box = (2 * left, 2 * top, 2 * right, 2 * bottom)
    if x1 - x0 < _LEAST_WIDTH * width or y1 - y0 < _LEAST_HEIGHT * height:
        return None
    return _judged(before_rgb, after_rgb, valid, box, line)


def _largest_part(changed: Mask) -> int:
    count, labels = cv2.connectedComponents(changed.view(np.uint8))
    return int(np.bincount(labels.ravel(), minlength=max(count, 2))[1:].max())


def _line_of(before: Float32Array, after: Float32Array) -> tuple[float, float] | None:
    """Return slope and offset that most of the pixels (N,) agree with (RANSAC over pairs, then least squares)."""
    random = np.random.default_rng(_SEED)
    one, two = random.integers(0, len(before), (2, _TRIES))
    apart = before[two] - before[one]
    usable = np.abs(apart) > 2 * _FITS
    if not usable.any():
        return None
    slopes = (after[two] - after[one])[usable] / apart[usable]
    offsets = after[one][usable] - slopes * before[one][usable]
    inside = (slopes >= SLOPES[0]) & (slopes <= SLOPES[1])
    if not inside.any():
        return None
    some = random.integers(0, len(before), min(len(before), _SAMPLES))
    away = np.abs(after[some] - slopes[inside, None] * before[some] - offsets[inside, None])
    agree = np.count_nonzero(away < _FITS, axis=1)
    best = int(np.argmax(agree))
    if agree[best] < _LEAST_SHARE * len(some):
        return None
    line = float(slopes[inside][best]), float(offsets[inside][best])
    for _ in range(3):
        near = np.abs(after - line[0] * before - line[1]) < _FITS
        fitted = _least_squares(before[near], after[near])
        if fitted is None or not SLOPES[0] <= fitted[0] <= SLOPES[1]:
            return None
        line = fitted
    return line


def _least_squares(x: Float32Array, y: Float32Array) -> tuple[float, float] | None:
    if len(x) < _LEAST_CHANGED // 2 or float(np.var(x)) < 1.0:
        return None
    slope, offset = np.polyfit(x.astype(np.float64), y.astype(np.float64), 1)
    return float(slope), float(offset)


def _judged(
    before_rgb: Float32Array, after_rgb: Float32Array, valid: Mask, box: Box, line: tuple[float, float]
) -> PanelGuess | None:
    """Return the panel of a box and a line, if it fits inside and nothing has changed around it."""
    x0, y0, x1, y1 = box
    inside = np.zeros(valid.shape, np.bool_)
    inside[y0:y1, x0:x1] = True
    ring = grow(inside, _RING_PX + 1) & ~grow(inside, 1) & valid
    inside &= valid
    if np.count_nonzero(inside) < _LEAST_CHANGED:
        return None
    before_rgb, after_rgb = (cv2.GaussianBlur(each, (0, 0), _BLUR_PX) for each in (before_rgb, after_rgb))
    before, after = (cv2.transform(each, _MEAN) for each in (before_rgb, after_rgb))
    residual = np.abs(after - line[0] * before - line[1])
    fits = inside & (residual < _FITS)
    if np.count_nonzero(fits) < _LEAST_INLIERS * np.count_nonzero(inside):
        return None
    x, y = before[fits], after[fits]
    change = float(np.abs(y - x).mean())
    if float(x.std()) < _LEAST_SPREAD or float(np.corrcoef(x, y)[0, 1]) < _LEAST_CORRELATION:
        return None
    if float(residual[fits].mean()) > _EXPLAINED * change:
        return None
    if ring.any() and float(np.median(np.abs(after - before)[ring])) > _RING_CHANGE * change:
        return None
    offsets = np.median(after_rgb[fits] - line[0] * before_rgb[fits], axis=0)
    red, green, blue = np.clip(offsets / (1 - line[0]), 0, 255).tolist()
    return PanelGuess(box, line[0], (red, green, blue))


def _largest_sum(gain: Float32Array) -> Box:
    """Return the rectangle of (h, w) with the largest sum."""
    height, width = gain.shape
    below = np.vstack([np.zeros((1, width), np.float32), np.cumsum(gain, axis=0, dtype=np.float32)])
    best = 0.0
    box = (0, 0, 0, 0)
    for top in range(height):
        sums = below[top + 1 :] - below[top]
        total = np.hstack([np.zeros((len(sums), 1), np.float32), np.cumsum(sums, axis=1)])
        lowest = np.minimum.accumulate(total, axis=1)
        rise = total - lowest
        at = int(np.argmax(rise))
        row, right = divmod(at, width + 1)
        if rise[row, right] > best:
            best = float(rise[row, right])
            left = int(np.argmin(total[row, : right + 1]))
            box = (left, top, right, top + 1 + row)
    return box


def moved(picture: Float32Array, target_from_picture: Float64Array) -> tuple[Float32Array, Mask]:
    """Return a picture (h, w, 3) as it is seen from another frame, and where (h, w) that is known."""
    height, width = picture.shape[:2]
    warped = cv2.warpPerspective(picture, target_from_picture, (width, height), flags=cv2.INTER_LINEAR)
    known = cv2.warpPerspective(
        np.ones((height, width), np.uint8), target_from_picture, (width, height), flags=cv2.INTER_NEAREST
    )
    return np.asarray(warped, np.float32), np.asarray(known > 0, np.bool_)
