"""Front and back that a landmark model takes for each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.joints import FEET, JOINT, NUM_JOINTS, SKELETON_NAMES
from pipeline.plan.turned_about import turned_about, with_sides_exchanged
from tests.support.followed import made, made_track

HEIGHT_PX = 200.0
FRAMES = 60
SECONDS = np.arange(FRAMES) / 30
HEIGHTS = np.full(FRAMES, HEIGHT_PX)
BODY = {
    "nose": (0, -0.86, -0.1), "eye": (0.02, -0.88, -0.09), "ear": (0.04, -0.87, -0.03), "shoulder": (0.1, -0.78, 0),
    "elbow": (0.15, -0.62, 0.02), "wrist": (0.18, -0.5, -0.05), "hip": (0.055, -0.5, 0), "knee": (0.06, -0.26, -0.03),
    "ankle": (0.06, -0.04, 0), "heel": (0.06, -0.01, 0.03), "toe": (0.07, 0, -0.08), "hand": (0.18, -0.46, -0.06),
}  # fmt: skip
"""The left half of somebody who faces the camera, body heights: x to the right, y down, z away."""


def turning(degrees: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return skeletons (T, 23, 3) of somebody who holds up the left arm, turned about the vertical axis."""
    body = np.array(
        [np.array(BODY[name.split("_")[-1]]) * ([-1, 1, 1] if "right" in name else 1) for name in SKELETON_NAMES]
    )
    for name, y in (("elbow", -0.9), ("wrist", -1.05), ("hand", -1.09)):
        body[JOINT[f"left_{name}"], 1] = y
    angle = np.radians(degrees)[:, None]
    x = body[:, 0] * np.cos(angle) - body[:, 2] * np.sin(angle)
    z = body[:, 0] * np.sin(angle) + body[:, 2] * np.cos(angle)
    y = np.broadcast_to(body[:, 1], x.shape)
    return (HEIGHT_PX * np.stack([x + 1.5, y + 1.5, z], axis=-1)).astype(np.float32)


