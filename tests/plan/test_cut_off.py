"""Legs alone in the picture: the upper body that the model presses to the edge is put where it belongs."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import HIPS, JOINT, SHOULDERS, WRISTS
from pipeline.plan.body_height import standing_height
from pipeline.plan.cut_off import leg_lengths, legs_alone, with_upper_bodies
from tests.plan.test_height import FPS, SIZE_WH, body

COUNT = 30
HEIGHT = 500.0
BOXES = np.tile([250.0, 0.0, 390.0, 330.0], (COUNT, 1))


def legs_body() -> tuple[np.ndarray, np.ndarray]:
    """Somebody of whom the upper edge shows hips and legs; the model has pressed the rest into the picture."""
    skeletons, joints = body(np.full(COUNT, HEIGHT), top_px=-180.0)
    for side in ("left", "right"):
        skeletons[:, JOINT[f"{side}_shoulder"], 1] = 12
        skeletons[:, JOINT[f"{side}_eye"], 1] = 20
        skeletons[:, JOINT[f"{side}_elbow"], 1] = 10
        skeletons[:, JOINT[f"{side}_wrist"], :2] = 320, 90
    joints[..., :2] = skeletons[:, :21, :2]
    return skeletons, joints


def test_pressed_shoulders_are_told_from_seen_ones() -> None:
    _, pressed = legs_body()
    assert legs_alone(pressed, BOXES).all()
    # Hair cut off by the edge, and a whole person below it.
    _, seen = body(np.full(COUNT, 300.0), top_px=-15.0)
    assert not legs_alone(seen, BOXES).any()
    assert not legs_alone(pressed, BOXES + np.array([0, 30, 0, 0])).any()


def test_the_upper_body_stands_on_the_hips_outside_the_picture() -> None:
    skeletons, joints = legs_body()
    seconds = np.arange(COUNT) / FPS
    frames = legs_alone(joints, BOXES)
    raised, raised_skeletons = with_upper_bodies(joints, skeletons, frames, seconds)
    trunk = raised[:, HIPS, 1].mean(axis=1) - raised[:, SHOULDERS, 1].mean(axis=1)
    assert trunk == pytest.approx(0.303 * HEIGHT, rel=0.1)
    assert (raised[:, SHOULDERS, 1] < 0).all()
    # Hands before the hips are seen, and stay.
    assert (raised[:, WRISTS] == joints[:, WRISTS]).all()
    assert (raised_skeletons[:, :21, :2] == raised[..., :2])[:, [*SHOULDERS, *HIPS]].all()
    after = standing_height(raised_skeletons, raised, seconds, SIZE_WH)
    assert after.mean() == pytest.approx(HEIGHT, rel=0.08)
    assert leg_lengths(joints).mean() == pytest.approx(0.47 * HEIGHT, rel=0.01)


def test_nothing_changes_where_the_upper_body_is_seen() -> None:
    skeletons, joints = body(np.full(COUNT, 300.0))
    frames = legs_alone(joints, BOXES + np.array([0, 30, 0, 0]))
    same, same_skeletons = with_upper_bodies(joints, skeletons, frames, np.arange(COUNT) / FPS)
    assert (same == joints).all()
    assert (same_skeletons == skeletons).all()
