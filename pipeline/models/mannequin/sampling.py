"""Sample a picture at fractional positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.compiled import njit


def sample_picture(picture: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bilinear colors of ``picture`` (h, w, c) at x, y (any shape), the border is replicated. ``cv2.remap`` stops at
    32,766 points a side."""
    out = _bilinear(picture, np.ravel(x).astype(np.float32), np.ravel(y).astype(np.float32))
    return out.reshape(*x.shape, picture.shape[2])


@njit(cache=True, nogil=True, fastmath=False)
def _bilinear(picture: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width, channels = picture.shape
    out = np.empty((len(x), channels), np.float32)
    for n in range(len(x)):
        px, py = min(max(x[n], 0.0), width - 1.0), min(max(y[n], 0.0), height - 1.0)
        x0, y0 = min(int(px), max(width - 2, 0)), min(int(py), max(height - 2, 0))
        x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
        fx, fy = px - x0, py - y0
        for k in range(channels):
            top = picture[y0, x0, k] * (1 - fx) + picture[y0, x1, k] * fx
            low = picture[y1, x0, k] * (1 - fx) + picture[y1, x1, k] * fx
            out[n, k] = top * (1 - fy) + low * fy
    return out
