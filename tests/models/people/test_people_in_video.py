"""Detections and carried masks together, with a detector and a carrier that follow a script."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.maths.boxes import box_of_mask
from pipeline.models.people.people_in_video import PeopleInVideo

_SIZE_WH = (200, 100)
_PICTURE: Picture = np.zeros((_SIZE_WH[1], _SIZE_WH[0], 3), np.uint8)


def _block(x: float, width: int = 20) -> Mask:
    mask = np.zeros((_SIZE_WH[1], _SIZE_WH[0]), np.bool_)
    mask[20:90, max(round(x), 0) : round(x) + width] = True
    return mask


def _person(mask: Mask, score: float = 0.9) -> Person:
    joints = np.ones((NUM_JOINTS, 3), np.float32)
    box = np.array(box_of_mask(mask), np.float64)
    return Person(box, score, joints, np.zeros((NUM_SKELETON, 3), np.float32), mask)


@dataclass
class _Detector:
    frames: list[list[Mask]]
    at: int = 0
    look_back: int = 0
    batch_frames: int = 8

    def find(self, picture: Picture) -> list[Person]:
        self.at += 1
        return [_person(mask) for mask in self.frames[self.at - 1]]

    def find_batch(self, pictures: list[Picture]) -> list[list[Person]]:
        return [self.find(picture) for picture in pictures]

    def reset(self) -> None:
        pass


@dataclass
class _Carrier:
    """Carries each object along the true path that began nearest to the box it was started with."""

    paths: list[list[Mask | None]]
    at: int = -1
    followed: dict[int, int] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)

    def advance(self, picture: Picture) -> dict[int, NDArray[np.float32]]:
        self.at += 1
        found = {number: self._logits(path) for number, path in self.followed.items()}
        return {number: logits for number, logits in found.items() if logits is not None}

    def start(self, number: int, box_xyxy: NDArray[np.float64]) -> NDArray[np.float32] | None:
        box = np.zeros((_SIZE_WH[1], _SIZE_WH[0]), np.bool_)
        x0, y0, x1, y1 = box_xyxy.astype(int)
        box[y0:y1, x0:x1] = True
        shared = [0 if path[self.at] is None else np.count_nonzero(path[self.at] & box) for path in self.paths]
        self.followed[number] = int(np.argmax(shared))
        self.starts.append(number)
        return self._logits(self.followed[number])

    def stop(self, number: int) -> None:
        self.followed.pop(number, None)

    def reset(self) -> None:
        self.followed.clear()

    def _logits(self, path: int) -> NDArray[np.float32] | None:
        mask = self.paths[path][self.at]
        return None if mask is None else np.where(mask, np.float32(40 - path), np.float32(-4))


def _run(frames: list[list[Mask]], paths: list[list[Mask | None]]) -> tuple[list[list[Person]], _Carrier]:
    carrier = _Carrier(paths)
    backend = PeopleInVideo(_Detector(frames), carrier)
    return [backend.find(_PICTURE) for _ in frames], carrier


def test_two_people_whom_the_detector_sees_as_one_stay_two() -> None:
    left = [_block(20 + 4 * i) for i in range(12)]
    right = [_block(110 - 4 * i) for i in range(12)]
    # From the eighth frame on they touch, and one detection has both.
    frames = [[a, b] if i < 8 else [a | b] for i, (a, b) in enumerate(zip(left, right, strict=True))]
    found, carrier = _run(frames, [list(left), list(right)])
    assert [sorted(person.follow_id for person in people) for people in found] == [[0, 1]] * 12
    for i in range(8, 12):
        by_number = {person.follow_id: person for person in found[i]}
        assert np.array_equal(by_number[0].mask, left[i])
        assert np.array_equal(by_number[1].mask, right[i] & ~left[i])
    assert carrier.starts == [0, 1]


def test_numbers_stay_with_people_who_cross() -> None:
    # The one who walks behind is hidden for four frames.
    front = [_block(20 + 10 * i) for i in range(14)]
    behind = [None if 5 <= i <= 8 else _block(150 - 10 * i) for i in range(14)]
    frames = [[a] if b is None else [a, b] for a, b in zip(front, behind, strict=True)]
    found, _ = _run(frames, [list(front), behind])
    for i, people in enumerate(found):
        for person in people:
            true = front[i] if person.follow_id == 0 else behind[i]
            assert true is not None and np.count_nonzero(person.mask & ~true) == 0
    assert {person.follow_id for people in found for person in people} == {0, 1}


def test_who_is_missed_by_the_detector_keeps_a_mask_without_joints_for_a_while() -> None:
    walker: list[Mask | None] = [_block(20 + 2 * i) for i in range(40)]
    frames = [[walker[i]] if i < 10 else [] for i in range(40)]
    found, carrier = _run(frames, [walker])
    seen = [bool(people) for people in found]
    assert all(seen[:25]) and not any(seen[26:]) and not carrier.followed
    assert np.isnan(found[15][0].joints[:, :2]).all() and (found[15][0].joints[:, 2] == 0).all()
    assert np.array_equal(found[15][0].mask, walker[15])


def test_a_mask_that_slid_off_a_person_starts_anew_with_the_same_number() -> None:
    walker = [_block(60) for _ in range(12)]
    # From the fourth frame on the carried mask has grown over half of the picture.
    slid: list[Mask | None] = [_block(60) if i < 4 else _block(0, 150) for i in range(12)]
    found, carrier = _run([[mask] for mask in walker], [slid])
    assert all(np.array_equal(people[0].mask, walker[0]) and len(people) == 1 for people in found)
    assert {people[0].follow_id for people in found} == {0} and len(carrier.starts) > 1


def test_in_a_crowd_only_some_are_carried_and_nobody_is_lost() -> None:
    crowd = [_block(2 + 16 * i, 10) for i in range(12)]
    found, carrier = _run([crowd] * 3, [[mask] * 3 for mask in crowd])
    assert len(carrier.followed) == 8
    for people in found:
        assert [person.follow_id for person in people] == list(range(12))
        assert all(any(np.array_equal(person.mask, mask) for mask in crowd) for person in people)


def test_a_second_detection_of_the_same_person_is_nobody() -> None:
    walker = [_block(60) for _ in range(4)]
    half = walker[0].copy()
    half[60:] = False
    found, _ = _run([[mask, half] for mask in walker], [list(walker)])
    assert [len(people) for people in found] == [1] * 4


def test_after_a_cut_people_have_new_numbers() -> None:
    walker = _block(60)
    backend = PeopleInVideo(_Detector([[walker]] * 2), _Carrier([[walker, walker]]))
    first = backend.find(_PICTURE)
    backend.reset()
    second = backend.find(_PICTURE)
    assert (first[0].follow_id, second[0].follow_id) == (0, 1)
    assert backend.batch_frames == 1 and backend.look_back == 0
