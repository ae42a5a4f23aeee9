"""Positions of limbs and trunk under the typical errors of a landmark model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.joints import ANKLES, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Pose, load_figure, posed_joints
from pipeline.models.mannequin.landmark_bias import BLAZEPOSE, LandmarkBias
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path

HEIGHT = 300.0


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _standing(figure: Figure, yaw: float = 0.0) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = relaxed_skeleton(figure) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    return (turned * HEIGHT).astype(np.float32)


def test_without_a_bias_a_skeleton_stays_as_it_is(figure: Figure) -> None:
    skeleton = _standing(figure)
    np.testing.assert_array_equal(LandmarkBias().without(skeleton, HEIGHT), skeleton)


def test_feet_come_forward_by_their_bias_and_unknown_joints_stay_unknown(figure: Figure) -> None:
    skeleton = _standing(figure)
    skeleton[JOINT["left_wrist"]] = np.nan
    freed = BLAZEPOSE.without(skeleton, HEIGHT)
    expected = skeleton[ANKLES, 2] - BLAZEPOSE.feet_behind * HEIGHT
    np.testing.assert_allclose(freed[ANKLES, 2], expected, atol=1e-4)
    assert np.isnan(freed[JOINT["left_wrist"]]).all()


def test_legs_that_the_landmarks_lean_back_stand_upright(figure: Figure) -> None:
    seen = _standing(figure)
    for side in ("left", "right"):
        for part in ("ankle", "heel", "toe"):
            seen[JOINT[f"{side}_{part}"], 2] += BLAZEPOSE.feet_behind * HEIGHT
    exact = _leg_depth(figure, Poser(figure).pose(_standing(figure), HEIGHT))
    freed = _leg_depth(figure, Poser(figure, BLAZEPOSE).pose(seen, HEIGHT))
    biased = _leg_depth(figure, Poser(figure, replace(BLAZEPOSE, feet_behind=0.0)).pose(seen, HEIGHT))
    assert abs(freed - exact) < 0.5 * abs(biased - exact)


@pytest.mark.parametrize("yaw", [0.0, 0.8, 1.57])
def test_a_knee_that_is_seen_beside_the_leg_is_drawn_there(figure: Figure, yaw: float) -> None:
    straight = _standing(figure, yaw)
    aside = straight.copy()
    aside[JOINT["left_knee"], 0] += 0.02 * HEIGHT
    before, after = (posed_joints(figure, Poser(figure).pose(each, HEIGHT)) for each in (straight, aside))
    moved = after[:, 0] - before[:, 0]
    assert 0.3 * 0.02 * HEIGHT < moved[JOINT["left_knee"]] < 0.02 * HEIGHT
    assert abs(moved[JOINT["left_ankle"]]) < 0.05


def _leg_depth(figure: Figure, pose: Pose) -> float:
    """Depth of the left ankle behind its hip, px."""
    hip, ankle = (pose.apply(bone, figure.heads[BONE[bone]]) for bone in ("thigh1.L", "foot.L"))
    return float(ankle[2] - hip[2])


@pytest.mark.parametrize("yaw", [0.0, np.pi])
def test_feet_point_where_the_body_does_though_their_depth_is_flat(figure: Figure, yaw: float) -> None:
    """Seen from behind, a landmark model puts the toes before the heels."""
    skeleton = _standing(figure, yaw)
    for side in ("left", "right"):
        heel, toe = JOINT[f"{side}_heel"], JOINT[f"{side}_toe"]
        skeleton[toe, 2] = skeleton[heel, 2] - 0.08 * HEIGHT
        skeleton[toe, 0] += (0.02 if side == "left" else -0.02) * HEIGHT * np.cos(yaw)
    pose = Poser(figure).pose(skeleton, HEIGHT)
    ahead = np.array([0.0, 0.0, -np.cos(yaw)])
    for side, suffix in (("left", ".L"), ("right", ".R")):
        heel = pose.apply(f"foot{suffix}", figure.landmarks[LANDMARK[f"{side}_heel"]])
        toe = pose.apply(f"foot{suffix}", figure.landmarks[LANDMARK[f"{side}_toe"]])
        flat = (toe - heel) * [1, 0, 1]
        assert flat @ ahead / np.linalg.norm(flat) > np.cos(np.radians(40))


def test_hands_reach_their_positions_although_the_shoulders_are_too_high(figure: Figure) -> None:
    skeleton = _standing(figure)
    own = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    raised = skeleton.copy()
    # Arms held out sideways.
    for side, way in (("left", 1), ("right", -1)):
        shoulder = own[JOINT[f"{side}_shoulder"], :2]
        for part, reach in (("elbow", 0.13), ("wrist", 0.24), ("hand", 0.29)):
            raised[JOINT[f"{side}_{part}"], :2] = shoulder + HEIGHT * reach * np.array([way, 0.0])
            raised[JOINT[f"{side}_{part}"], 2] = raised[JOINT[f"{side}_shoulder"], 2]
    raised[SHOULDERS, 1] -= 0.03 * HEIGHT
    joints = posed_joints(figure, Poser(figure).pose(raised, HEIGHT))
    for side in ("left", "right"):
        row = JOINT[f"{side}_wrist"]
        # By their directions alone the arms would hang 0.009 lower.
        assert abs(joints[row, 1] - raised[row, 1]) < 0.005 * HEIGHT


def test_the_trunk_follows_visible_shoulders_when_the_hips_are_hidden(figure: Figure) -> None:
    """A landmark model puts the hips of people in profile too far to the front."""
    right = _standing(figure)
    wrong = right.copy()
    for side in ("left", "right"):
        wrong[JOINT[f"{side}_hip"], 0] += 0.04 * HEIGHT
        wrong[JOINT[f"{side}_knee"], 0] += 0.02 * HEIGHT
    shifts = [_shoulder_x(figure, skeleton) for skeleton in (right, wrong)]
    assert abs(shifts[1] - shifts[0]) < 0.005 * HEIGHT


def _shoulder_x(figure: Figure, skeleton: np.ndarray) -> float:
    joints = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    return float(joints[SHOULDERS, 0].mean())


def _head_parts(skeleton: np.ndarray) -> list[int]:
    return [JOINT[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]


def test_a_head_held_forward_is_there(figure: Figure) -> None:
    skeleton = _standing(figure, np.pi / 2)
    own = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    rows = _head_parts(skeleton)
    ahead = float(np.sign(skeleton[JOINT["nose"], 0] - skeleton[JOINT["left_ear"], 0]))
    skeleton[rows, 0] += ahead * 0.05 * HEIGHT
    skeleton[rows, 1] += 0.02 * HEIGHT
    moved = (posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT)) - own)[rows, :2].mean(axis=0) / HEIGHT
    assert 0.025 < ahead * moved[0] < 0.055
    assert 0.005 < moved[1] < 0.03


def test_who_looks_down_looks_down(figure: Figure) -> None:
    skeleton = _standing(figure)
    rows = _head_parts(skeleton)
    level = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    middle = skeleton[rows].mean(axis=0)
    pitch = np.radians(30)
    turn = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    skeleton[rows] = (skeleton[rows] - middle) @ turn.T + middle
    bowed = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))

    def nose_below_ears(joints: np.ndarray) -> float:
        return float(joints[JOINT["nose"], 1] - joints[[JOINT["left_ear"], JOINT["right_ear"]], 1].mean())

    expected = float(skeleton[JOINT["nose"], 1] - skeleton[[JOINT["left_ear"], JOINT["right_ear"]], 1].mean())
    assert nose_below_ears(bowed) - nose_below_ears(level) > 0.6 * (expected - nose_below_ears(level))


@pytest.mark.parametrize("longer", [0.9, 1.15])
def test_a_trunk_reaches_from_the_hips_to_the_shoulders(figure: Figure, longer: float) -> None:
    skeleton = _standing(figure)
    hips = skeleton[[JOINT["left_hip"], JOINT["right_hip"]], 1].mean()
    above = [*SHOULDERS, *_head_parts(skeleton)]
    own = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    lift = (longer - 1) * (skeleton[SHOULDERS, 1].mean() - hips)
    skeleton[above, 1] += lift
    stretched = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    moved = stretched[SHOULDERS, 1].mean() - own[SHOULDERS, 1].mean()
    assert 0.6 < moved / lift < 1.1
    # The legs do not take part.
    np.testing.assert_allclose(stretched[ANKLES, :2], own[ANKLES, :2], atol=0.02 * HEIGHT)


def test_a_trunk_that_is_not_seen_whole_keeps_its_length(figure: Figure) -> None:
    skeleton = _standing(figure)
    seen = np.ones(len(skeleton))
    seen[[JOINT["left_hip"], JOINT["right_hip"]]] = 0
    own = Poser(figure).pose(skeleton, HEIGHT, seen)
    skeleton[[JOINT["left_hip"], JOINT["right_hip"]], 1] += 0.1 * HEIGHT
    np.testing.assert_allclose(Poser(figure).pose(skeleton, HEIGHT, seen).linear, own.linear, atol=1e-6)


def test_who_bends_down_to_the_ground_has_the_shoulders_level_with_the_hips(figure: Figure) -> None:
    skeleton = _standing(figure, np.pi / 2)
    hips = skeleton[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    arms = [row for name, row in JOINT.items() if name.endswith(("elbow", "wrist", "hand"))]
    trunk = [*SHOULDERS, *_head_parts(skeleton), *arms]
    ahead = float(np.sign(skeleton[JOINT["nose"], 0] - skeleton[JOINT["left_ear"], 0]))
    x, y, z = (skeleton[trunk] - hips).T
    skeleton[trunk] = hips + np.column_stack([-ahead * y, ahead * x, z])
    placed = posed_joints(figure, Poser(figure).pose(skeleton, HEIGHT))
    off = placed[SHOULDERS, :2].mean(axis=0) - skeleton[SHOULDERS, :2].mean(axis=0)
    assert np.linalg.norm(off) < 0.055 * HEIGHT


@pytest.mark.parametrize("lean", [-0.25, 0.25])
def test_a_trunk_leans_in_depth_though_landmarks_see_it_longer_than_the_rig_is(figure: Figure, lean: float) -> None:
    skeleton = _standing(figure)
    hips = skeleton[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    arms = [row for name, row in JOINT.items() if name.endswith(("elbow", "wrist", "hand"))]
    above = [*SHOULDERS, *_head_parts(skeleton), *arms]
    upright = _shoulders_behind_hips(figure, skeleton)
    skeleton[above, 1] = hips[1] + BLAZEPOSE.trunk_length * (skeleton[above, 1] - hips[1])
    rise = hips[1] - skeleton[SHOULDERS, 1].mean()
    skeleton[above, 2] += lean * (hips[1] - skeleton[above, 1])
    moved = _shoulders_behind_hips(figure, skeleton) - upright
    assert 0.3 < moved / (lean * rise / BLAZEPOSE.trunk_length) < 1.1


def _shoulders_behind_hips(figure: Figure, skeleton: np.ndarray) -> float:
    pose = Poser(figure, BLAZEPOSE).pose(skeleton, HEIGHT)
    places = {name: pose.apply(name, figure.heads[BONE[name]]) for name in ("upperarm1.L", "upperarm1.R", "thigh1.L")}
    return float((places["upperarm1.L"] + places["upperarm1.R"])[2] / 2 - places["thigh1.L"][2])
