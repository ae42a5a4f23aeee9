"""People by two models: a detector that sees each frame alone, and a video model that carries their masks along.

The detector says who is there and where the joints are; the video model remembers what each person looked like, so a
person keeps the mask and the number through crossings, and two people whom the detector sees as one stay two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.maths.boxes import box_of_mask
from pipeline.maths.masks import iou
from pipeline.models.interfaces import PeopleBackend, PeopleInDepthBackend

_MOST_OBJECTS = 8
"""People whom the video model carries at once, those found first: each costs time. Of more, the detector's masks."""
_SAME_IOU = 0.4
"""IoU above which a detection is the person whose carried mask it overlaps."""
_COVERED = 0.7
"""Fraction of a detection inside carried masks above which it shows nobody else."""
_MOST_UNCONFIRMED = 15
"""Frames for which a carried mask is believed without a detection; then the person has left, or the mask has slid."""
_LEAST_PX = 64
"""Smallest carried mask without a detection that counts as a person."""


class MaskCarrier(Protocol):
    """Carries masks of objects from frame to frame; see ``SamVideo``."""

    def advance(self, picture: Picture) -> dict[int, NDArray[np.float32]]: ...

    def start(self, number: int, box_xyxy: NDArray[np.float64]) -> NDArray[np.float32] | None: ...

    def stop(self, number: int) -> None: ...

    def reset(self) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Somebody seen in earlier frames."""

    mask: Mask
    """In the last frame in which they were seen."""
    score: float
    unconfirmed: int = 0
    """Frames since the last detection."""
    is_carried: bool = True


class PeopleInVideo:
    """A people backend whose masks and numbers come from a video model; frames depend on those before."""

    def __init__(self, detector: PeopleBackend, carrier: MaskCarrier) -> None:
        self._detector = detector
        self._carrier = carrier
        self._known: dict[int, _Known] = {}
        self._next = 0

    @property
    def flat(self) -> PeopleBackend:
        """The detector without depth, for pictures that do not follow each other."""
        return self._detector.flat if isinstance(self._detector, PeopleInDepthBackend) else self._detector

    @property
    def look_back(self) -> int:
        return 0

    @property
    def batch_frames(self) -> int:
        return 1

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """As ``find``, for the next frames."""
        return [self.find(picture) for picture in pictures]

    def find(self, picture: Picture) -> list[Person]:
        """Return the people of the next frame, each with a ``follow_id``. Raises ``OutOfMemory`` and ``GpuError``."""
        detected = self._detector.find(picture)
        carried = _apart(self._carrier.advance(picture))
        expected = {
            number: carried[number] if known.is_carried else known.mask
            for number, known in self._known.items()
            if number in carried or not known.is_carried
        }
        rows = _matched(expected, [person.mask for person in detected])
        people = {number: self._confirmed(number, detected[row], expected) for number, row in rows.items()}
        people |= self._started(detected, set(rows.values()), people, expected)
        people |= self._unconfirmed(set(people), expected)
        self._forget()
        return [people[number] for number in sorted(people)]

    def reset(self) -> None:
        """Forget everybody, at a cut; numbers are not used again."""
        self._detector.reset()
        self._carrier.reset()
        self._known = {}

    def _confirmed(self, number: int, person: Person, expected: dict[int, Mask]) -> Person:
        """Return a detection with the mask that was carried to it."""
        is_carried = self._known[number].is_carried
        mask = expected[number] if is_carried else person.mask
        self._known[number] = _Known(mask, person.score, is_carried=is_carried)
        return _with_mask(person, mask, number)

    def _started(
        self, detected: list[Person], matched: set[int], confirmed: dict[int, Person], expected: dict[int, Mask]
    ) -> dict[int, Person]:
        """Return the people of the detections that matched nobody: they are new, or a mask has slid off somebody."""
        taken = [person.mask for person in confirmed.values()]
        people: dict[int, Person] = {}
        rows = sorted(set(range(len(detected))) - matched, key=lambda row: (-detected[row].score, row))
        for row in rows:
            person = detected[row]
            if _fraction_inside(person.mask, taken) > _COVERED:
                continue
            slid = [number for number in expected if number not in confirmed and number not in people]
            number = next(
                (number for number in slid if _fraction_inside(person.mask, [expected[number]]) > _COVERED), self._next
            )
            self._next = max(self._next, number + 1)
            people[number] = self._start(number, person)
            taken.append(people[number].mask)
        return people

    def _start(self, number: int, person: Person) -> Person:
        carried = sum(known.is_carried for other, known in self._known.items() if other != number)
        is_carried = carried < _MOST_OBJECTS
        mask = person.mask
        if is_carried:
            logits = self._carrier.start(number, person.box_xyxy)
            # Where the models disagree from the start, the detector is believed; the next frames decide.
            if logits is not None and iou(logits > 0, mask) >= _SAME_IOU:
                mask = logits > 0
        self._known[number] = _Known(mask, person.score, is_carried=is_carried)
        return _with_mask(person, mask, number)

    def _unconfirmed(self, seen: set[int], expected: dict[int, Mask]) -> dict[int, Person]:
        """Return those whom only the video model sees, and count for how long nobody has been detected there."""
        people = {}
        for number in set(self._known) - seen:
            known = self._known[number]
            self._known[number] = replace(known, unconfirmed=known.unconfirmed + 1)
            mask = expected.get(number)
            if not known.is_carried or mask is None or np.count_nonzero(mask) < _LEAST_PX:
                continue
            people[number] = _without_joints(mask, known.score, number)
        return people

    def _forget(self) -> None:
        for number, known in list(self._known.items()):
            if known.unconfirmed > _MOST_UNCONFIRMED:
                del self._known[number]
                self._carrier.stop(number)


def _apart(logits: dict[int, NDArray[np.float32]]) -> dict[int, Mask]:
    """Return masks that do not overlap: each pixel belongs to the object with the largest logit."""
    masks: dict[int, Mask] = {}
    for number, own in logits.items():
        mask = own > 0
        for other, theirs in logits.items():
            if other != number:
                mask &= (own > theirs) | ((own == theirs) & (number < other))
        masks[number] = mask
    return masks


def _matched(expected: dict[int, Mask], masks: list[Mask]) -> dict[int, int]:
    """Return the row of the detection of each expected person, over all pairs at once."""
    numbers = list(expected)
    if not numbers or not masks:
        return {}
    shared = np.array([[iou(expected[number], mask) for mask in masks] for number in numbers])
    rows, columns = linear_sum_assignment(-shared)
    return {
        numbers[row]: int(column) for row, column in zip(rows, columns, strict=True) if shared[row, column] >= _SAME_IOU
    }


def _fraction_inside(mask: Mask, others: list[Mask]) -> float:
    if not others:
        return 0.0
    shared = int(np.count_nonzero(mask & np.logical_or.reduce(others)))
    return shared / max(int(np.count_nonzero(mask)), 1)


def _with_mask(person: Person, mask: Mask, number: int) -> Person:
    if not mask.any():
        return replace(person, follow_id=number)
    return replace(person, mask=mask, box_xyxy=np.array(box_of_mask(mask), np.float64), follow_id=number)


def _without_joints(mask: Mask, score: float, number: int) -> Person:
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    joints[:, 2] = 0
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    return Person(np.array(box_of_mask(mask), np.float64), score, joints, skeleton, mask, follow_id=number)
