"""Measure the blur of a part of a picture, and match another part to it: defocus and motion as one covariance.

The sharpness of an edge is measured by blurring it slightly more (Zhuo and Sim, "Defocus map estimation from a single
image", 2011): a sharp edge loses much of its slope, a blurred one little. Edges in all directions together give the
covariance of the blur: isotropic for defocus, elongated for motion. A natural picture has soft edges even where it is
sharp, so the sharpest edges of each direction are used.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.runtime.compiled import njit

Covariance = NDArray[np.float64]
"""(2, 2) px squared, x and y."""

_CALM = 0.7
"""Blur (px) before gradients are computed, to suppress noise."""
_MORE = 1.5
"""Additional blur (px) for the comparison."""
_STRONG = 0.80
"""Quantile of slopes above which a pixel lies on an edge."""
_SHARPEST = 0.15
_LEAST_SLOPE = 2.0
"""Levels per px."""
_DIRECTIONS = 8
_AXES = np.stack(
    [np.cos(np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS), np.sin(np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS)],
    axis=-1,
)
_DESIGN = np.stack([_AXES[:, 0] ** 2, 2 * _AXES[:, 0] * _AXES[:, 1], _AXES[:, 1] ** 2], axis=-1)
"""(directions, 3): what of a covariance's xx, xy and yy is the variance along each axis."""
_ALONG = float(np.cos(np.pi / 12))
"""Cosine of the angle to an axis within which an edge counts for it."""
_LEAST_EDGES = 12
_SOFT_PX = 1.3
_FACTORS = (8, 4, 2)
_WIDE_PX = 0.85
"""Of a picture made smaller: edges that are sharp at their full size measure 0.2 to 0.6."""
_MEASURED_SHARE = 0.61
"""Measured fraction of a blur's variance: the sharpest edges of each direction underestimate it."""
_MOST_PX2 = 30.0
_MOTION_WIDTH = 0.25
"""Ratio of a blur's variances: a narrower one is motion. Defocus with few edges measures 0.5 and more."""
_ROUND_WIDTH = 0.5
"""Ratio of a blur's variances from which on it is defocus, whatever direction the edges of the clothes favor."""
_GRID_PX2 = 0.1


