"""Points on a torso: they move with the body, and are dropped where it is covered."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.joints import HIPS, NUM_JOINTS, SHOULDERS
from pipeline.models.people.anchors import Anchors, anchor, follow_anchors

SIZE_WH = (320, 240)


def scene(body_x: int, cover_x: int | None = None) -> tuple[Picture, Mask]:
    """A patterned body, 60 px wide, on a patterned background; somebody else may be in front of it."""
    picture = cv2.resize(np.random.default_rng(1).integers(0, 255, (24, 32, 3)).astype(np.uint8), SIZE_WH)
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[60:180, body_x : body_x + 60] = True
    clothes = cv2.resize(np.random.default_rng(2).integers(0, 255, (30, 15, 3)).astype(np.uint8), (60, 120))
    picture[mask] = clothes.reshape(-1, 3)
    if cover_x is not None:
        other = cv2.resize(np.random.default_rng(3).integers(0, 255, (30, 15, 3)).astype(np.uint8), (60, 120))
        picture[60:180, cover_x : cover_x + 60] = other
    return picture, mask


def anchored(picture: Picture, mask: Mask, body_x: int) -> Anchors:
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    joints[SHOULDERS] = [(body_x + 50, 80, 1), (body_x + 10, 80, 1)]
    joints[HIPS] = [(body_x + 45, 150, 1), (body_x + 15, 150, 1)]
    return anchor(picture, mask, joints, np.array([body_x + 30.0, 150.0]), SIZE_WH)


def test_points_go_with_the_body_at_any_size_of_the_picture() -> None:
    for scale in (1.0, 0.5):
        pictures = [
            cv2.resize(scene(100 + 5 * k)[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for k in range(6)
        ]
        anchors = anchored(pictures[0], scene(100)[1], 100)
        for before, now in pairwise(pictures):
            anchors = follow_anchors(anchors, before, now, SIZE_WH)
        assert anchors.are_sure
        np.testing.assert_allclose(anchors.expected_hips(), (155.0, 150.0), atol=1.0)


def test_a_covered_person_is_not_held_by_what_covers_them() -> None:
    # One stands; the other one enters in front from the right.
    pictures = [scene(100, 180 - 8 * k)[0] for k in range(11)]
    anchors = anchored(pictures[0], scene(100)[1], 100)
    for before, now in pairwise(pictures):
        anchors = follow_anchors(anchors, before, now, SIZE_WH)
        assert not anchors.are_sure or np.abs(anchors.expected_hips() - (130.0, 150.0)).max() < 2
    assert not anchors.are_sure


def test_a_plain_body_has_no_points() -> None:
    picture = np.full((240, 320, 3), 90, np.uint8)
    _, mask = scene(100)
    anchors = anchored(picture, mask, 100)
    assert not anchors.are_sure
    assert not follow_anchors(anchors, picture, picture, SIZE_WH).are_sure
