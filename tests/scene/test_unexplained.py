"""What is seen through a thing: its face and its pattern are filled, a limb between its parts is the subject's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.scene.layers import Label, labels_of
from tests.support.scene_labels import NOTHING, PATH, learned, share
from tests.support.scene_truth import Mask, Shot, man_at, shot_at, wall

RED = (190, 40, 50)


def corners_at(x: float) -> np.ndarray:
    return np.array([(x + 52, 128), (x + 56, 178), (x + 6, 178), (x + 8, 138)], np.int32)


def frame_at(x: float) -> Mask:
    """A bicycle's frame, held by the left hand: it crosses the edge of the leg."""
    return cv2.polylines(np.zeros(NOTHING.shape, np.uint8), [corners_at(x)], True, 1, 5) > 0


def inside_at(x: float) -> Mask:
    return (cv2.fillPoly(np.zeros(NOTHING.shape, np.uint8), [corners_at(x)], 1) > 0) & ~frame_at(x)


def with_frame(x: float) -> Shot:
    shot = shot_at(x, wall())
    picture = shot.picture.copy()
    picture[frame_at(x)] = RED
    return Shot(shot.x, picture, shot.plate, shot.subject_mask, shot.others_mask)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    row = learned([with_frame(x) for x in PATH[::2]])
    return labels_of(with_frame(150).sample(), row, (row.front, row.wrong), is_completed=True)


def test_a_leg_between_the_tubes_of_a_bicycle_is_the_subjects(labels: np.ndarray) -> None:
    leg = inside_at(150) & man_at(150)[0]
    inner = cv2.erode(leg.view(np.uint8), np.ones((5, 5))) > 0
    assert inner.sum() > 100
    assert share(labels == Label.SUBJECT, inner) > 0.9


def test_the_bicycle_is_kept(labels: np.ndarray) -> None:
    assert share(labels == Label.CARRIED, frame_at(150)) > 0.85
