"""The candidates of one anchor's plate, and what is known about each once it is registered to the anchor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import Box
from pipeline.maths.light import apply_light
from pipeline.maths.uneven_light import LightField
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
    uneven: LightField | None
    """What of that light differs from place to place in the anchor."""
    tier: int
    """Of sharpness, 0 the sharpest."""
    is_relit: bool = False
    """Whether it fits the anchor only because ``uneven`` is taken into account: matched light is less exact where it
    differs much, so such candidates serve where fewer than three others do."""

    def lit(self, view: Picture, box_xyxy: Box, size_wh: tuple[int, int]) -> Picture:
        """Return what the candidate shows in a box of the anchor (h, w, 3), in the anchor's light."""
        lit = apply_light(view, self.light)
        return lit if self.uneven is None else self.uneven.applied(lit, box_xyxy, size_wh)
