"""Appearance similarity of two people, part by part."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def mean_histogram(color_histograms: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (3, 70) square roots of the mean histograms of (N, 3, 70); a part that was never visible is all zero.

    See ``Track.color_histograms``; the rows have length 1.
    """
    weights = ((color_histograms.astype(np.float64) / 255) ** 2).sum(axis=0)
    total = weights.sum(axis=1, keepdims=True)
    return np.sqrt(weights / np.where(total > 0, total, 1))


def bhattacharyya(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Return the mean Bhattacharyya coefficient, 0..1, of the parts visible in both; None where there is none.

    Measured on walk_a and clips made from it: the same man from frame to frame 0.97 to 1.00, in two shots 0.99, in a
    close-up against full body 0.94; in other clothes 0.52 to 0.75.
    """
    both = a.any(axis=1) & b.any(axis=1)
    if not both.any():
        return None
    return float((a[both] * b[both]).sum(axis=1).mean())
