"""The candidates of one anchor's plate, and what is known about each once it is registered to the anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.plate.anchors import AnchorPlan
from pipeline.plate.warp import Warp


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of one anchor."""

    plan: AnchorPlan
    pictures: dict[int, Picture]
    grades: dict[int, NDArray[np.uint8]]
    people: Mask
    """(H, W) what hides the background in the anchor, without the margin of its grades."""
    guesses: dict[int, Transforms]
    """frame -> (3, 3) candidate from anchor."""
    motions: dict[int, Transforms]
    """frame -> (3, 3) the next frame from the previous one; not at the ends of a shot."""
    height: float
    brief_frames: float
    """Number of frames in which a place shows one moment."""

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.plan.size_wh


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """One candidate, registered to the anchor."""

    frame: int
    picture: Picture
    grade: NDArray[np.uint8]
    warp: Warp
    light: NDArray[np.float64]
    """(2, 3) gain and offset that match its light to the anchor's."""
    tier: int
    """Of sharpness, 0 the sharpest."""
