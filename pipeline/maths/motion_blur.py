"""Length and direction of a motion blur, from what it does to the picture's gradient.

An open shutter smears every edge into a ramp as long as the motion. Along the motion the gradient of a sharp picture is
almost white; blurred by a bar, its autocorrelation has a minimum at the bar's length, where the one end of each ramp
meets the other (Yitzhaky and Kopeika, "Identification of blur parameters from motion blurred images", 1997). Unlike the
steepness of the edges it does not depend on how sharp the picture's own edges are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask
from pipeline.shaped import Shaped, Shapes

_MEASURED_PX = 300
"""The longer side of the part at which it is measured."""
_CALM = 0.7
"""Blur (px) before the gradient is computed, to suppress noise."""
_LEAST_DEPTH = 0.12
"""Of the autocorrelation at 0. A bar over isolated edges gives 0.5; measured on people 0.15 to 0.45."""
_AS_DEEP = 0.7
"""Of the deepest minimum; the first as deep is the bar's, further ones are distances between edges."""
_RANGE = (0.8, 2.6)
"""Ratios to the expected length: steepness underestimates a long blur, since a limb is narrower than it."""
_TURNS = (0.0, -6.0, 6.0, -12.0, 12.0)
"""Degrees from the expected direction, which is off by up to that for a slanting motion."""
_WIDENED_PX = 0.5
"""By how much the blur before the gradient moves the minimum."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MotionBar(Shaped):
    """A motion at constant speed while the shutter is open."""

    SHAPES: ClassVar[Shapes] = {"along": (2,)}

    length_px: float
    along: NDArray[np.float64]
    """(2,) its direction (x, y), a unit vector of either sign."""


def find_motion(
    gray: NDArray[np.float32], where: Mask, along: NDArray[np.float64], expected_px: float
) -> MotionBar | None:
    """Find the motion blur of a part of a picture (h, w); None where nothing confirms one.

    ``along`` (2,) is roughly its direction, a unit vector (x, y), and ``expected_px`` roughly its length.
    """
    x0, y0, x1, y1 = box_of_mask(where)
    factor = max(1.0, max(x1 - x0, y1 - y0) / _MEASURED_PX)
    lags = np.arange(int(_RANGE[0] * expected_px / factor), int(np.ceil(_RANGE[1] * expected_px / factor)) + 2)
    if lags[0] < 2:
        return None
    best: MotionBar | None = None
    deepest = -_LEAST_DEPTH
    for degrees in _TURNS:
        cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        turned = np.array([[cosine, -sine], [sine, cosine]]) @ along
        correlation = _autocorrelation(gray, where, turned, factor, int(lags[-1]) + 1)
        if correlation is None:
            return None
        lag = _first_minimum(correlation, lags)
        if lag is not None and correlation[lag] < deepest:
            deepest = float(correlation[lag])
            best = MotionBar((lag - _WIDENED_PX) * factor, turned)
    return best


def _first_minimum(correlation: NDArray[np.float64], lags: NDArray[np.int64]) -> int | None:
    """Return the first of the ``lags`` with a minimum about as deep as the deepest; None where there is none."""
    inner = correlation[lags[1:-1]]
    is_minimum = (inner <= correlation[lags[:-2]]) & (inner <= correlation[lags[2:]])
    deep = is_minimum & (inner <= _AS_DEEP * min(float(inner.min()), 0.0))
    return int(lags[1:-1][np.argmax(deep)]) if deep.any() else None


def _autocorrelation(
    gray: NDArray[np.float32], where: Mask, along: NDArray[np.float64], factor: float, count: int
) -> NDArray[np.float64] | None:
    """Return the first ``count`` values of the autocorrelation of a part's gradient along a direction, at the size
    reduced by ``factor``; 1 at 0. None where the part is uniform."""
    x0, y0, x1, y1 = box_of_mask(where)
    room = count + 2
    side = int(np.hypot(x1 - x0, y1 - y0) / factor) + 2 * room
    turn = np.array([[along[0], along[1]], [-along[1], along[0]]]) / factor
    middle = np.array([(x0 + x1 - 1) / 2, (y0 + y1 - 1) / 2])
    turned_from = np.hstack([turn, (np.full(2, (side - 1) / 2) - turn @ middle)[:, None]])
    # Reduced by area: a picture sampled sparsely would lose the ramps between the samples.
    calm = cv2.GaussianBlur(gray, (0, 0), _CALM * factor)
    turned = cv2.warpAffine(calm, turned_from, (side, side), borderMode=cv2.BORDER_REPLICATE)
    part = cv2.warpAffine(where.view(np.uint8), turned_from, (side, side), flags=cv2.INTER_NEAREST)
    # The silhouette's own ramps begin and end outside of it.
    part = cv2.dilate(part, np.ones((1, 2 * (count // 4) + 1), np.uint8))
    gradient = np.diff(turned, axis=1) * part[:, 1:]
    length = cv2.getOptimalDFTSize(gradient.shape[1] + count)
    power = np.square(np.abs(np.fft.rfft(gradient, n=length, axis=1))).sum(axis=0)
    correlation = np.fft.irfft(power)[:count]
    return correlation / correlation[0] if correlation[0] > 0 else None