def measure_blur(gray: NDArray[np.float32], where: Mask) -> Covariance | None:
    """Return the blur's covariance over a part of a picture (h, w); None where it shows too few edges.

    What is not sharp at its full size is measured at the smallest size at which it is still soft: the ends of a long
    bar's ramps are as sharp as those of a short one, and a blur far wider than the added one cannot be told from a
    wider one.
    """
    found = _measured(gray, where)
    if found is None or _long_px(found) < _SOFT_PX:
        return found
    for factor in _FACTORS:
        size_wh = max(gray.shape[1] // factor, 1), max(gray.shape[0] // factor, 1)
        small = cv2.resize(gray, size_wh, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(where.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA)
        measured = _measured(np.asarray(small, np.float32), np.asarray(cover > 0.5, np.bool_))
        if measured is not None and _long_px(measured) > _WIDE_PX:
            return measured * factor**2
    return found


def _long_px(covariance: Covariance) -> float:
    return float(np.sqrt(np.linalg.eigvalsh(covariance)[1]))


def _measured(gray: NDArray[np.float32], where: Mask) -> Covariance | None:
    calm = cv2.GaussianBlur(gray, (0, 0), _CALM)
    soft = cv2.GaussianBlur(gray, (0, 0), float(np.hypot(_CALM, _MORE)))
    slope_x, slope_y, soft_slope = gradients_in(calm, soft, where, int(np.count_nonzero(where)))
    slope = np.sqrt(slope_x**2 + slope_y**2)
    if len(slope) < 4 * _LEAST_EDGES:
        return None
    least = max(_quantile(slope, _STRONG), _LEAST_SLOPE)
    blur2, directions = _blur_of_edges(slope_x, slope_y, slope, soft_slope, np.float32(least), _AXES)
    sharpest = _quantiles(blur2, directions, _SHARPEST, _LEAST_EDGES)
    known = np.isfinite(sharpest)
    if np.count_nonzero(known) < 4:
        return None
    xx, xy, yy = np.linalg.lstsq(_DESIGN[known], sharpest[known], rcond=None)[0]
    return _without_negative(np.array([[xx, xy], [xy, yy]]))


@njit(cache=True, nogil=True)
def _quantile(values: NDArray[np.floating], share: float) -> float:
    """Return a quantile of values (N,), N > 0, interpolated linearly: numpy's own takes as long for its arguments as
    for the few values of a direction."""
    place = (len(values) - 1) * share
    below = int(place)
    parted = np.partition(values, below)
    low = np.float64(parted[below])
    high = np.float64(parted[below + 1 :].min()) if below + 1 < len(values) else low
    return float(low + (high - low) * (place - below))


@njit(cache=True, nogil=True)
def _quantiles(
    values: NDArray[np.float64], directions: NDArray[np.bool_], share: float, least: int
) -> NDArray[np.float64]:
    """Return (A,) a quantile of the values (E,) that count for each direction (A, E); NaN for fewer than ``least``."""
    found = np.full(len(directions), np.nan)
    for k in range(len(directions)):
        near = values[directions[k]]
        if len(near) >= least:
            found[k] = _quantile(near, share)
    return found


@njit(cache=True, nogil=True)
def _blur_of_edges(
    slope_x: NDArray[np.float32],
    slope_y: NDArray[np.float32],
    slope: NDArray[np.float32],
    soft_slope: NDArray[np.float32],
    least: np.float32,
    axes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the squared blur (E,) of the pixels on edges, and which of the ``axes`` (A, 2) each counts for, (A, E)."""
    count = 0
    for i in range(len(slope)):
        count += slope[i] > least and soft_slope[i] > 0.5 * _LEAST_SLOPE
    blur2 = np.empty(count, np.float64)
    directions = np.empty((len(axes), count), np.bool_)
    # A step blurred by s has the slope 1 / sqrt(s² + c²) after a blur by c more.
    calm2 = _CALM**2
    soft2 = _CALM**2 + _MORE**2
    n = 0
    for i in range(len(slope)):
        if not (slope[i] > least and soft_slope[i] > 0.5 * _LEAST_SLOPE):
            continue
        ratio2 = (np.float64(slope[i]) / soft_slope[i]) ** 2
        value = (soft2 - calm2 * ratio2) / (ratio2 - 1) if ratio2 > 1.001 else _MOST_PX2
        blur2[n] = min(max(value, 0.0), _MOST_PX2)
        for k in range(len(axes)):
            along = abs(slope_x[i] * axes[k, 0] + slope_y[i] * axes[k, 1])
            directions[k, n] = along > _ALONG * slope[i]
        n += 1
    return blur2, directions


@njit(cache=True, nogil=True)
def gradients_in(
    calm: NDArray[np.float32], soft: NDArray[np.float32], where: Mask, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the Sobel gradients (count,) of the denoised picture along x and y, and the blurred one's magnitude, in a
    mask."""
    height, width = where.shape
    slope_x = np.empty(count, np.float32)
    slope_y = np.empty(count, np.float32)
    soft_slope = np.empty(count, np.float32)
    eighth = np.float32(1 / 8)
    two = np.float32(2)
    n = 0
    for r in range(height):
        # The border is mirrored about the last sample, as OpenCV does.
        up = r - 1 if r > 0 else min(1, height - 1)
        down = r + 1 if r < height - 1 else max(height - 2, 0)
        for c in range(width):
            if not where[r, c]:
                continue
            left = c - 1 if c > 0 else min(1, width - 1)
            right = c + 1 if c < width - 1 else max(width - 2, 0)
            for k in range(2):
                picture = calm if k == 0 else soft
                a, b, d = picture[up, left], picture[up, c], picture[up, right]
                e, f = picture[r, left], picture[r, right]
                g, h, i = picture[down, left], picture[down, c], picture[down, right]
                x = ((d - a) + two * (f - e) + (i - g)) * eighth
                y = ((g - a) + two * (h - b) + (i - d)) * eighth
                if k == 0:
                    slope_x[n] = x
                    slope_y[n] = y
                else:
                    soft_slope[n] = np.sqrt(x * x + y * y)
            n += 1
    return slope_x, slope_y, soft_slope


def _without_negative(covariance: Covariance) -> Covariance:
    values, axes = np.linalg.eigh(covariance)
    return (axes * np.maximum(values, 0)) @ axes.T


def lacking_blur(wanted: Covariance, there: Covariance, least_px: float) -> Covariance | None:
    """Return the blur that turns ``there`` into ``wanted``; None below ``least_px`` in every direction.

    From there to 1.5 times that it fades in, so that a clip near the threshold does not flicker.
    """
    lacking = _without_negative(wanted - there) / _MEASURED_SHARE
    most_px = float(np.sqrt(np.linalg.eigvalsh(lacking)[1]))
    onset = min((most_px - least_px) / (0.5 * least_px), 1.0)
    return lacking * onset if onset > 0 else None


def is_motion(narrow: float, long: float) -> bool:
    """Return whether a blur of these variances across and along is motion rather than defocus."""
    return narrow < _MOTION_WIDTH * long


def rounded(covariance: Covariance) -> Covariance:
    """Return a blur with as much variance along as across where it is defocus; motion stays, and between the two it is
    rounded in part.

    Defocus has no direction: where folds and seams make the edges of one direction softer, the difference is theirs.
    """
    (narrow, long), axes = np.linalg.eigh(covariance)
    ratio = narrow / max(long, 1e-9)
    share = np.clip((ratio - _MOTION_WIDTH) / (_ROUND_WIDTH - _MOTION_WIDTH), 0, 1)
    variances = np.array([narrow, long])
    return np.asarray((axes * (variances + share * (variances.mean() - variances))) @ axes.T)


def motion_covariance(length_px: float, along: NDArray[np.float64], narrow_px2: float) -> Covariance:
    """Return the covariance of a motion blur of a length along a unit vector (2,), and a variance across it."""
    return narrow_px2 * np.eye(2) + length_px**2 / 12 * np.outer(along, along)


def blur_kernel(covariance: Covariance) -> NDArray[np.float32]:
    """Return a kernel (n, n) of a covariance, its sum 1; n is odd.

    A Gaussian, or, where the blur is far longer than wide, a uniform bar: the motion blur of an open shutter.
    """
    (narrow, long), axes = np.linalg.eigh(covariance)
    is_bar = is_motion(narrow, long)
    # A bar of length l has the variance l² / 12.
    length_px = float(np.sqrt(12 * (long - narrow))) if is_bar else 0.0
    spread = np.diag([narrow, narrow if is_bar else long]) + 0.02 * np.eye(2)
    radius = max(1, int(np.ceil(length_px / 2 + 2.6 * np.sqrt(spread[1, 1]))))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    across = x * axes[0, 0] + y * axes[1, 0]
    along = x * axes[0, 1] + y * axes[1, 1]
    if is_bar:
        # Sample points closer than a pixel, each splatted bilinearly.
        spread += _GRID_PX2 * np.eye(2)
    weights = np.zeros(x.shape)
    for shift in np.linspace(-length_px / 2, length_px / 2, 2 * int(np.ceil(length_px)) + 1):
        weights += np.exp(-0.5 * (across**2 / spread[0, 0] + (along - shift) ** 2 / spread[1, 1]))
    return np.asarray(weights / weights.sum(), np.float32)
