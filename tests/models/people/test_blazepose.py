"""The landmark backend alone: geometry of its regions, repeatability, and reset."""

from __future__ import annotations

import gc
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import PresetUnavailable
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.models.people.landmarks import REGION_PX, LandmarkModel, Region, mask_of_logits, refined
from pipeline.models.weights.folder import weight_path

WALK = Path(__file__).parents[3] / "assets" / "walk_a" / "sample.mp4"


@pytest.fixture(scope="module")
def people() -> BlazePosePeople:
    return BlazePosePeople()


def test_a_region_looks_up_the_body_at_its_own_size() -> None:
    middle = (REGION_PX - 1) / 2
    for angle, up in ((0.0, (0, -1)), (np.pi / 2, (1, 0)), (-np.pi / 2, (-1, 0))):
        matrix = Region(100.0, 50.0, 512.0, angle).picture_from_region()
        np.testing.assert_allclose(matrix @ (middle, middle, 1), (100, 50), atol=1e-9)
        above = matrix @ (middle, middle - 10, 1) - matrix @ (middle, middle, 1)
        np.testing.assert_allclose(above, np.array(up) * 20, atol=1e-9)


def test_a_mask_is_laid_where_its_region_is_and_nowhere_else() -> None:
    region = Region(60.0, 40.0, 64.0, 0.0)
    mask = mask_of_logits(np.full((REGION_PX, REGION_PX), 5, np.float32), region.picture_from_region(), 120, 90)
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max()) in {(28, 91), (29, 91), (28, 92)}
    assert (rows.min(), rows.max()) in {(8, 71), (9, 71), (8, 72)}
    outside = mask_of_logits(
        np.ones((REGION_PX, REGION_PX), np.float32), Region(-500, 0, 64, 0).picture_from_region(), 120, 90
    )
    assert not outside.any()


def test_a_landmark_moves_to_the_middle_of_its_heat_and_stays_where_there_is_none() -> None:
    maps = np.full((64, 64, 4), -20, np.float32)
    maps[30:33, 40:43, 0] = 5
    maps[30:33, 40:43, 1] = -1
    maps[30:33, 50:53, 2] = 5
    places = np.array([(158.0, 120.0), (158.0, 120.0), (158.0, 120.0), (-3.0, 120.0)])
    moved = refined(places, maps)
    np.testing.assert_allclose(moved[0], (41 * 4, 31 * 4), atol=0.05)
    np.testing.assert_array_equal(moved[1:], places[1:])


def test_results_repeat_after_reset_and_left_is_left(people: BlazePosePeople) -> None:
    pictures = [rgb_of(frame) for frame in open_clip(WALK).frames(60, 63)]
    runs = []
    for _ in range(2):
        people.reset()
        runs.append([people.find(picture) for picture in pictures])
    for first, second in zip(*runs, strict=True):
        assert len(first) == len(second) == 1
        np.testing.assert_array_equal(first[0].skeleton, second[0].skeleton)
        np.testing.assert_array_equal(first[0].mask, second[0].mask)
    person = runs[0][2][0]
    # The man faces the camera: the left shoulder is right in the picture, the toes are nearer than the heels.
    assert person.joints[5, 0] > person.joints[6, 0]
    assert person.skeleton[19, 2] < person.skeleton[17, 2]
    assert person.mask.shape == pictures[0].shape[:2]


def test_a_person_is_as_deep_as_wide_whichever_way_he_turns(people: BlazePosePeople) -> None:
    """In px like x and y: shoulders and hips have the same width in space in every frame."""
    pictures = [rgb_of(frame) for frame in open_clip(WALK).frames(0, 120)][::8]
    people.reset()
    found = [people.find(picture) for picture in pictures]
    skeletons = [someone[0].skeleton.astype(np.float64) for someone in found if someone]
    assert len(skeletons) > 8
    trunks = [float(np.linalg.norm(s[[11, 12], :2].mean(0) - s[[5, 6], :2].mean(0))) for s in skeletons]
    for left, right, narrowest, widest in ((5, 6, 0.55, 0.81), (11, 12, 0.33, 0.5)):
        widths = [float(np.linalg.norm(s[left] - s[right])) / trunk for s, trunk in zip(skeletons, trunks, strict=True)]
        assert narrowest < min(widths) and max(widths) < widest


