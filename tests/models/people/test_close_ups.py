"""Faces that fill the picture: found at their true size, or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.models.people.blazepose import BlazePosePeople
from pipeline.models.people.close_ups import is_close_up
from pipeline.models.people.movenet import RoughPerson

ASSETS = Path(__file__).parents[3] / "assets"
EYES = [1, 2]
SIZE_WH = (360, 640)


def rough(eyes_apart: float, eye_score: float, shoulder_score: float) -> RoughPerson:
    keypoints = np.zeros((17, 3))
    keypoints[EYES] = [[180 + eyes_apart / 2, 300, eye_score], [180 - eyes_apart / 2, 300, eye_score]]
    keypoints[[5, 6]] = [[300, 600, shoulder_score], [60, 600, shoulder_score]]
    return RoughPerson(np.array([20.0, 100.0, 340.0, 600.0]), keypoints, 0.1)


@pytest.mark.parametrize(
    ("eyes_apart", "eye_score", "shoulder_score", "expected"),
    [(100.0, 0.4, 0.0, True), (100.0, 0.4, 0.6, False), (100.0, 0.05, 0.0, False), (20.0, 0.4, 0.0, False)],
    ids=["a face alone", "with shoulders", "no eyes", "far away"],
)
def test_eyes_far_apart_without_shoulders_are_a_close_up(
    eyes_apart: float, eye_score: float, shoulder_score: float, expected: bool
) -> None:
    assert is_close_up(rough(eyes_apart, eye_score, shoulder_score), SIZE_WH) is expected


def face_of(name: str, breadth_of_eyes: float) -> tuple[Picture, np.ndarray]:
    """A face that fills a picture of 360 x 640 px, and its eyes (2, 2) by the landmarks of the whole figure."""
    whole = cv2.cvtColor(cv2.imread(str(ASSETS / f"{name}.png")), cv2.COLOR_BGR2RGB)
    eyes = BlazePosePeople().find(whole)[0].joints[EYES, :2]
    width = round(breadth_of_eyes * float(np.hypot(*(eyes[0] - eyes[1]))))
    height = round(width * 16 / 9)
    x, y = np.maximum(np.round(eyes.mean(axis=0) - [width / 2, height / 2]), 0).astype(int)
    part = whole[y : y + height, x : x + width]
    return cv2.resize(part, SIZE_WH, interpolation=cv2.INTER_CUBIC), (eyes - [x, y]) * SIZE_WH[0] / width


@pytest.mark.parametrize("name", ["suit", "sport"])
def test_a_face_that_fills_the_picture_is_no_doll(name: str) -> None:
    picture, eyes = face_of(name, 3.6)
    (person,) = BlazePosePeople().find(picture)
    distance = float(np.hypot(*(eyes[0] - eyes[1])))
    assert np.linalg.norm(person.joints[EYES, :2] - eyes, axis=1).max() < 0.25 * distance
    # The body hangs outside the picture.
    assert person.joints[[11, 12], 1].min() > 2 * SIZE_WH[1]
    assert person.mask.mean() > 0.4


def test_a_picture_without_a_face_shows_nobody() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 24, 3), np.uint8)
    assert BlazePosePeople().find(cv2.resize(noise, SIZE_WH, interpolation=cv2.INTER_CUBIC)) == []
