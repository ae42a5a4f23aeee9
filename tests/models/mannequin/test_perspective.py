"""Shoulders and arms before a camera at a distance: the nearer ones are larger, and shoulders are seen level."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT, SHOULDERS
from pipeline.models.mannequin.figure import BONE, Figure, Pose, load_figure, posed_joints
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path

HEIGHT = 300.0
LEGS = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "heel", "toe")]


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _posed(figure: Figure, yaw: float, distance_bh: float) -> Pose:
    cos, sin = np.cos(yaw), np.sin(yaw)
    skeleton = relaxed_skeleton(figure) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T * HEIGHT
    return Poser(figure).pose(skeleton.astype(np.float32), HEIGHT, distance_px=distance_bh * HEIGHT)


def _arm_px(figure: Figure, pose: Pose, suffix: str) -> float:
    upper, fore, hand = (
        pose.apply(bone + suffix, figure.heads[BONE[bone + suffix]]) for bone in ("upperarm1", "forearm1", "hand")
    )
    return float(np.linalg.norm(fore - upper) + np.linalg.norm(hand - fore))


@pytest.mark.parametrize("yaw", [0.9, -0.9])
def test_of_somebody_turned_the_farther_shoulder_is_seen_lower_and_its_arm_shorter(figure: Figure, yaw: float) -> None:
    flat, near = (_posed(figure, yaw, distance) for distance in (np.inf, 3.0))
    farther = int(
        np.argmax([near.apply(f"upperarm1{s}", figure.heads[BONE[f"upperarm1{s}"]])[2] for s in (".L", ".R")])
    )
    lower = (posed_joints(figure, near) - posed_joints(figure, flat))[SHOULDERS, 1] / HEIGHT
    assert lower[farther] > 0.003
    assert lower[1 - farther] < -0.003
    longer = [_arm_px(figure, near, s) / _arm_px(figure, flat, s) for s in (".L", ".R")]
    assert longer[farther] < 0.99
    assert longer[1 - farther] > 1.01


def test_who_faces_the_camera_and_their_legs_stay_as_without_perspective(figure: Figure) -> None:
    flat, near = (posed_joints(figure, _posed(figure, 0.0, distance)) for distance in (np.inf, 3.0))
    assert np.abs(near - flat)[SHOULDERS, 1].max() < 0.001 * HEIGHT
    flat, near = (posed_joints(figure, _posed(figure, 0.9, distance)) for distance in (np.inf, 3.0))
    assert np.abs(near - flat)[LEGS].max() < 0.002 * HEIGHT
