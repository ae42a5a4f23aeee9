"""BlazePose's 3D joints combined with ultralytics' boxes and masks: COCO-17 is flat, and has neither feet nor hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS
from pipeline.models.interfaces import PeopleBackend
from pipeline.models.people.landmarks import LandmarkModel, View, regions_of_rough
from pipeline.models.people.movenet import RoughPerson

_MOST_PEOPLE = 6
"""Per frame, the largest first: the landmark model processes one person at a time, on the CPU."""
_COCO_JOINTS = 17
_SURE = 0.5
"""Confidence above which a joint of COCO-17 is compared."""
_LEAST_SURE = 4
"""Minimum number of confident joints: with fewer it is unknown whether both models see the same person."""
_MOST_APART = 0.08
"""Median distance between both models' joints, relative to the box's height, above which they see different people."""
_SAME_REGION = 0.12
"""Largest distance of the square around the landmarks from the processed one, relative to its side, without a second
pass."""


class PeopleInDepth:
    """A people backend that adds depth, feet and hands from the landmark model in each box.

    Frames are still independent. Where the landmark model sees nobody, or somebody else, a person stays flat.
    """

    def __init__(self, flat: PeopleBackend, landmarks: LandmarkModel) -> None:
        self._flat = flat
        self._landmarks = landmarks

    @property
    def flat(self) -> PeopleBackend:
        return self._flat

    @property
    def look_back(self) -> int:
        return self._flat.look_back

    @property
    def batch_frames(self) -> int:
        return self._flat.batch_frames

    def find(self, picture: Picture) -> list[Person]:
        """Return the people of one frame. Raises ``OutOfMemory`` and ``GpuError``."""
        return self.find_batch([picture])[0]

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """Return the people of several frames of one size."""
        found = self._flat.find_batch(pictures)
        return [self._in_depth(picture, people) for picture, people in zip(pictures, found, strict=True)]

    def reset(self) -> None:
        self._flat.reset()

    def _in_depth(self, picture: Picture, people: list[Person]) -> list[Person]:
        view = View(picture, (picture.shape[1], picture.shape[0]))
        largest = sorted(range(len(people)), key=lambda row: (-_area(people[row]), row))[:_MOST_PEOPLE]
        result = list(people)
        for row in largest:
            others = [people[other].mask for other in largest if other != row and _touch(people[other], people[row])]
            seen = self._look(view, people[row], np.any(others, axis=0) & ~people[row].mask if others else None)
            if seen is not None and are_the_same(people[row], seen):
                result[row] = joined(people[row], seen)
        return result

    def _look(self, view: View, person: Person, others_mask: Mask | None) -> Person | None:
        keypoints = np.nan_to_num(person.joints[:_COCO_JOINTS].astype(np.float64))
        regions = regions_of_rough(RoughPerson(person.box_xyxy, keypoints, person.score))
        seen = self._landmarks.look_in(view, regions, others_mask)
        if seen is None:
            return None
        region = seen.looked_at
        moved = float(np.hypot(seen.region.x - region.x, seen.region.y - region.y)) / region.side
        if moved > _SAME_REGION or abs(np.log(seen.region.side / region.side)) > _SAME_REGION:
            # The second pass, on the landmarks' own region, refines scale and rotation.
            seen = self._landmarks.look(view, seen.region, others_mask) or seen
        return seen.person


def are_the_same(flat: Person, seen: Person) -> bool:
    """Return whether both models' joints lie on one person."""
    sure = (flat.joints[:_COCO_JOINTS, 2] >= _SURE) & np.isfinite(flat.joints[:_COCO_JOINTS, :2]).all(axis=1)
    if sure.sum() < _LEAST_SURE:
        return False
    rows = np.flatnonzero(sure)
    apart = np.linalg.norm(flat.joints[rows, :2] - seen.joints[rows, :2], axis=1)
    return float(np.median(apart)) <= _MOST_APART * float(flat.box_xyxy[3] - flat.box_xyxy[1])


def joined(flat: Person, seen: Person) -> Person:
    """Return the person with the positions of COCO-17 where they are confident, and everything else from the
    landmarks."""
    joints = seen.joints.copy()
    skeleton = seen.skeleton.copy()
    known = np.zeros(NUM_JOINTS, np.bool_)
    known[:_COCO_JOINTS] = flat.joints[:_COCO_JOINTS, 2] >= _SURE
    known &= np.isfinite(flat.joints[:, :2]).all(axis=1)
    joints[known] = flat.joints[known]
    skeleton[:NUM_JOINTS][known, :2] = flat.joints[known, :2]
    return replace(flat, joints=joints, skeleton=skeleton)


def _area(person: Person) -> float:
    x0, y0, x1, y1 = person.box_xyxy
    return float((x1 - x0) * (y1 - y0))


def _touch(a: Person, b: Person) -> bool:
    first: NDArray[np.float64] = a.box_xyxy
    second: NDArray[np.float64] = b.box_xyxy
    return bool((first[:2] < second[2:]).all() and (second[:2] < first[2:]).all())
