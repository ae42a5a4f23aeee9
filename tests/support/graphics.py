"""Burnt-in graphics with known masks."""

from __future__ import annotations

import zlib

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.survey import Overlays


def one_graphic(mask: Mask, first: int, last: int) -> Overlays:
    """Return a graphic (H, W) that is shown from one frame to another, both included."""
    height, width = mask.shape
    packed = np.frombuffer(zlib.compress(np.packbits(mask).tobytes()), np.uint8)
    return Overlays(
        size_wh=(width, height),
        small_wh=(width, height),
        spans=np.array([[first, last]]),
        boxes_xyxy=np.array([[0, 0, width, height]]),
        packed=packed,
        offsets=np.array([0, len(packed)]),
        borders=np.empty((0, 6), np.int64),
    )
