"""The common light of a scene, where it changes from one frame to the next: lamps that are switched, stage light, a
flash, a jump of the exposure. Far quicker than anything that is sampled a few times per second."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Picture
from pipeline.maths.light import linear_of

_BLOCKS_WH = (12, 8)
_STEP_PX = 8
_LEVELS = (0.004, 0.85)
"""Linear light of blocks that tell: of darker ones a level is a large part, brighter ones are partly clipped."""
_LEAST_BLOCKS = 24
_LEAST_STEP = 0.06
"""Smallest change of the logarithm in one frame; slower ones are seen in samples of the light itself."""
_ALIKE = 0.35
"""Largest median deviation of the blocks' changes from the common one, relative to it: a camera that moves, and who
passes close to it, change the blocks differently."""
_NOISE = 0.01


class LightSteps:
    """Takes a clip's frames in order."""

    def __init__(self) -> None:
        self._before: Float64Array | None = None
        self._steps: list[Float64Array] = []

    def push(self, picture: Picture) -> None:
        """Take the next frame, (H, W, 3) sRGB."""
        linear = linear_of(np.ascontiguousarray(picture[::_STEP_PX, ::_STEP_PX]))
        blocks = cv2.resize(linear, _BLOCKS_WH, interpolation=cv2.INTER_AREA).reshape(-1, 3).astype(np.float64)
        before, self._before = self._before, blocks
        self._steps.append(np.zeros(3) if before is None else _step(before, blocks))

    def finish(self) -> NDArray[np.float32] | None:
        """Return (T, 3): the logarithm of the light in each frame, but for slow changes, relative to the first frame;
        None where there were slow changes alone. What it tells across cuts means nothing."""
        steps = np.array(self._steps).reshape(-1, 3)
        return np.cumsum(steps, axis=0).astype(np.float32) if steps.any() else None


def _step(before: Float64Array, after: Float64Array) -> Float64Array:
    """Return the (3,) common change of the logarithm between blocks (N, 3); 0 where they have none."""
    most = np.maximum(before, after)
    usable = (most.min(axis=1) > _LEVELS[0]) & (most.max(axis=1) < _LEVELS[1])
    if np.count_nonzero(usable) < _LEAST_BLOCKS:
        return np.zeros(3)
    floor = _LEVELS[0] / 4
    changes = np.log((after[usable] + floor) / (before[usable] + floor))
    common = np.median(changes, axis=0)
    size = float(np.abs(common).max())
    away = np.median(np.abs(changes - common), axis=0)
    if size < _LEAST_STEP or float(away.max()) > _ALIKE * size + _NOISE:
        return np.zeros(3)
    return np.asarray(common, np.float64)
