"""Pictures of people who stand: the landmark model leans them towards the camera, and the figure must not follow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, load_figure
from pipeline.models.mannequin.landmark_bias import BLAZEPOSE
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.proportions import Proportions, with_proportions
from pipeline.models.mannequin.reference import ReferenceView, View
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.mannequin.upright import stands_upright, with_trunk_as_posed, with_trunk_upright
from pipeline.models.weights.folder import weight_path

HEIGHT = 500.0


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _view(figure: Figure, lean: float, view: View = "front", *, whole: bool = True) -> ReferenceView:
    """Somebody with the figure's joints, whose upper body the landmarks lean by radians towards the camera."""
    skeleton = relaxed_skeleton(figure) * HEIGHT + [150.0, 520.0, 0.0]
    upper = [*SHOULDERS, *(JOINT[name] for name in ("nose", "left_ear", "right_ear", "left_elbow", "right_elbow"))]
    skeleton[upper, 2] -= np.tan(lean) * (skeleton[HIPS, 1].mean() - skeleton[upper, 1])
    return ReferenceView(
        view=view,
        colors=np.zeros((540, 300, 3), np.float32),
        mask=np.ones((540, 300), np.bool_),
        joints=np.concatenate([skeleton[:21, :2], np.ones((21, 1))], 1),
        skeleton=skeleton,
        height_px=HEIGHT,
        is_whole=whole,
    )


def _lean(reference: ReferenceView) -> float:
    return float(reference.skeleton[SHOULDERS, 2].mean() - reference.skeleton[HIPS, 2].mean()) / HEIGHT


def test_a_false_lean_of_somebody_who_stands_is_taken_out_and_the_hands_move_along(figure: Figure) -> None:
    leaning = _view(figure, 0.25)
    upright = with_trunk_upright(leaning, figure)
    assert _lean(upright) == pytest.approx(_lean(with_trunk_upright(_view(figure, 0.0), figure)), abs=1e-9)
    moved = upright.skeleton - leaning.skeleton
    assert moved[JOINT["left_wrist"], 2] == pytest.approx(moved[SHOULDERS[0], 2])
    assert moved[SHOULDERS[0], 2] > 0.03 * HEIGHT
    np.testing.assert_array_equal(moved[:, :2], 0)
    np.testing.assert_array_equal(moved[[*HIPS, JOINT["left_toe"]]], 0)


def test_views_from_behind_cut_off_bent_or_with_a_slanting_trunk_stay_as_they_are(figure: Figure) -> None:
    bent = _view(figure, 0.25)
    bent.joints[JOINT["left_knee"], 0] += 0.2 * HEIGHT
    aslant = _view(figure, 0.25)
    aslant.skeleton[SHOULDERS, 0] += 0.1 * HEIGHT
    for view in (_view(figure, 0.25, "back"), _view(figure, 0.25, whole=False), bent, aslant):
        assert not stands_upright(view)
        assert with_trunk_upright(view, figure) is view


@pytest.mark.parametrize(("trunk", "neck"), [(0.92, 1.0), (1.08, 1.0), (1.0, 1.15), (0.92, 1.15)])
def test_trunk_and_neck_are_as_long_at_rest_as_they_were_posed(figure: Figure, trunk: float, neck: float) -> None:
    person = with_proportions(figure, Proportions(trunk=trunk, neck=neck))
    skeleton = with_trunk_upright(_view(person, 0.2), person).skeleton
    pose = Poser(figure).pose(skeleton.astype(np.float32), HEIGHT)
    fitted = with_trunk_as_posed(figure, pose, HEIGHT)
    # Its height is 1 again, so that lengths are compared with the legs', which stay.
    scale = _leg(fitted) / _leg(figure)
    hip, shoulder = (pose.apply(bone, figure.heads[BONE[bone]])[1] / HEIGHT for bone in ("thigh1.L", "upperarm1.L"))
    ear = pose.apply("head", figure.landmarks[LANDMARK["left_ear"]])[1] / HEIGHT
    assert _trunk(fitted) / scale == pytest.approx(hip - shoulder, abs=0.002)
    assert _above_shoulders(fitted) / scale == pytest.approx(shoulder - ear, abs=0.002)
    assert abs(_trunk(figure) - (hip - shoulder)) + abs(_above_shoulders(figure) - (shoulder - ear)) > 0.004


def _trunk(figure: Figure) -> float:
    return float(figure.heads[BONE["thigh1.L"], 1] - figure.heads[BONE["upperarm1.L"], 1])


def _above_shoulders(figure: Figure) -> float:
    return float(figure.heads[BONE["upperarm1.L"], 1] - figure.landmarks[LANDMARK["left_ear"], 1])


def test_a_longer_trunk_lifts_all_that_is_above_it_and_keeps_the_head(figure: Figure) -> None:
    longer = with_proportions(figure, Proportions(trunk=1.1, neck=1.2))
    assert -longer.vertices[:, 1].min() == pytest.approx(1.0)

    def ratio(first: float, second: float) -> float:
        return first / second

    own, new = (ratio(_trunk(each), _leg(each)) for each in (figure, longer))
    assert new > 1.05 * own
    for each in ("forearm1.L", "head", "clavicle.R"):
        assert longer.heads[BONE[each], 1] / _leg(longer) < figure.heads[BONE[each], 1] / _leg(figure)
    eyes = [
        float(np.linalg.norm(np.diff(f.landmarks[[LANDMARK["left_eye"], LANDMARK["right_eye"]]], axis=0)))
        for f in (figure, longer)
    ]
    assert eyes[1] / _leg(longer) == pytest.approx(eyes[0] / _leg(figure))


def _leg(figure: Figure) -> float:
    return float(figure.heads[BONE["foot.L"], 1] - figure.heads[BONE["thigh1.L"], 1])


@pytest.mark.parametrize("yaw", [0.0, 0.8, 1.57])
def test_a_flat_foot_is_flat_although_the_landmarks_toes_are_too_low(figure: Figure, yaw: float) -> None:
    cos, sin = np.cos(yaw), np.sin(yaw)
    skeleton = relaxed_skeleton(figure) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T * HEIGHT
    exact = Poser(figure).pose(skeleton.astype(np.float32), HEIGHT)
    for side in ("left", "right"):
        below = BLAZEPOSE.toes_below + BLAZEPOSE.toes_below_ahead * cos
        skeleton[JOINT[f"{side}_toe"], 1] += below * HEIGHT
    freed = Poser(figure, BLAZEPOSE).pose(skeleton.astype(np.float32), HEIGHT)
    blind = replace(BLAZEPOSE, toes_below=0.0, toes_below_ahead=0.0)
    biased = Poser(figure, blind).pose(skeleton.astype(np.float32), HEIGHT)
    for side in (".L", ".R"):
        along = figure.heads[BONE["toe" + side]] - figure.heads[BONE["foot" + side]]
        along[1] = 0

        def pitch(linear: np.ndarray, along: np.ndarray = along) -> float:
            way = linear @ along
            return float(np.degrees(np.arcsin(way[1] / np.linalg.norm(way))))

        row = BONE["foot" + side]
        assert abs(pitch(exact.linear[row])) < 3
        assert abs(pitch(freed.linear[row])) < 3
        assert pitch(biased.linear[row]) > pitch(freed.linear[row]) + 2
