"""Background that no frame shows: inpainted once, and propagated from plate to plate.

Inpainted independently at each anchor it would change between them, which shows as flicker in a static place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.maths.patch_fill import fill_by_patches
from pipeline.plate.anchors import AnchorPlan
from pipeline.settings import FillMethod
from pipeline.shaped import Shaped, Shapes

_RING_PX = 12
"""Ring around the hole in which the light of the propagated pixels is matched."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FilledPlate(Shaped):
    """The complete plate of an anchor."""

    SHAPES: ClassVar[Shapes] = {"picture": ("H", "W", 3), "good": ("H", "W"), "world_from_anchor": (3, 3)}

    picture: Picture
    good: Mask
    """(H, W) where it was seen or inpainted with the chosen method."""
    world_from_anchor: Transforms
    shot_start: int

    def view(self, world_from_anchor: Transforms) -> tuple[Picture, Mask]:
        """Return the view of it from another anchor of the shot, (H, W, 3), and where that is reliable."""
        h, w = self.picture.shape[:2]
        this_from_there = np.linalg.inv(world_from_anchor) @ self.world_from_anchor
        picture = cv2.warpPerspective(self.picture, this_from_there, (w, h), flags=cv2.INTER_CUBIC)
        good = cv2.warpPerspective(self.good.astype(np.uint8) * 255, this_from_there, (w, h), flags=cv2.INTER_LINEAR)
        return np.asarray(picture, np.uint8), np.asarray(good == 255, np.bool_)


def fill_unseen(
    plate: Picture,
    seen: Mask,
    plan: AnchorPlan,
    world_from_anchor: Transforms,
    before: FilledPlate | None,
    method: FillMethod,
) -> FilledPlate:
    """Return an anchor's plate (H, W, 3) with everything filled that is not ``seen`` (H, W).

    Pixels known in the plate ``before`` of the same shot are taken over. What remains of the area that the plan needs
    is filled by the ``method``, the rest, which is never shown, by smooth interpolation.
    """
    unseen = ~seen
    hole = unseen & plan.needed_mask
    if not unseen.any():
        return FilledPlate(plate, seen, world_from_anchor, plan.shot_start)
    smooth = fill_hole(plate, unseen, "ns" if method == "ns" else "telea")
    if before is not None and before.shot_start == plan.shot_start and hole.any():
        picture, good = before.view(world_from_anchor)
        lit = match_light(picture, plate, grow(hole, _RING_PX) & good & seen)
        taken = hole & good
        smooth = np.where(taken[..., None], lit, smooth)
        hole &= ~taken
        seen = seen | taken
    if method == "patches" and hole.any():
        smooth = fill_by_patches(smooth, hole, seen)
    return FilledPlate(smooth, seen | hole, world_from_anchor, plan.shot_start)
