"""Who in a reference picture is the new person, and where their face is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from pipeline.datatypes.survey import Person
from pipeline.errors import InvalidInput
from pipeline.joints import FACE, SHOULDERS
from pipeline.perform.appearance import find_appearance


def _person(left: int, top: int) -> Person:
    mask = np.zeros((100, 100), np.bool_)
    mask[top:90, left : left + 20] = True
    joints, skeleton = (np.full((n, 3), np.nan, np.float32) for n in (21, 23))
    return Person(np.array([left, top, left + 20, 90.0]), 0.9, joints, skeleton, mask)


class _People:
    def __init__(self, found: list[Person]) -> None:
        self._found = found

    def find(self, picture: Any) -> list[Person]:
        return self._found

    def reset(self) -> None:
        pass


def _found(*people: Person) -> float:
    picture = np.full((100, 100, 3), 90, np.uint8)
    appearance = find_appearance("", "", picture, cast(Any, _People([*people])))
    assert appearance.reference_person is not None
    return float(appearance.reference_person.box_xyxy[0])


def test_the_new_person_is_by_far_the_largest_in_the_reference_picture() -> None:
    tall, bystander, companion = _person(40, 10), _person(5, 60), _person(70, 25)
    assert _found(tall) == 40
    assert _found(bystander, tall) == 40
    with pytest.raises(InvalidInput, match="3 of similar size"):
        _found(bystander, tall, companion)
    with pytest.raises(InvalidInput, match="nobody"):
        _found()


class _PeopleNearby:
    """Finds a face at its true place in a part of the picture, and anywhere else in the whole."""

    def __init__(self, whole: Person, true_xy: tuple[float, float]) -> None:
        self._whole = whole
        self._true_xy = true_xy

    def find(self, picture: Any) -> list[Person]:
        if picture.shape[:2] == (100, 100):
            return [self._whole]
        # The part's corner is told by its colors.
        row, column, _ = picture[0, 0]
        joints = self._whole.joints.copy()
        joints[FACE, :2] = np.array(self._true_xy) - [column, row]
        return [replace(self._whole, joints=joints)]

    def reset(self) -> None:
        pass


@pytest.mark.parametrize(
    ("true_xy", "trust", "face_xy"),
    [((51.0, 22.0), 1.0, (51.0, 22.0)), ((80.0, 22.0), 1.0, (50.0, 20.0)), ((51.0, 22.0), 0.2, (50.0, 20.0))],
)
def test_a_face_is_where_it_is_seen_from_nearby(
    true_xy: tuple[float, float], trust: float, face_xy: tuple[float, float]
) -> None:
    whole = _person(40, 10)
    whole.joints[:] = [50, 60, 1]
    whole.joints[FACE] = [50, 20, trust]
    whole.joints[SHOULDERS, :2] = [50, 30]
    whole.skeleton[:] = [50, 60, 3]
    whole.skeleton[FACE, :2] = [50, 20]
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.mgrid[:100, :100]
    found = find_appearance("", "", picture, cast(Any, _PeopleNearby(whole, true_xy))).reference_person
    assert found is not None
    np.testing.assert_allclose(found.joints[FACE, :2], 5 * [face_xy])
    np.testing.assert_allclose(found.skeleton[FACE], 5 * [(*face_xy, 3)])
    np.testing.assert_array_equal(found.joints[SHOULDERS], whole.joints[SHOULDERS])
    np.testing.assert_array_equal(found.skeleton[SHOULDERS], whole.skeleton[SHOULDERS])
