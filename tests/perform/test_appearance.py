"""Who in a reference picture is the new person."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from pipeline.datatypes.survey import Person
from pipeline.errors import InvalidInput
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
