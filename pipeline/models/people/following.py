"""Tracking in the embedded people backend: paths, occlusion order, and duplicate bodies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import grow
from pipeline.models.people.anchors import Anchors, anchor, follow_anchors
from pipeline.models.people.landmarks import REGION_MARGIN, Region
from pipeline.models.people.movenet import RoughPerson
from pipeline.models.people.occlusion import Seen, colors_of

SAME_PERSON_IOU = 0.5
MIN_VISIBLE = 0.25
"""Fraction of a person's mask outside the others': with less, their joints are guesses."""
EXPECTED_MARGIN = 0.04
"""Distance of a limb from its position predicted by the hips' path, relative to the region's side."""
MAX_DRIFT = 0.055
"""Distance of the hips from the points on the trunk, relative to the region's side; sliding landmarks keep drifting."""
BACK = 0.15
"""Distance from the predicted position within which a lost person is found again, relative to the region's side."""
SURE_KEYPOINT = 0.15
COVERED = 0.08
"""Distance of joints within which a detection is a tracked person, relative to the region's side."""


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A person tracked from frame to frame."""

    person: Person
    region: Region
    """Region for the next frame, before the hips' velocity is added."""
    hips: NDArray[np.float64]
    """(2,) px."""
    velocity: NDArray[np.float64]
    """(2,) of the hips, px per frame."""
    age: int
    """Number of tracked frames."""
    follow_id: int
    miss: float = 0.0
    """Distance of the hips from their predicted position, relative to the region's side."""
    unseen: int = 0
    """Frames since the person was lost."""
    weak: int = 0
    """Consecutive frames, up to this one, with a weak score; see ``half_bodies``."""
    body_side: float | None = None
    """Side in px of the square about the body as found; None where that is the region."""
    first: Followed | None = None
    """The person as first detected."""
    seen_in: Picture | None = None
    """The picture in which they were last visible, possibly downscaled."""
    moved: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    """(2,) px of extrapolated motion since they were last visible."""
    colors: NDArray[np.float32] | None = None
    """Their color histogram, from the first frame and those without encounters; see ``colors_of``."""

    anchors: Anchors | None = None
    """Points on the trunk during an encounter; None otherwise."""
    whole: Followed | None = None
    """The person in the last frame without an encounter."""

    @property
    def lowest_y(self) -> float:
        """How far down the picture the person reaches, with legs inferred where they are not visible: a nearer person
        reaches farther down."""
        return float(self.hips[1]) + self.region.side / (2 * REGION_MARGIN)

    def views(self) -> list[Seen]:
        """Return how they were last seen, and last seen completely, and their predicted position in the next frame."""
        return [self.expected()] if self.whole is None else [self.expected(), self._expected_whole()]

    def expected(self) -> Seen:
        """Return how they were last seen, and their predicted position in the next frame."""
        assert self.seen_in is not None
        mask = _shifted(self.person.mask, -self.moved) if self.unseen else self.person.mask
        box = self.person.box_xyxy - np.tile(self.moved, 2)
        return Seen(
            follow_id=self.follow_id,
            picture=self.seen_in,
            mask=mask,
            box_xyxy=box,
            moved=self.moved + self.velocity,
            frames=self.unseen + 1,
            colors=self.colors,
            lowest=self.lowest_y,
        )

    def _expected_whole(self) -> Seen:
        assert self.whole is not None and self.seen_in is not None
        return Seen(
            follow_id=self.follow_id,
            picture=self.seen_in if self.whole.seen_in is None else self.whole.seen_in,
            mask=self.whole.person.mask,
            box_xyxy=self.whole.person.box_xyxy,
            moved=self.hips + self.velocity - self.whole.hips,
            frames=self.unseen + 1,
            colors=self.colors,
            lowest=self.lowest_y,
        )


def remembered(followed: list[Followed], hidden: list[Followed], picture: Picture) -> list[Followed]:
    """Return the people of a frame with its picture and the colors of those visible apart from all others."""
    entries = []
    for entry in followed:
        is_apart = not any(touch(entry, other) for other in (*followed, *hidden) if other is not entry)
        colors = entry.colors
        if is_apart or colors is None:
            colors = colors_of(picture, entry.person.mask, colors)
        seen = replace(entry, seen_in=picture, colors=colors)
        # Without its own history, which would never be freed.
        entries.append(replace(seen, whole=replace(seen, whole=None, first=None)) if is_apart else seen)
    return entries


def moved_on(entry: Followed) -> Followed:
    """Move a person who is not visible by one frame along their path."""
    x, y = entry.velocity
    person = replace(
        entry.person,
        box_xyxy=entry.person.box_xyxy + np.array([x, y, x, y]),
        joints=entry.person.joints + np.array([x, y, 0], np.float32),
        mask=_shifted(entry.person.mask, entry.velocity),
    )
    return replace(
        entry,
        person=person,
        hips=entry.hips + entry.velocity,
        unseen=entry.unseen + 1,
        moved=entry.moved + entry.velocity,
    )


