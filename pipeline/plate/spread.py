"""How anchors are distributed over a shot: by time, and closer together where the camera moves fast."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.maths.geometry import apply_transform

_MOST_MOVED = 0.35
"""Fraction of the picture's width and height: two neighboring anchors then share most of their view."""
_LEAST_GAP = 4
"""Frames. In a faster pan nothing is sharp."""


def spread_anchors(
    frames: NDArray[np.int64], spacing: float, world_from_source: Transforms, size_wh: tuple[int, int]
) -> list[int]:
    """Spread anchors evenly from the first to the last of the ``frames`` (ascending), each on one of them.

    They lie at most ``spacing`` frames apart, and close enough that the picture's center moves by at most a third of it
    between two of them: in a fast pan a frame would otherwise lie outside both of its plates.
    """
    span = int(frames[-1] - frames[0])
    count = max(1, int(np.ceil(span / max(spacing, 1.0))) + 1) if span else 1
    anchors = [int(frames[len(frames) // 2])]
    if count > 1:
        aims = np.linspace(frames[0], frames[-1], count)
        anchors = sorted({int(frames[np.argmin(np.abs(frames - aim))]) for aim in aims})
    again = True
    while again:
        again = False
        for before, after in pairwise(list(anchors)):
            middle = int(frames[np.argmin(np.abs(frames - (before + after) / 2))])
            if after - before < 2 * _LEAST_GAP or middle in (before, after):
                continue
            if _moved(world_from_source, before, after, size_wh) > _MOST_MOVED:
                anchors.append(middle)
                again = True
        anchors.sort()
    return anchors


def _moved(world_from_source: Transforms, frame: int, other: int, size_wh: tuple[int, int]) -> float:
    """Return the distance between the centers of two frames, in units of the picture's size."""
    middle = np.array([[(size_wh[0] - 1) / 2, (size_wh[1] - 1) / 2]])
    other_from_frame = np.linalg.inv(world_from_source[other]) @ world_from_source[frame]
    return float(np.abs((apply_transform(other_from_frame, middle) - middle)[0] / size_wh).max())
