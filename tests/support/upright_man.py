"""The silhouette of a man who stands upright, 96 px tall."""

from __future__ import annotations

import cv2
import numpy as np

FOOT_PX = 150.0
"""Row of the soles."""
HEIGHT_PX = 96.0


def upright_man(x: float, size_wh: tuple[int, int]) -> np.ndarray:
    """Return (height, width) of the man around column ``x``."""
    man = np.zeros(size_wh[::-1], np.uint8)
    center = round(x)
    cv2.ellipse(man, (center, 64), (7, 9), 0, 0, 360, 1, -1)
    cv2.rectangle(man, (center - 11, 74), (center + 11, 110), 1, -1)
    for side in (-7, 7):
        cv2.rectangle(man, (center + side - 4, 110), (center + side + 4, 149), 1, -1)
    return man.astype(bool)
