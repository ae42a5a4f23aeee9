"""Distant people: found in parts of the picture where the whole picture is too coarse for the detector."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.maths.boxes import box_of_mask
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.models.people.distant import FAR_EVERY, find_beside, find_distant
from pipeline.models.people.movenet import RoughPerson

ASSETS = Path(__file__).parents[3] / "assets"
LEAST_PX = 40
"""Height of the smallest blob that the stand-in sees, in its 256."""


class BlobDetector:
    """Finds the white blobs of a picture, if they are as high as ``LEAST_PX`` in a copy of 256 px."""

    def __init__(self) -> None:
        self.looks = 0

    def find(self, picture: Picture, min_score: float) -> list[RoughPerson]:
        self.looks += 1
        people = []
        count, labels = cv2.connectedComponents((picture[..., 0] > 127).astype(np.uint8))
        for label in range(1, count):
            box = np.array(box_of_mask(labels == label), np.float64)
            if (box[3] - box[1]) * 256 / max(picture.shape) >= LEAST_PX:
                people.append(RoughPerson(box, np.zeros((17, 3)), 0.5))
        return people


def with_blob(size_wh: tuple[int, int], box: NDArray[np.int64]) -> Picture:
    picture = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    picture[box[1] : box[3], box[0] : box[2]] = 255
    return picture


@pytest.mark.parametrize("size_wh", [(1280, 720), (720, 1280), (640, 640)], ids=["wide", "high", "square"])
@pytest.mark.parametrize("height", [0.095, 0.056], ids=["far", "farther"])
def test_one_small_person_anywhere_is_found_once_where_they_are(size_wh: tuple[int, int], height: float) -> None:
    rng = np.random.default_rng(4)
    high = round(height * max(size_wh))
    for _ in range(12):
        x, y = rng.integers(0, (size_wh[0] - high // 2 + 1, size_wh[1] - high + 1))
        box = np.array([x, y, x + high // 2, y + high])
        found = find_distant(BlobDetector(), with_blob(size_wh, box), 0.2, 0)
        assert len(found) == 1
        assert np.abs(found[0].box_xyxy - box).max() <= 1


def test_most_frames_are_not_searched() -> None:
    empty = np.zeros((720, 1280, 3), np.uint8)
    looks = []
    for frame in range(FAR_EVERY + 1):
        detector = BlobDetector()
        assert find_distant(detector, empty, 0.2, frame) == []
        looks.append(detector.looks)
    assert looks[1:FAR_EVERY] == [0] * (FAR_EVERY - 1)
    assert looks[0] > looks[FAR_EVERY] > 0


def test_beside_others_one_part_is_searched_at_a_time_until_all_were() -> None:
    picture = with_blob((1280, 720), np.array([1180, 300, 1230, 420]))
    detector = BlobDetector()
    found = {frame: find_beside(detector, picture, 0.2, frame, known=[]) for frame in range(4 * FAR_EVERY)}
    (where,) = (frame for frame, people in found.items() if people)
    assert detector.looks == 3
    assert find_beside(detector, picture, 0.2, where, known=found[where]) == []


def test_a_figure_of_a_ninth_of_the_picture_is_found_at_its_size() -> None:
    figure = cv2.cvtColor(cv2.imread(str(ASSETS / "suit.png")), cv2.COLOR_BGR2RGB)
    near = BlazePosePeople().find(figure)[0]
    scale = 0.11 * 1280 / float(near.box_xyxy[3] - near.box_xyxy[1])
    small = cv2.resize(figure, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    x, y = 760, 420
    borders = y, 720 - y - height, x, 1280 - x - width
    picture = cv2.copyMakeBorder(small, *borders, cv2.BORDER_REPLICATE)
    (far,) = BlazePosePeople().find(picture)
    away = np.hypot(*((far.joints[:, :2] - [x, y]) / scale - near.joints[:, :2]).T)
    assert np.median(away) < 0.02 * (near.box_xyxy[3] - near.box_xyxy[1])


def test_somebody_lost_at_a_distance_is_found_again_beside_somebody_near() -> None:
    """The whole picture shows the near one alone: first a part of it shows the far one, then where they were lost."""
    figure = cv2.cvtColor(cv2.imread(str(ASSETS / "suit.png")), cv2.COLOR_BGR2RGB)
    people = BlazePosePeople()
    both, empty = (scene(figure, far, True) for far in (True, False))
    found = [people.find(both) for _ in range(FAR_EVERY + 1)]
    assert len(found[0]) == 1 and len(found[-1]) == 2
    people.find(empty)
    people.find(empty)
    found = [people.find(both) for _ in range(3)]
    assert len(found[-1]) == 2


def scene(figure: Picture, far: bool, near: bool) -> Picture:
    picture = np.full((720, 1280, 3), figure[2, 2], np.uint8)
    for is_there, height, x in ((far, 140, 300), (near, 640, 760)):
        if is_there:
            scale = height / figure.shape[0]
            small = cv2.resize(figure, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            picture[700 - height : 700 - height + small.shape[0], x : x + small.shape[1]] = small
    return picture