def without_others(entry: Followed, others_mask: Mask) -> Followed | None:
    """Remove the pixels of others from a person's mask; None where too little is left to be reliable."""
    mask = entry.person.mask
    if not (mask & others_mask).any():
        return entry
    visible = mask & ~others_mask
    share = np.count_nonzero(visible) / np.count_nonzero(mask)
    if share < MIN_VISIBLE:
        return None
    box = np.array(box_of_mask(visible), np.float64)
    return replace(entry, person=replace(entry.person, mask=visible, box_xyxy=box, visible=float(share)))


def expected_pixels(entry: Followed) -> Mask:
    """Return a person's mask moved to where it should be in the next frame."""
    return _shifted(entry.person.mask, entry.velocity)


def expected_mask(entry: Followed) -> Mask:
    """Return the area of a person's pixels in the next frame, with a margin."""
    return grow(expected_pixels(entry), max(1, round(EXPECTED_MARGIN * entry.region.side)))


def _shifted(mask: Mask, by: NDArray[np.float64]) -> Mask:
    size_wh = (mask.shape[1], mask.shape[0])
    moved = cv2.warpAffine(mask.view(np.uint8), np.column_stack([np.eye(2), by]), size_wh, flags=cv2.INTER_NEAREST)
    return moved.view(np.bool_)


def masks_of(followed: list[Followed]) -> list[Mask]:
    return [entry.person.mask for entry in followed]


def union(masks: list[Mask], without: Mask | None = None) -> Mask | None:
    """Return the masks as one, less ``without``; None for no masks."""
    if not masks:
        return None
    whole: Mask = np.logical_or.reduce(masks)
    return whole if without is None else whole & ~without


def touch(a: Followed, b: Followed) -> bool:
    """Whether the boxes of two people overlap."""
    return overlap_of_boxes(a.person.box_xyxy, b.person.box_xyxy)[1] > 0


def is_among(person: Person, others: list[Followed], by_joints: bool = True) -> bool:
    """Whether two regions ended on the same body: their masks (or, ``by_joints``, all of their joints) coincide.

    Joints of two crossing people coincide, too; where each has pixels of their own, these decide.
    """
    for other in others:
        if overlap_of_boxes(person.box_xyxy, other.person.box_xyxy)[0] < 0.3:
            continue
        both = np.count_nonzero(person.mask & other.person.mask)
        either = np.count_nonzero(person.mask | other.person.mask)
        distances = np.hypot(*(person.joints[:, :2] - other.person.joints[:, :2]).T)
        if both > SAME_PERSON_IOU * either or (by_joints and np.median(distances) < 0.05 * other.region.side):
            return True
    return False


def kept_to_body(now: Followed, before: Followed, small: Picture, size_wh: tuple[int, int]) -> Followed | None:
    """Check a person in an encounter against points on their trunk; None where the landmarks slid away from them."""
    assert before.seen_in is not None
    anchors = before.anchors
    if anchors is None:
        anchors = anchor(before.seen_in, before.person.mask, before.person.joints, before.hips, size_wh)
    anchors = follow_anchors(anchors, before.seen_in, small, size_wh)
    if anchors.are_sure:
        slid = float(np.hypot(*(now.hips - anchors.expected_hips())))
        if slid > MAX_DRIFT * now.region.side:
            return None
    return replace(now, anchors=anchors)


def is_back(hidden: Followed, new: list[Followed]) -> bool:
    """Whether a lost person is one of those just detected, near the predicted position."""
    reach = BACK * hidden.region.side
    return any(float(np.hypot(*(entry.hips - hidden.hips))) < reach for entry in new)


def not_covered(roughs: list[RoughPerson], followed: list[Followed]) -> list[RoughPerson]:
    """Return the detections that match no tracked person.

    Each tracked person accounts for the nearest detection: of two people close together one must not claim both. A
    second detection at the same place is the same person detected twice.
    """
    pairs = sorted(
        (distance, column, row)
        for column, rough in enumerate(roughs)
        for row, entry in enumerate(followed)
        if (distance := _joint_distance(rough, entry.person.joints[:17], entry)) < COVERED
    )
    covered: dict[int, int] = {}
    for _, column, row in pairs:
        if column not in covered and row not in covered.values():
            covered[column] = row
    uncovered = []
    for rough in roughs:
        is_twice = any(
            _joint_distance(rough, roughs[other].keypoints, followed[row]) < COVERED for other, row in covered.items()
        )
        if not is_twice and (rough.keypoints[:, 2] > SURE_KEYPOINT).any():
            uncovered.append(rough)
    return uncovered


def _joint_distance(rough: RoughPerson, joints: NDArray[np.floating], entry: Followed) -> float:
    """Median distance of a detection's confident joints to (17, 2+) others in COCO order, relative to the region's
    side."""
    sure = rough.keypoints[:, 2] > SURE_KEYPOINT
    if not sure.any():
        return np.inf
    distances = np.hypot(*(rough.keypoints[sure, :2] - joints[sure, :2]).T)
    return float(np.median(distances)) / entry.region.side


def overlap_of_boxes(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """IoU of two boxes, and the fraction of the smaller one that lies in the other."""
    wh = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(wh, 0)))
    areas = float(np.prod(a[2:] - a[:2])), float(np.prod(b[2:] - b[:2]))
    return common / max(sum(areas) - common, 1e-9), common / max(min(areas), 1e-9)