def test_dark_pictures_are_compared_as_bright_as_by_day(people: BlazePosePeople) -> None:
    picture = next(rgb_of(frame) for frame in open_clip(WALK).frames(70, 71))
    for light in (1.0, 0.4):
        people.reset()
        people.find(np.asarray(picture * light, np.uint8))
        seen = people._followed[0].seen_in
        assert seen is not None
        assert np.percentile(seen.max(axis=-1), 90) == pytest.approx(180, rel=0.06)


def test_a_shot_that_fades_in_from_black_is_not_overexposed(people: BlazePosePeople) -> None:
    picture = next(rgb_of(frame) for frame in open_clip(WALK).frames(70, 71))
    people.reset()
    for light in (0.0, 0.3, 1.0):
        people.find(np.asarray(picture * light, np.uint8))
    seen = people._followed[0].seen_in
    assert seen is not None
    np.testing.assert_array_equal(seen, picture)


def test_two_people_are_found_as_two_and_none_in_an_empty_picture(people: BlazePosePeople) -> None:
    picture = next(rgb_of(frame) for frame in open_clip(WALK).frames(70, 71))
    pair = np.concatenate([picture[:, 100:420], cv2.flip(picture, 1)[:, 220:540]], axis=1)
    people.reset()
    found = people.find(pair)
    assert len(found) == 2
    middles = sorted(float(person.joints[[11, 12], 0].mean()) for person in found)
    assert middles[0] < 320 < middles[1]
    people.reset()
    assert people.find(np.full((96, 64, 3), 128, np.uint8)) == []


def test_somebody_who_enters_is_traced_back_before_the_detection() -> None:
    # A detector that must be sure finds them later than the landmarks can follow them.
    people = BlazePosePeople(min_score=0.4)
    standing = next(rgb_of(frame) for frame in open_clip(WALK).frames(70, 71))
    people.reset()
    whole = people.find(standing)[0]
    left, right = int(whole.box_xyxy[0]), int(whole.box_xyxy[2])
    # The picture's left edge goes back over the person: in frame k all columns left of `edges[k]` are cut off.
    edges = np.linspace(right - 10, left - 20, 24).astype(int)
    people.reset()
    first = None
    earlier = ()
    at = 0
    for k, edge in enumerate(edges):
        found = people.find(np.ascontiguousarray(standing[:, edge : edge + 320]))
        first = k if found and first is None else first
        if found and found[0].earlier:
            earlier = found[0].earlier
            at = k - found[0].earlier_from
            break
    assert first is not None and at < first
    assert len(earlier) >= 2
    truth = whole.mask[:, edges[at] : edges[at] + 320]
    assert (earlier[0].mask & truth).sum() > 0.6 * (earlier[0].mask | truth).sum()


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    with pytest.raises(PresetUnavailable, match=r"python -m builder\.fetch_models"):
        weight_path("movenet.tflite")


def test_who_rests_holds_no_model_and_finds_the_same_afterwards() -> None:
    def loaded() -> int:
        return sum(type(each) is LandmarkModel for each in gc.get_objects())

    picture = next(rgb_of(frame) for frame in open_clip(WALK).frames(60, 61))
    others = loaded()
    people = BlazePosePeople()
    [before] = people.find(picture)
    assert loaded() == others + 1

    people.rest()
    assert loaded() == others

    [after] = people.find(picture)
    np.testing.assert_array_equal(before.skeleton, after.skeleton)
    np.testing.assert_array_equal(before.mask, after.mask)
