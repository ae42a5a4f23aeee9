"""The time of carrying masks from frame to frame with SAM 2.1, for ``benchmarks.gpu_check``."""

from __future__ import annotations

import time

import numpy as np

from pipeline.models.people.sam_video import SamVideo

_SIZE_WH = (1280, 720)
_WARM_UP = 8
"""Frames until the memory holds as many as it ever does."""
_FRAMES = 12
_BOXES = ((200.0, 80.0, 460.0, 700.0), (700.0, 100.0, 950.0, 690.0))


def seconds_a_frame(carrier: SamVideo) -> dict[int, float]:
    """Return the mean seconds a frame of 720p by the number of people carried: one and two."""
    picture = np.random.default_rng(0).integers(0, 256, (_SIZE_WH[1], _SIZE_WH[0], 3)).astype(np.uint8)
    seconds = {}
    for count in range(1, len(_BOXES) + 1):
        carrier.reset()
        carrier.advance(picture)
        for number, box in enumerate(_BOXES[:count]):
            carrier.start(number, np.array(box))
        for _ in range(_WARM_UP):
            carrier.advance(picture)
        begin = time.perf_counter()
        for _ in range(_FRAMES):
            carrier.advance(picture)
        seconds[count] = round((time.perf_counter() - begin) / _FRAMES, 4)
    carrier.reset()
    return seconds
