"""How fast the picture moves from frame to frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.maths.geometry import apply_transform, corners_of

FAST = 1.0
"""Camera motion in one frame, per cent of the picture's diagonal, above which motion blur is likely."""


def frame_speeds(world_from_source: Transforms, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return (T,): how far the picture moves to the next frame or from the previous one, whichever is less.

    Per cent of the picture's diagonal, measured at the corners, so that roll counts too.
    """
    if len(world_from_source) < 2:
        return np.zeros(len(world_from_source))
    corners = corners_of(size_wh)
    steps = np.array(
        [
            np.linalg.norm(apply_transform(np.linalg.inv(after) @ before, corners) - corners, axis=1).mean()
            for before, after in pairwise(world_from_source)
        ]
    )
    slower = np.minimum(np.append(steps, steps[-1]), np.append(steps[0], steps))
    return 100 * slower / np.hypot(*size_wh)
