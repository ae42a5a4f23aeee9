from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.datatypes.window import FigureGuide, Window
from pipeline.joints import JOINT
from pipeline.models.weights.folder import weights_folder
from pipeline.perform.controls import (
    ControlPictures,
    draw_canny,
    draw_depth_control,
    draw_normal_control,
    draw_pose,
    draw_wan_pose,
    pose_points,
    with_hidden_face,
)


def _joints() -> np.ndarray:
    joints = np.full((21, 3), np.nan, np.float32)
    joints[:, 2] = 0
    for name, x, y in (("left_shoulder", 60, 40), ("right_shoulder", 30, 40), ("right_elbow", 20, 60)):
        joints[JOINT[name]] = x, y, 0.9
    return joints


def test_limbs_have_openposes_colors_and_go_where_the_joints_are() -> None:
    picture = draw_pose(_joints(), (100, 80))
    assert picture.shape == (80, 100, 3)
    assert tuple(picture[40, 37]) == (153, 0, 0)  # neck to right shoulder, 60 % of red
    assert tuple(picture[40, 53]) == (153, 51, 0)  # neck to left shoulder
    assert tuple(picture[40, 45]) == (255, 85, 0)  # the neck's own dot, in the middle of the shoulders
    assert tuple(picture[60, 20]) == (255, 255, 0)  # right elbow
    assert not picture[70:].any()


@pytest.mark.parametrize("name", ["left_shoulder", "right_shoulder"])
def test_a_limb_without_both_of_its_ends_is_left_out(name: str) -> None:
    joints = _joints()
    joints[JOINT[name], 2] = 0.1
    picture = draw_pose(joints, (100, 80))
    assert not picture[40, 45].any()  # no neck without both shoulders
    assert picture[40, 30].any() == (name == "left_shoulder")


def test_depth_is_white_where_near_and_black_where_the_figure_is_not() -> None:
    depth = np.array([[np.nan, -30.0, 0.0, 30.0]], np.float32)
    nothing, near, hips, far = draw_depth_control(depth, 100.0)[0, :, 0].astype(int)
    assert nothing == 0 and near > hips > far > 0


def test_normals_have_scannets_colors() -> None:
    """Red is left, green is up, blue is towards the camera."""
    normals = np.array([[[0, 0, -1], [-1, 0, 0], [0, -1, 0], [0, 0, 0]]], np.float32)
    front, left, up, outside = draw_normal_control(normals, np.array([[True, True, True, False]]))[0].astype(int)
    assert front[2] == 255 and abs(front[0] - 128) <= 1
    assert left[0] == 255 and up[1] == 255
    assert tuple(outside) == tuple(front)


def test_a_face_is_left_out_on_a_back() -> None:
    joints = _joints()
    skeleton = np.zeros((23, 3), np.float32)
    joints[[JOINT[name] for name in ("nose", "left_eye", "right_eye")]] = 45, 20, 0.9
    nose, ears = JOINT["nose"], [JOINT["left_ear"], JOINT["right_ear"]]
    skeleton[nose, 2] = -5
    assert with_hidden_face(joints, skeleton)[nose, 2] > 0.5
    skeleton[nose, 2] = 5
    skeleton[ears, 2] = -2
    assert with_hidden_face(joints, skeleton)[nose, 2] == 0
    # Without depth the shoulders decide: from behind, the right one is on the right in the picture.
    flat = np.zeros((23, 3), np.float32)
    assert with_hidden_face(joints, flat)[nose, 2] > 0.5
    turned = joints.copy()
    turned[[JOINT["left_shoulder"], JOINT["right_shoulder"]]] = joints[
        [JOINT["right_shoulder"], JOINT["left_shoulder"]]
    ]
    assert with_hidden_face(turned, flat)[nose, 2] == 0


def test_canny_finds_the_edge() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = 255
    edges = draw_canny(picture)
    assert (
        set(np.unique(edges)) == {0, 255} and (edges[5:35, 18:22] == 255).any(axis=1).all() and not edges[:, :15].any()
    )


def test_only_requested_control_images_are_drawn() -> None:
    depth = np.full((2, 80, 100), np.nan, np.float32)
    window = Window(
        start=0,
        size_wh=(100, 80),
        pts_seconds=np.arange(2) / 30,
        joints=np.stack([_joints()] * 2),
        skeletons=np.zeros((2, 23, 3), np.float32),
        planted=np.zeros((2, 2), np.bool_),
        body_height_px=np.full(2, 60.0),
        presence=np.full(2, 2, np.uint8),
        pictures=np.zeros((2, 80, 100, 3), np.uint8),
        figure=FigureGuide((), depth, np.zeros((2, 80, 100, 3), np.float32)),
    )
    assert set(ControlPictures(("pose",)).draw(window)) == {"pose"}
    names = ("pose", "canny", "depth", "normal")
    drawn = ControlPictures(names).draw(window)
    assert {name: picture.shape for name, picture in drawn.items()} == dict.fromkeys(names, (2, 80, 100, 3))


def _openpose_drawing() -> Any:
    """controlnet_aux's drawing, out of its wheel: its imports of networks are stood in for by the two values it
    needs."""
    source = (weights_folder() / "test" / "openpose_util.py").read_text(encoding="utf-8")
    assert "from .body import BodyResult, Keypoint\n" in source
    values: dict[str, Any] = {"BodyResult": Any, "Keypoint": Any}
    exec(source.replace("from .body import BodyResult, Keypoint\n", ""), values)
    return values["draw_bodypose"]


@pytest.mark.parametrize("seed", range(20))
def test_the_pose_picture_is_controlnet_auxs_pixel_for_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = 512, 768
    joints = np.zeros((21, 3), np.float32)
    # On a grid that normalizing to 0..1 and back does not move.
    joints[:, 0] = rng.integers(8, width - 8, 21) + 0.25
    joints[:, 1] = rng.integers(8, height - 8, 21) + 0.25
    joints[:, 2] = rng.random(21)
    points = pose_points(joints)
    keypoints = [
        SimpleNamespace(x=x / width, y=y / height) if np.isfinite(x) else None for x, y in points.astype(np.float64)
    ]
    theirs = _openpose_drawing()(np.zeros((height, width, 3), np.uint8), keypoints)
    assert np.array_equal(draw_pose(joints, (width, height)), theirs)


def test_wan_animates_pose_has_toes_and_thinner_limbs() -> None:
    joints = np.full((21, 3), np.nan, np.float32)
    joints[:, 2] = 0
    for name, x, y in (
        ("left_ankle", 300, 700),
        ("left_toe", 340, 720),
        ("left_knee", 300, 560),
        ("left_hip", 300, 420),
    ):
        joints[JOINT[name]] = x, y, 0.9
    drawn = draw_wan_pose(joints, (512, 768))
    # Openpose's colors at 60 %; the 18th limb, to the left toes, and a dot of its own color there.
    assert tuple(drawn[710, 320]) == (153, 0, 51) and tuple(drawn[720, 340]) == (200, 200, 0)
    assert np.count_nonzero(drawn[630].any(axis=-1)) == 3 < np.count_nonzero(draw_pose(joints, (512, 768))[630].any(-1))
    # What is not sure enough is left out, earlier than in OpenPose's drawing.
    joints[JOINT["left_toe"], 2] = 0.4
    assert not draw_wan_pose(joints, (512, 768))[720, 340].any()
