"""Display colors and linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def linear_from_srgb(srgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """IEC 61966-2-1, 0..1 both."""
    low = srgb / 12.92
    high = np.power((np.maximum(srgb, 0.04045) + 0.055) / 1.055, 2.4)
    return np.where(srgb <= 0.04045, low, high).astype(np.float32)
