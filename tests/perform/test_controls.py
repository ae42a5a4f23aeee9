from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.models.weights.folder import weights_folder
from pipeline.perform.controls import (
    ControlPictures,
    _pose_points,
    depth_limits,
    draw_canny,
    draw_depth_control,
    draw_pose,
)


def _joints() -> np.ndarray:
    joints = np.full((21, 3), np.nan, np.float32)
    joints[:, 2] = 0
    for name, x, y in (("left_shoulder", 60, 40), ("right_shoulder", 30, 40), ("right_elbow", 20, 60)):
        joints[JOINT[name]] = x, y, 0.9
    return joints


def test_limbs_have_openposes_colours_and_go_where_the_joints_are() -> None:
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


def test_depth_is_white_where_near_by_the_clips_limits() -> None:
    near, far = np.full((1, 8, 8), 9.0, np.float32), np.full((1, 8, 8), 1.0, np.float32)
    limits = depth_limits(np.concatenate([near, far]))
    drawn = draw_depth_control(np.concatenate([near, far, (near + far) / 2]), limits)
    assert drawn.shape == (3, 8, 8, 3)
    assert (drawn[0] == 255).all() and not drawn[1].any() and np.abs(drawn[2].astype(int) - 128).max() <= 1


def test_canny_finds_the_edge() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = 255
    edges = draw_canny(picture)
    assert (
        set(np.unique(edges)) == {0, 255} and (edges[5:35, 18:22] == 255).any(axis=1).all() and not edges[:, :15].any()
    )


def test_only_what_is_asked_for_is_drawn() -> None:
    joints, pictures = np.stack([_joints()] * 2), np.zeros((2, 80, 100, 3), np.uint8)
    assert set(ControlPictures(("pose",)).draw(joints, None, (100, 80))) == {"pose"}
    drawn = ControlPictures(("pose", "canny")).draw(joints, pictures, (100, 80))
    assert {name: picture.shape for name, picture in drawn.items()} == dict.fromkeys(("pose", "canny"), (2, 80, 100, 3))


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
    # On a grid that normalising to 0..1 and back does not move.
    joints[:, 0] = rng.integers(8, width - 8, 21) + 0.25
    joints[:, 1] = rng.integers(8, height - 8, 21) + 0.25
    joints[:, 2] = rng.random(21)
    points = _pose_points(joints)
    keypoints = [
        SimpleNamespace(x=x / width, y=y / height) if np.isfinite(x) else None for x, y in points.astype(np.float64)
    ]
    theirs = _openpose_drawing()(np.zeros((height, width, 3), np.uint8), keypoints)
    assert np.array_equal(draw_pose(joints, (width, height)), theirs)
