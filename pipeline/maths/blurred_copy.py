"""A blurred, enlarged copy of a picture that an editor put behind it, to fill another shape of frame.

Outside of the box of the picture itself, the frame shows ``gain * blur(enlarge(picture)) + constant``. That is
linear: what changes in the picture changes the copy by ``gain * blur(enlarge(change))``, whatever the constant is.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.datatypes.blurred_copy import BlurredCopy
from pipeline.maths.boxes import Box

_ITERATIONS = (80, 60)
"""With and without letters that lie on the copy."""
_FIRST_STEPS = (0.05, 0.05, 0.03, 0.03, 0.4)
"""Logarithms of the scales, fractions of the frame, logarithm of the blur."""
_OUTLIER = 3.0
"""Of the median deviation: letters that lie on the copy."""
_LEAST_OUTLIER = 3.0
"""Gray levels."""
_LEAST_USED = 0.6
"""Share of what lies outside of the box that must belong to the copy."""
_LEAST_EXPLAINED = 0.98
"""Of the variance there. 0.99 and more on copies with letters on them; on scenes without one, 0.97 at most of 66
boxes."""
_GAINS = (0.15, 1.2)
_LEAST_COVER = 0.97
"""Of the frame's sides that an enlarged picture covers."""
_LEAST_BLUR_PX = 1.0
"""At the size at which a copy is fitted."""


def change_of_copy(copy: BlurredCopy, change: Float32Array, box_xyxy: Box, size_wh: tuple[int, int]) -> Float32Array:
    """Return (H, W, ...) by how much a frame's copy changes where its picture changes by ``change`` (h, w, ...), up
    to four channels, in a box."""
    across, down = copy.scale_xy
    # Blurred before it is enlarged: the same, with fewer pixels.
    blurred = cv2.GaussianBlur(change, (0, 0), copy.sigma_px / across, sigmaY=copy.sigma_px / down)
    x, y = (
        scale * (first + 0.5) + offset - 0.5
        for scale, first, offset in zip(copy.scale_xy, box_xyxy, copy.offset_xy, strict=False)
    )
    matrix = np.array([[across, 0, x], [0, down, y]])
    enlarged = cv2.warpAffine(blurred, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(enlarged, np.float32) * np.float32(copy.gain)


def fit_blurred_copy(frames: NDArray[np.uint8], box_xyxy: Box, outside: Mask, first: BlurredCopy) -> BlurredCopy | None:
    """Return the copy that up to four gray ``frames`` (h, w, n) have ``outside`` (h, w) of a box; ``first`` is a guess
    (its gain does not matter). None where no blurred copy explains them."""
    height, width = outside.shape
    x0, y0, x1, y1 = box_xyxy
    inside = frames[y0:y1, x0:x1].astype(np.float32)
    shown = frames[outside].astype(np.float32)
    used = np.ones(shown.shape, np.bool_)

    def copy_of(values: NDArray[np.float64]) -> BlurredCopy:
        across, down = (before * float(np.exp(step)) for before, step in zip(first.scale_xy, values, strict=False))
        # Around the middle, so that scales and offsets do not depend on each other.
        x, y = (
            (before - scale) * size / 2 + offset + step * size
            for before, scale, size, offset, step in zip(
                first.scale_xy, (across, down), (width, height), first.offset_xy, values[2:], strict=False
            )
        )
        return BlurredCopy((across, down), (float(x), float(y)), first.sigma_px * float(np.exp(values[4])), 1.0)

    def expected(values: NDArray[np.float64]) -> Float32Array:
        enlarged = change_of_copy(copy_of(values), inside, box_xyxy, (width, height))
        return enlarged.reshape(frames.shape)[outside]

    def unexplained(values: NDArray[np.float64]) -> float:
        return 1.0 - float(np.corrcoef(expected(values)[used], shown[used])[0, 1]) ** 2

    values = np.zeros(len(_FIRST_STEPS))
    simplex = np.vstack([values, np.diag(_FIRST_STEPS)])
    for iterations in _ITERATIONS:
        options = {"initial_simplex": simplex + values, "maxiter": iterations, "xatol": 1e-3, "fatol": 1e-5}
        values = np.asarray(minimize(unexplained, values, method="Nelder-Mead", options=options).x, np.float64)
        of_copy = expected(values)
        gain, constant = np.polyfit(of_copy[used].astype(np.float64), shown[used], 1).tolist()
        away = np.abs(gain * of_copy + constant - shown)
        used = away <= max(_LEAST_OUTLIER, _OUTLIER * float(np.median(away)))
    copy = replace(copy_of(values), gain=gain)
    covered = min(copy.scale_xy[0] * (x1 - x0) / width, copy.scale_xy[1] * (y1 - y0) / height)
    is_sure = (
        used.mean() >= _LEAST_USED
        and 1.0 - unexplained(values) >= _LEAST_EXPLAINED
        and _GAINS[0] <= gain <= _GAINS[1]
        and covered >= _LEAST_COVER
        and copy.sigma_px >= _LEAST_BLUR_PX
    )
    return copy if is_sure else None
