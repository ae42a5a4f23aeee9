"""The figure follows the visible joints: hips, shoulders or head alone, and entering feet cause no jump."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import Figure, load_figure, posed_joints
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.skeleton import believed, relaxed_skeleton
from pipeline.models.weights.folder import weight_path

HEIGHT = 400.0
LEGS = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle", "heel", "toe")]
FACE = [JOINT[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def posed(figure: Figure, skeleton: np.ndarray, seen: np.ndarray) -> np.ndarray:
    pose = Poser(figure).pose(skeleton.astype(np.float32), HEIGHT, seen)
    return np.asarray(posed_joints(figure, pose)[:, :2], np.float64)


def standing(figure: Figure) -> np.ndarray:
    return relaxed_skeleton(figure) * HEIGHT + np.array([300, 250, 0])


@pytest.mark.parametrize("unseen", [LEGS, [*LEGS, *HIPS], [*LEGS, *SHOULDERS]])
def test_legs_that_are_guessed_wrong_outside_the_picture_do_not_pull(figure: Figure, unseen: list[int]) -> None:
    true = standing(figure)
    whole = posed(figure, true, np.ones(23))
    wrong = true.copy()
    wrong[unseen, 1] += 0.4 * HEIGHT
    seen = np.ones(23)
    seen[unseen] = 0
    shown = [j for j in (*FACE, *SHOULDERS, *HIPS) if j not in unseen]
    apart = np.linalg.norm(posed(figure, wrong, seen) - whole, axis=1)[shown]
    assert apart.max() < 0.03 * HEIGHT
    # Believed, they pull it down: what is avoided here.
    assert np.linalg.norm(posed(figure, wrong, np.ones(23)) - whole, axis=1)[shown].max() > 0.1 * HEIGHT


def test_a_head_alone_is_enough(figure: Figure) -> None:
    true = standing(figure)
    wrong = true + np.array([0, 90, 0])
    wrong[FACE] = true[FACE]
    seen = np.zeros(23)
    seen[FACE] = 1
    apart = np.linalg.norm(posed(figure, wrong, seen) - posed(figure, true, np.ones(23)), axis=1)[FACE]
    assert apart.max() < 0.04 * HEIGHT


def test_feet_come_in_without_a_jump(figure: Figure) -> None:
    skeleton = standing(figure)
    skeleton[LEGS, 1] += 0.1 * HEIGHT
    last = None
    steps = []
    for share in np.linspace(0, 1, 41):
        seen = np.ones(23)
        seen[LEGS] = share
        now = posed(figure, skeleton, seen)
        if last is not None:
            steps.append(np.linalg.norm(now - last, axis=1).max())
        last = now
    assert max(steps) < 0.015 * HEIGHT


def test_one_foot_outside_leaves_the_figure_on_the_other(figure: Figure) -> None:
    true = standing(figure)
    wrong = true.copy()
    left = [JOINT[f"left_{part}"] for part in ("knee", "ankle", "heel", "toe")]
    wrong[left, 1] += 0.4 * HEIGHT
    seen = np.ones(23)
    seen[left] = 0
    apart = np.linalg.norm(posed(figure, wrong, seen) - posed(figure, true, np.ones(23)), axis=1)
    assert apart[[*FACE, *SHOULDERS, *HIPS, JOINT["right_ankle"]]].max() < 0.02 * HEIGHT


def test_confidence_decides_and_hands_follow_wrists() -> None:
    joints = np.ones((21, 3), np.float32)
    joints[JOINT["left_wrist"], 2] = 0
    joints[JOINT["left_knee"], 2] = np.nan
    seen = believed(joints)
    assert seen[JOINT["left_wrist"]] == seen[JOINT["left_hand"]] == seen[JOINT["left_knee"]] == 0
    assert seen[JOINT["right_hand"]] == seen[JOINT["nose"]] == 1


def test_a_turned_head_alone_lies_where_it_is_seen(figure: Figure) -> None:
    true = standing(figure)
    turned = true.copy()
    middle = true[FACE].mean(axis=0)
    cos, sin = np.cos(0.8), np.sin(0.8)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    turned[FACE] = (true[FACE] - middle) @ turn.T + middle + np.array([30.0, 12.0, 0.0])
    seen = np.zeros(23)
    seen[FACE] = 1
    off = posed(figure, turned, seen)[FACE].mean(axis=0) - turned[FACE, :2].mean(axis=0)
    assert np.hypot(*off) < 0.004 * HEIGHT


def test_shoulders_at_the_edge_for_one_frame_do_not_move_the_face(figure: Figure) -> None:
    skeleton = standing(figure)
    # Guessed beside the picture, a tenth of the body too low.
    skeleton[SHOULDERS, 1] += 0.1 * HEIGHT
    seen = np.zeros(23)
    seen[FACE] = 1
    without = posed(figure, skeleton, seen)
    seen[SHOULDERS] = 1
    apart = posed(figure, skeleton, seen)[FACE].mean(axis=0) - without[FACE].mean(axis=0)
    assert np.hypot(*apart) < 0.004 * HEIGHT
