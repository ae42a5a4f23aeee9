"""The landmark model beside a backend of COCO-17, on the real clip; its flat people are BlazePose's, made flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import FEET, JOINT, NUM_JOINTS, NUM_SKELETON
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.fakes import IdentityGenerator
from pipeline.models.loaded import LoadedModels
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.models.people.depth import PeopleInDepth, are_the_same
from pipeline.models.people.landmarks import LandmarkModel
from pipeline.perform import backends
from pipeline.settings import Settings

_WALK = Path(__file__).resolve().parents[3] / "assets" / "walk_a" / "sample.mp4"


class _Flat:
    """COCO-17 of what BlazePose finds, as ultralytics gives it: no feet, no hands, no depth."""

    look_back = 0
    batch_frames = 8

    def __init__(self) -> None:
        self._people = BlazePosePeople()
        self.shift_px = 0.0
        self.seen: list[list[Person]] = []

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        self.seen = [self._people.find(picture) for picture in pictures]
        return [[self._flattened(person) for person in people] for people in self.seen]

    def find(self, picture: Picture) -> list[Person]:
        return self.find_batch([picture])[0]

    def reset(self) -> None:
        self._people.reset()

    def _flattened(self, person: Person) -> Person:
        joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
        joints[:, 2] = 0
        joints[:17] = person.joints[:17]
        joints[:, 0] += self.shift_px
        skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
        skeleton[:17, :2] = joints[:17, :2]
        skeleton[:17, 2] = 0
        return replace(person, joints=joints, skeleton=skeleton)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [rgb_of(frame) for frame in open_clip(_WALK).frames(60, 63)]


def test_people_get_depth_feet_and_hands_and_keep_their_places(pictures: list[Picture]) -> None:
    flat = _Flat()
    people = PeopleInDepth(flat, LandmarkModel(2))
    found = people.find_batch(pictures)
    assert [len(frame) for frame in found] == [1, 1, 1]
    limbs = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "wrist", "knee", "ankle")]
    for (person,), (seen,) in zip(found, flat.seen, strict=True):
        assert np.isfinite(person.skeleton).all() and np.isfinite(person.joints[FEET]).all()
        sure = seen.joints[:17, 2] >= 0.5
        assert np.array_equal(person.joints[:17][sure], seen.joints[:17][sure])
        assert person.mask is seen.mask
        # Which limb is nearer is what the figure is posed by.
        assert np.corrcoef(person.skeleton[limbs, 2], seen.skeleton[limbs, 2])[0, 1] > 0.9
        height = seen.box_xyxy[3] - seen.box_xyxy[1]
        assert np.abs(person.skeleton[:NUM_JOINTS, 2]).max() > 0.05 * height


def test_a_landmark_model_that_sees_somebody_else_is_not_believed(pictures: list[Picture]) -> None:
    flat = _Flat()
    flat.shift_px = 60.0
    people = PeopleInDepth(flat, LandmarkModel(2))
    (person,) = people.find(pictures[0])
    assert not np.nan_to_num(person.skeleton[:, 2]).any()
    assert not are_the_same(person, flat.seen[0][0])
    unsure = replace(flat.seen[0][0], joints=flat.seen[0][0].joints * np.array([1, 1, 0], np.float32))
    assert not are_the_same(unsure, flat.seen[0][0])


def test_generated_pictures_are_processed_without_the_landmark_model() -> None:
    flat = _Flat()
    people = PeopleInDepth(flat, LandmarkModel(2))
    assert LoadedModels(people, IdentityGenerator()).outlines is flat
    assert LoadedModels(flat, IdentityGenerator()).outlines is flat
    generator = IdentityGenerator()
    generator._needs = replace(generator.needs, output="pictures")
    made = backends.matte_maker(LoadedModels(people, generator), Settings())
    assert made is not None and made._people is flat
