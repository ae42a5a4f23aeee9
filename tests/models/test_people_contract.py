"""The contract of every people backend: one suite over BlazePose with MoveNet, and over ultralytics' models without and
with masks that are carried from frame to frame.

ultralytics' are the smallest of its real classes with random weights, which find many people in noise.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.interfaces import PeopleBackend

_WALK = Path(__file__).resolve().parents[2] / "assets" / "walk_a" / "sample.mp4"


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [rgb_of(frame) for frame in open_clip(_WALK).frames(60, 62)]


@pytest.fixture(scope="module")
def random_yolo(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    request.getfixturevalue("tiny_weights")
    import torch

    from pipeline.models.people.yolo import import_ultralytics

    folder = tmp_path_factory.mktemp("yolo")
    for name, description in (("yolo26m-seg.pt", "yolo26n-seg.yaml"), ("yolo26m-pose.pt", "yolo26n-pose.yaml")):
        torch.manual_seed(1)
        import_ultralytics().YOLO(description).save(folder / name)
    return folder


@pytest.fixture(params=["blazepose", "yolo", "yolo and sam2"])
def backend(request: pytest.FixtureRequest) -> PeopleBackend:
    """A backend that has seen nothing yet."""
    if request.param == "blazepose":
        from pipeline.models.people.blazepose import BlazePosePeople

        return BlazePosePeople()
    folder: Path = request.getfixturevalue("random_yolo")
    from pipeline.models.people.depth import PeopleInDepth
    from pipeline.models.people.landmarks import LandmarkModel
    from pipeline.models.people.yolo import YoloPeople, load_yolo

    models = load_yolo(folder / "yolo26m-seg.pt"), load_yolo(folder / "yolo26m-pose.pt")
    # An untrained head scores every place about 1e-5.
    people = PeopleInDepth(YoloPeople("cpu", 1e-6, models), LandmarkModel(2))
    if request.param == "yolo":
        return people
    from pipeline.models.people.people_in_video import PeopleInVideo
    from pipeline.models.people.sam_video import load_sam_video

    weights: Path = request.getfixturevalue("tiny_weights")
    return PeopleInVideo(people, load_sam_video(weights / "sam2", "cpu"))


def _check(person: Person, height: int, width: int) -> None:
    assert person.box_xyxy.shape == (4,) and person.box_xyxy.dtype == np.float64
    assert 0.0 <= person.score <= 1.0
    assert person.joints.shape == (NUM_JOINTS, 3) and person.joints.dtype == np.float32
    assert person.skeleton.shape == (NUM_SKELETON, 3) and person.skeleton.dtype == np.float32
    confidence = person.joints[:, 2]
    assert (confidence >= 0).all() and (confidence <= 1).all()
    assert (np.isnan(person.joints[:, 0]) == np.isnan(person.joints[:, 1])).all()
    assert person.mask.shape == (height, width) and person.mask.dtype == np.bool_


def _is_same(first: list[Person], second: list[Person]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(
        np.array_equal(a.box_xyxy, b.box_xyxy)
        and np.array_equal(a.joints, b.joints, equal_nan=True)
        and np.array_equal(a.mask, b.mask)
        for a, b in pairs
    )


def test_people_have_their_shapes_types_and_ranges(backend: PeopleBackend, pictures: list[Picture]) -> None:
    found = [backend.find(picture) for picture in pictures]
    assert any(found)
    for person in (person for people in found for person in people):
        _check(person, *pictures[0].shape[:2])
        assert person.earlier_from <= backend.look_back
        for earlier in person.earlier:
            _check(earlier, *pictures[0].shape[:2])


def test_a_batch_is_the_frames_one_after_the_other_and_leaves_the_pictures_as_they_are(
    backend: PeopleBackend, pictures: list[Picture]
) -> None:
    before = [picture.copy() for picture in pictures]
    single = [backend.find(picture) for picture in pictures]
    backend.reset()
    batch = backend.find_batch(pictures)
    assert all(np.array_equal(a, b) for a, b in zip(before, pictures, strict=True))
    assert len(batch) == len(pictures) and backend.batch_frames >= 1
    for one, many in zip(single, batch, strict=True):
        assert len(one) == len(many)
        for a, b in zip(one, many, strict=True):
            # Convolutions may add up in another order in a batch.
            np.testing.assert_allclose(a.box_xyxy, b.box_xyxy, atol=0.5)


def test_the_same_frames_after_a_reset_give_the_same_people(backend: PeopleBackend, pictures: list[Picture]) -> None:
    first = [backend.find(picture) for picture in pictures]
    backend.reset()
    second = [backend.find(picture) for picture in pictures]
    assert all(_is_same(a, b) for a, b in zip(first, second, strict=True))


def test_a_new_size_after_a_reset_is_taken(backend: PeopleBackend, pictures: list[Picture]) -> None:
    backend.find(pictures[0])
    backend.reset()
    small = np.ascontiguousarray(pictures[0][::2, ::2])
    for person in backend.find(small):
        _check(person, *small.shape[:2])
