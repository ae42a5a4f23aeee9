"""Standing height where the picture shows a face and no more."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import FACE, HIPS, NUM_SKELETON, SHOULDERS
from pipeline.plan.body_height import height_ratios, standing_height
from pipeline.plan.face_height import HEIGHT_OF_FACE, height_of_face

SIZE_WH = (640, 360)
UPRIGHT_WH = (400, 640)
HEIGHT = 1800.0
SMALLER = 1.4
SECONDS = np.arange(30) / 30
MARKS = np.array([[0.0, 20.0, -50.0], [32.0, 0.0, -30.0], [-32.0, 0.0, -30.0], [65.0, 15.0, 90.0], [-65.0, 15.0, 90.0]])
"""Nose, eyes and ears, px."""
SPREAD = float(np.sqrt(np.square(MARKS - MARKS.mean(axis=0)).sum()))


def talking_head(turn: np.ndarray, trunk_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skeletons (T, 23, 3) and joints (T, 21, 3) of a face in the picture's middle, turned by angles (T,), over
    shoulders and hips that are guessed below the picture."""
    cos, sin, zero, one = np.cos(turn), np.sin(turn), np.zeros_like(turn), np.ones_like(turn)
    turned = np.stack([cos, zero, sin, zero, one, zero, -sin, zero, cos], axis=1).reshape(-1, 3, 3)
    skeletons = np.zeros((len(turn), NUM_SKELETON, 3), np.float32)
    skeletons[:, FACE] = MARKS * HEIGHT / (HEIGHT_OF_FACE * SPREAD) @ turned.transpose(0, 2, 1) + [320, 150, 0]
    skeletons[:, SHOULDERS] = [[520, 380, 0], [120, 380, 0]]
    skeletons[:, HIPS, 0] = [440, 200]
    skeletons[:, HIPS, 1] = 380 + trunk_px[:, None]
    joints = np.zeros((len(turn), 21, 3), np.float32)
    joints[..., :2] = skeletons[:, :21, :2]
    joints[:, [*FACE, *SHOULDERS], 2] = 1
    return skeletons, joints


def test_a_face_says_how_tall_somebody_is_and_a_guessed_trunk_does_not() -> None:
    wobbling = 450 + 150 * np.sin(np.arange(30) / 3)
    skeletons, joints = talking_head(0.6 * np.sin(np.arange(30) / 5), wobbling)
    found = standing_height(skeletons, joints, SECONDS, SIZE_WH)
    assert found == pytest.approx(np.full(30, HEIGHT), rel=0.01)


def test_a_face_that_leaves_the_picture_or_is_doubted_says_nothing() -> None:
    skeletons, joints = talking_head(np.zeros(30), np.full(30, 500.0))
    joints[:10, FACE[1], 0] = -3
    joints[10:20, FACE[3], 2] = 0.2
    found = height_of_face(skeletons, joints, SIZE_WH)
    assert np.isnan(found[:20]).all()
    assert found[20:] == pytest.approx(np.full(10, HEIGHT), rel=1e-4)


def test_a_small_face_says_nothing() -> None:
    skeletons, joints = talking_head(np.zeros(30), np.full(30, 500.0))
    assert np.isnan(height_of_face(skeletons / 2, joints / [2, 2, 1], SIZE_WH)).all()


def test_the_face_is_related_to_what_other_frames_show_of_the_same_person() -> None:
    skeletons, joints = talking_head(np.zeros(30), np.full(30, 500.0))
    # A big head over a trunk that ten frames show.
    skeletons[:10] /= SMALLER
    joints[..., :2] = skeletons[:, :21, :2]
    joints[:10, HIPS, 2] = 1
    ratios = height_ratios(skeletons, joints, UPRIGHT_WH)
    assert ratios.face == pytest.approx(ratios.trunk * 500 / HEIGHT, rel=0.01)
    whole, close = (
        standing_height(skeletons[part], joints[part], SECONDS[part], UPRIGHT_WH, ratios)
        for part in (slice(0, 10), slice(10, 30))
    )
    assert close.mean() / whole.mean() == pytest.approx(SMALLER, rel=0.01)