def misread(skeletons: NDArray[np.float32], frames: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the skeletons with front and back exchanged: the same outline, the names of the other side."""
    rows = list(range(len(SKELETON_NAMES)))
    for side, other in (("left", "right"), ("right", "left")):
        for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe", "hand"):
            rows[JOINT[f"{side}_{part}"]] = JOINT[f"{other}_{part}"]
    result = skeletons.copy()
    result[frames] = skeletons[frames][:, rows] * np.array([1, 1, -1], np.float32)
    return result


def joints_of(skeletons: NDArray[np.float32], feet_confidence: float = 0.0) -> NDArray[np.float32]:
    """Return joints (T, 21, 3) at the skeletons' places."""
    joints = np.dstack([skeletons[:, :NUM_JOINTS, :2], np.ones((FRAMES, NUM_JOINTS), np.float32)])
    joints[:, FEET, 2] = feet_confidence
    return joints


MISREAD = np.isin(np.arange(FRAMES), [12, *range(25, 45), 50, 51])


@pytest.mark.parametrize("degrees", [0.0, 40.0, 180.0, 215.0])
def test_the_shorter_reading_gives_way(degrees: float) -> None:
    true = turning(degrees + 8 * np.sin(SECONDS * 4))
    given = misread(true, MISREAD)
    joints = joints_of(given)
    found = turned_about(joints, given, HEIGHTS, SECONDS)
    np.testing.assert_array_equal(found, MISREAD)
    edges = np.zeros((FRAMES, 8, 6, 2))
    edges[:, :4] = np.where(MISREAD, 2.0, 1.0)[:, None, None, None]
    edges[:, 4:] = 3.0 - edges[:, :4]
    joints, skeletons, edges = with_sides_exchanged(joints, given, edges, found)
    np.testing.assert_allclose(skeletons, true, atol=1e-3)
    np.testing.assert_array_equal(joints[..., :2], skeletons[:, :NUM_JOINTS, :2])
    assert (edges[:, :4] == 1).all() and (edges[:, 4:] == 2).all()


def test_one_misread_frame_after_somebody_was_lost_for_a_moment_turns_nobody() -> None:
    true = turning(40 * np.cos(SECONDS * 2))
    frames = np.arange(FRAMES)
    given = misread(true, frames == 20)
    given[17:20] = np.nan
    found = turned_about(joints_of(given), given, HEIGHTS, SECONDS)
    np.testing.assert_array_equal(found, frames == 20)


def test_what_was_lost_and_misread_reads_the_same_backwards() -> None:
    frames = np.arange(FRAMES)
    given = misread(turning(40 * np.cos(SECONDS * 2)), ((frames >= 20) & (frames < 24)) | (frames >= 31))
    given[[17, 18, 19, 24, 25, 26]] = np.nan
    forwards = turned_about(joints_of(given), given, HEIGHTS, SECONDS)
    backwards = turned_about(joints_of(given[::-1]), given[::-1], HEIGHTS, SECONDS)
    assert forwards.any()
    np.testing.assert_array_equal(forwards, backwards[::-1])


def test_whose_feet_point_forwards_in_both_readings_did_turn() -> None:
    # Between two frames, as after a jump cut.
    given = turning(np.where(np.arange(FRAMES) < 40, 0.0, 180.0))
    given[..., 1] -= 0.35 * given[..., 2]
    assert not turned_about(joints_of(given, 1.0), given, HEIGHTS, SECONDS).any()


@pytest.mark.parametrize("degrees", [0.0, 180.0])
def test_feet_tell_which_reading_is_right(degrees: float) -> None:
    # Seen from a little above: what is nearer to the camera is lower in the picture.
    true = turning(np.full(FRAMES, degrees))
    true[..., 1] -= 0.4 * true[..., 2]
    given = misread(true, ~MISREAD)
    np.testing.assert_array_equal(turned_about(joints_of(given, 1.0), given, HEIGHTS, SECONDS), ~MISREAD)
    np.testing.assert_array_equal(turned_about(joints_of(given), given, HEIGHTS, SECONDS), MISREAD)


@pytest.mark.parametrize("degrees_per_second", [90.0, 360.0, 1080.0])
def test_whoever_turns_is_left_alone(degrees_per_second: float) -> None:
    skeletons = turning(degrees_per_second * SECONDS)
    assert not turned_about(joints_of(skeletons), skeletons, HEIGHTS, SECONDS).any()


def test_people_seen_from_the_side_are_left_alone() -> None:
    # Their shoulders change sides by the noise of the landmarks.
    noise = np.random.default_rng(0).normal(0, 0.01 * HEIGHT_PX, (FRAMES, len(SKELETON_NAMES), 3))
    skeletons = turning(np.full(FRAMES, 90.0)) + noise.astype(np.float32)
    assert not turned_about(joints_of(skeletons), skeletons, HEIGHTS, SECONDS).any()


def test_after_a_while_unseen_somebody_may_face_the_other_way() -> None:
    skeletons = misread(turning(np.zeros(FRAMES)), SECONDS >= 1.2)
    np.testing.assert_array_equal(turned_about(joints_of(skeletons), skeletons, HEIGHTS, SECONDS), SECONDS >= 1.2)
    skeletons[33:39] = np.nan
    assert not turned_about(joints_of(skeletons), skeletons, HEIGHTS, SECONDS).any()


def test_the_subject_does_not_turn_about_for_a_moment() -> None:
    frames = np.arange(FRAMES)
    given = misread(turning(np.zeros(FRAMES)), MISREAD)
    track = made_track(0, frames, np.full(FRAMES, 300.0))
    subject, _ = made((replace(track, joints=joints_of(given), skeletons=given),)).choose()
    breadth = subject.skeletons[:, JOINT["left_shoulder"], 0] - subject.skeletons[:, JOINT["right_shoulder"], 0]
    np.testing.assert_allclose(breadth, 0.2 * HEIGHT_PX, atol=1.0)
    wrist = subject.joints[:, JOINT["left_wrist"], 1]
    np.testing.assert_allclose(wrist, wrist[0], atol=2.0)
