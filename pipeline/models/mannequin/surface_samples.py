"""Samples of the figure's surface in a picture that it was fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.maths.smoothing import smoothstep

FACING = (0.05, 0.45)
"""Cosines between which a view's weight rises: grazing views smear."""


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceSamples:
    """Every sample of the drawn surface in one picture."""

    colors: NDArray[np.float32]
    """(T, S, 3) the picture's color there."""
    facing: NDArray[np.float32]
    """(T, S) cosine to the camera."""
    seen: NDArray[np.bool_]
    """(T, S) nothing is in front of it."""
    own_part: NDArray[np.bool_]
    """(T, S) what lies in front belongs to the same part of the body."""
    x: NDArray[np.float32]
    """(T, S) sampling position in the picture, px; likewise y."""
    y: NDArray[np.float32]

    def facing_weight(self, ends: tuple[float, float] = FACING) -> NDArray[np.float32]:
        """Return (T, S) a weight that rises from 0 to 1 between two cosines to the camera."""
        return smoothstep((self.facing - ends[0]) / (ends[1] - ends[0])).astype(np.float32)
