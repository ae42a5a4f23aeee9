"""People cut off by the picture's upper or lower edge: the landmark model finds them, and its score does not say so.

The model was trained on whole bodies. Of half a body its score varies between 0 and 1 from frame to frame, while mask
and joints stay as good: on legs alone masks of score 0.15 to 0.5 cover the truth to 0.86 to 0.91 (median IoU), above
0.8 to 0.89. So for half bodies a second witness counts as much as the score: the mask of the frame before, or the
detector's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.survey import Person
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.masks import iou
from pipeline.models.people.following import Followed, expected_pixels, overlap_of_boxes
from pipeline.models.people.landmarks import OTHER_SIDES, LandmarkModel, Landmarks, Region, View
from pipeline.models.people.movenet import RoughPerson

SAME_PIXELS_IOU = 0.6
"""Of a person's mask with the one expected from the frame before."""
WEAK_SCORE = 0.15
"""Least score of the landmark model where a second witness agrees."""
MAX_WEAK_FRAMES = 5
"""Consecutive frames below the usual score: longer, and a mask may follow the background behind somebody who left."""
SURE_DETECTION = 0.3
"""The detector's score for half a body whose landmarks are weak: 0.3 to 0.7 on legs alone."""
SAME_BOX_IOU = 0.7
MOST_PRESSED = 1.25
"""Size of a region over that of the body found in it, of somebody cut off: who walks away gets smaller, too."""
_SIDE_PX = 3.0
_NEAR_TRUNK = 0.15
"""Of the trunk's length: landmarks that are pressed lie inside, close to the side."""
_EDGE_PX = 6.0
"""The detector's boxes end up to five pixels inside the picture."""


def is_cut_off(box_xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> bool:
    """Whether a box ends at the picture's upper or lower edge."""
    return bool(box_xyxy[1] < _EDGE_PX or box_xyxy[3] > size_wh[1] - 1 - _EDGE_PX)


def is_half_body_in_place(found: Landmarks, before: Followed, view: View) -> bool:
    """Whether somebody cut off by the picture's edge has the mask expected from the frame before."""
    if not is_cut_off(before.person.box_xyxy, view.size_wh):
        return False
    return iou(found.person.mask, expected_pixels(before)) >= SAME_PIXELS_IOU


def kept_in_size(found: Landmarks, before: Followed, size_wh: tuple[int, int]) -> Region:
    """Return the region for the next frame: of somebody whom a side of the picture cuts off no smaller than before.

    The model presses a body into the strip that is left of it, and a region that follows it presses it further, until
    it is lost or a doll. In a region for the whole body it finds the rest outside the picture. The upper and lower edge
    leave more of the trunk's breadth to go by: there the size is measured well while somebody walks away.
    """
    side = found.region.side
    if side >= before.region.side or not _cuts_trunk(found.person, size_wh[0]):
        return found.region
    return replace(found.region, side=min(before.region.side, MOST_PRESSED * side))


def _cuts_trunk(person: Person, width: int) -> bool:
    """Whether a side of the picture cuts through somebody's trunk, or close by: there landmarks are pressed."""
    trunk = person.joints[[*SHOULDERS, *HIPS], :2].astype(np.float64)
    near = _NEAR_TRUNK * float(np.hypot(*(trunk[:2].mean(axis=0) - trunk[2:].mean(axis=0))))
    left, right = float(trunk[:, 0].min()), float(trunk[:, 0].max())
    x0, x1 = person.box_xyxy[[0, 2]]
    return bool((x0 < _SIDE_PX and left < near) or (x1 > width - 1 - _SIDE_PX and right > width - 1 - near))


def weak_look(
    landmarks: LandmarkModel, view: View, before: Followed, region: Region, others_mask: Mask | None
) -> Landmarks | None:
    """Return half a body whose score is low and whose mask is the one expected in about this region; else None."""
    if not is_cut_off(before.person.box_xyxy, view.size_wh):
        return None
    expected = expected_pixels(before)
    regions = [replace(region, side=factor * region.side) for factor in (1.0, *OTHER_SIDES)]
    looks = [landmarks.look(view, each, others_mask, WEAK_SCORE) for each in regions]
    alike = [look for look in looks if look is not None and iou(look.person.mask, expected) >= SAME_PIXELS_IOU]
    best = max(alike, key=lambda look: look.person.score, default=None)
    # The size that was followed so far is kept: it is no measurement.
    return None if best is None else replace(best, region=replace(best.region, side=region.side))


def agreeing_look(
    landmarks: LandmarkModel, view: View, regions: Sequence[Region], rough: RoughPerson, others_mask: Mask | None
) -> Landmarks | None:
    """Return half a body in one of the regions whose score is low and whose mask has the detector's box; else None."""
    if not _could_agree(rough, view.size_wh):
        return None
    looks = [landmarks.look(view, region, others_mask, WEAK_SCORE) for region in regions]
    alike = [look for look in looks if look is not None and agrees(rough, look.person.box_xyxy, view.size_wh)]
    return max(alike, key=lambda look: look.person.score, default=None)


def agrees(rough: RoughPerson, box_xyxy: NDArray[np.float64], size_wh: tuple[int, int]) -> bool:
    """Whether a sure detection of half a body has the box of a mask."""
    return _could_agree(rough, size_wh) and overlap_of_boxes(rough.box_xyxy, box_xyxy)[0] >= SAME_BOX_IOU


def _could_agree(rough: RoughPerson, size_wh: tuple[int, int]) -> bool:
    return rough.score >= SURE_DETECTION and is_cut_off(rough.box_xyxy, size_wh)
