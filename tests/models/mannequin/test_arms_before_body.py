"""Arms that hang, are folded or lie in the lap, and people who sit."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.figure import BONE, Figure, load_figure
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.mannequin.stance import sits, with_standing_height
from pipeline.models.weights.folder import weight_path

_HEIGHT = 800.0
_Arms = Literal["hanging", "folded", "on the thighs"]


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _view(figure: Figure, arms: _Arms, thigh: float = 1.0) -> ReferenceView:
    """Somebody who faces the camera; ``thigh`` is the fraction of the thighs' length that is seen."""
    skeleton = relaxed_skeleton(figure) * _HEIGHT + [400.0, 820.0, 0.0]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip, knee = skeleton[JOINT[f"{side}_hip"]].copy(), skeleton[JOINT[f"{side}_knee"]].copy()
        up = (1 - thigh) * (hip - knee)
        for part in ("knee", "ankle", "heel", "toe"):
            skeleton[JOINT[f"{side}_{part}"]] += up
        if arms == "hanging":
            continue
        elbow = skeleton[JOINT[f"{side}_elbow"]]
        chest = np.array([400.0, elbow[1] - 30, elbow[2] - 80])
        wrist = chest - [40 * sign, 0, 0] if arms == "folded" else hip + np.array([10 * sign, 50, -80])
        skeleton[JOINT[f"{side}_wrist"]] = wrist
        skeleton[JOINT[f"{side}_hand"]] = wrist + ([-30 * sign, 0, 0] if arms == "folded" else [0, 30, 0])
    mask = np.ones((840, 800), bool)
    colors = np.zeros((840, 800, 3), np.float32)
    joints = np.concatenate([skeleton[:NUM_JOINTS, :2], np.ones((NUM_JOINTS, 1))], 1)
    return ReferenceView("front", colors, mask, joints, skeleton, _HEIGHT, True)


def test_hanging_arms_are_read_and_cover_what_is_behind_them(figure: Figure) -> None:
    view = _view(figure, "hanging")
    arms = find_lower_arms(view)
    assert arms.unread == () and not arms.hides_forearms
    x, y = np.rint(view.skeleton[JOINT["left_wrist"], :2]).astype(int)
    assert arms.area[y, x] and not arms.area[y, 400]


def test_arms_that_a_portrait_does_not_show_cover_nothing(figure: Figure) -> None:
    portrait = replace(_view(figure, "folded"), cut_row=500.0)
    # Its legs are unknown.
    portrait.skeleton[[JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle")]] = np.nan
    assert find_lower_arms(portrait).are_folded
    portrait.joints[JOINT["left_wrist"], 2] = 0.5
    one = find_lower_arms(portrait)
    assert BONE["hand.L"] in one.guessed and BONE["hand.R"] in one.before_body
    assert not one.areas[0].any() and one.areas[1].any()
    assert not one.shows_none
    portrait.joints[JOINT["right_elbow"], 2] = 0.5
    assert find_lower_arms(portrait).shows_none


def test_fingers_of_folded_arms_belong_to_them(figure: Figure) -> None:
    view = _view(figure, "folded")
    x, y = np.rint(view.joints[JOINT["nose"], :2]).astype(int)
    skin = (0.5, 0.3, 0.2)
    view.colors[y - 40 : y + 40, x - 40 : x + 40] = skin
    arms = find_lower_arms(view)
    column = round(view.skeleton[JOINT["left_hand"], 0])
    top = int(np.flatnonzero(arms.area[:, column])[0])
    view.colors[top - 20 : top + 20, column - 6 : column + 6] = skin
    assert find_lower_arms(view).area[top - 20, column] and not arms.area[top - 20, column]


def test_folded_arms_are_not_read(figure: Figure) -> None:
    arms = find_lower_arms(_view(figure, "folded"))
    assert arms.hides_forearms
    assert {BONE["forearm1.L"], BONE["hand.R"]} <= set(arms.unread)
    first = np.isin(figure.bone_index[figure.triangles[:, 0], 0], arms.unread)
    assert np.array_equal(arms.of_triangles(figure, figure.triangles), first) and first.any()


def test_of_hands_on_the_thighs_the_forearms_are_read(figure: Figure) -> None:
    arms = find_lower_arms(_view(figure, "on the thighs"))
    assert set(arms.unread) == {BONE["hand.L"], BONE["hand.R"]}


def test_a_view_from_the_side_tells_nothing_of_arms(figure: Figure) -> None:
    arms = find_lower_arms(replace(_view(figure, "folded"), view="left"))
    assert arms.unread == () and not arms.area.any()


def test_somebody_who_sits_is_taller_than_in_the_picture(figure: Figure) -> None:
    standing, sitting = _view(figure, "hanging"), _view(figure, "hanging", thigh=0.4)
    assert not sits(standing) and with_standing_height(standing) is standing
    assert sits(sitting)
    thigh = np.ptp(standing.joints[[JOINT["left_hip"], JOINT["left_knee"]], 1])
    assert with_standing_height(sitting).height_px == pytest.approx(_HEIGHT + 0.6 * thigh, abs=0.05 * _HEIGHT)
