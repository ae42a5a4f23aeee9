"""People of whom the picture shows a part: found in every frame, with a region for the whole body."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.joints import HIPS, SHOULDERS
from pipeline.media.decode import open_clip
from pipeline.media.pixels import rgb_of
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.models.people.following import Followed
from pipeline.models.people.half_bodies import kept_in_size
from pipeline.models.people.landmarks import OTHER_SIDES, REGION_MARGIN, Landmarks, Region, regions_of_rough
from pipeline.models.people.movenet import RoughPerson

WALK = Path(__file__).parents[3] / "assets" / "walk_a" / "sample.mp4"


def rough(points: dict[int, tuple[float, float]], box: tuple[float, float, float, float]) -> RoughPerson:
    keypoints = np.zeros((17, 3))
    for row, (x, y) in points.items():
        keypoints[row] = x, y, 0.9
    return RoughPerson(np.array(box), keypoints, 0.9)


def test_head_and_shoulders_tell_where_the_hips_are() -> None:
    # Somebody of 500 px: eyes 0.14 above the shoulders, hips 0.3 below them, outside a picture of 360 lines.
    top = {0: (200.0, 130.0), 1: (205, 125), 2: (195, 125), 5: (250.0, 200.0), 6: (150.0, 200.0)}
    likeliest, *others = regions_of_rough(rough(top, (140.0, 60.0, 260.0, 360.0)))
    assert (likeliest.x, likeliest.y) == pytest.approx((200, 350), abs=25)
    assert likeliest.side == pytest.approx(740, rel=0.1)
    assert [each.side / likeliest.side for each in others[:2]] == pytest.approx(OTHER_SIDES)
    # The last one trusts the box.
    assert others[2].side == pytest.approx(REGION_MARGIN * 300)


def test_seen_hips_and_boxes_come_first() -> None:
    whole = {
        0: (200.0, 60.0),
        5: (230.0, 90.0),
        6: (170.0, 90.0),
        11: (220.0, 180.0),
        12: (180.0, 180.0),
        15: (200, 320),
    }
    likeliest, *_ = regions_of_rough(rough(whole, (150.0, 40.0, 250.0, 330.0)))
    assert (likeliest.x, likeliest.y) == (200.0, 180.0)
    likeliest, *_ = regions_of_rough(rough({0: (50.0, 50.0)}, (0.0, 0.0, 100.0, 80.0)))
    assert (likeliest.x, likeliest.y, likeliest.side) == (50.0, 40.0, REGION_MARGIN * 100)
    assert regions_of_rough(rough({}, (5.0, 5.0, 7.0, 90.0))) == []


def close_ups(start: int, stop: int, part: slice, columns: slice) -> list[Picture]:
    """Enlarged parts of walk_a's frames."""
    frames = islice(open_clip(WALK).frames(), start, stop)
    return [cv2.resize(rgb_of(frame)[part, columns], (640, 360), interpolation=cv2.INTER_CUBIC) for frame in frames]


@pytest.mark.parametrize(
    ("part", "columns", "first", "aim"),
    [(slice(40, 150), slice(150, 346), 46, 0.95), (slice(55, 151), slice(190, 361), 38, 0.8)],
    ids=["from the front", "coming in from the side"],
)
def test_a_close_up_is_found_in_nearly_all_frames(part: slice, columns: slice, first: int, aim: float) -> None:
    people = BlazePosePeople()
    pictures = close_ups(first, first + 15, part, columns)
    found = [len(people.find(picture)) for picture in pictures]
    assert np.mean(np.array(found) > 0) >= aim


def test_legs_alone_are_found_in_every_frame_though_their_score_is_low_at_times() -> None:
    people = BlazePosePeople()
    pictures = close_ups(126, 138, slice(158, 312), slice(366, 640))
    found = [len(people.find(picture)) for picture in pictures]
    assert found == [1] * 12


@pytest.mark.parametrize(
    ("box", "side", "expected"),
    [
        ((100.0, 40.0, 300.0, 330.0), 300.0, 300.0),
        ((0.0, 40.0, 60.0, 330.0), 360.0, 400.0),
        ((0.0, 40.0, 60.0, 330.0), 100.0, 125.0),
        ((0.0, 40.0, 60.0, 330.0), 450.0, 450.0),
        ((580.0, 40.0, 638.0, 330.0), 360.0, 400.0),
    ],
    ids=["whole", "cut off", "much smaller", "larger", "on the right"],
)
def test_the_region_of_somebody_cut_off_at_a_side_does_not_shrink_with_them(
    box: tuple[float, float, float, float], side: float, expected: float
) -> None:
    mask = np.zeros((360, 640), np.bool_)
    joints = np.ones((21, 3), np.float32)
    middle = (box[0] + box[2]) / 2
    joints[[*SHOULDERS, *HIPS], :2] = [(middle + x, y) for y in (100, 230) for x in (15, -15)]
    person = Person(np.array(box), 1.0, joints, np.zeros((23, 3), np.float32), mask)
    earlier = Followed(person, Region(320.0, 180.0, 400.0, 0.0), np.zeros(2), np.zeros(2), 5, 1)
    region = Region(20.0, 180.0, side, 0.1)
    kept = kept_in_size(Landmarks(person, region, np.zeros(2), region), earlier, (640, 360))
    assert kept == replace(region, side=expected)
