"""What no frame has seen of the background: filled once, and carried on from plate to plate.

Filled anew at each anchor it would change between them, which shows as flicker in a place that stands still.
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
"""Around the hole, where the light of what is carried is matched."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FilledPlate(Shaped):
    """The plate of an anchor, whole."""

    SHAPES: ClassVar[Shapes] = {"picture": ("H", "W", 3), "good": ("H", "W"), "world_from_anchor": (3, 3)}

    picture: Picture
    good: Mask
    """(H, W) where it was seen or filled with care."""
    world_from_anchor: Transforms
    shot_start: int

    def view(self, world_from_anchor: Transforms) -> tuple[Picture, Mask]:
        """Return what another anchor of the shot sees of it, (H, W, 3), and where it sees what is good."""
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

    What the plate ``before`` of the same shot shows there is taken over. What is left of the plan's needed places is
    filled by the ``method``, the rest, at which nobody looks, smoothly.
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
