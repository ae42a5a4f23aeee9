"""Joints of limbs are moved across them to where the outline shows their middle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.survey import LIMB_PLACES
from pipeline.joints import JOINT, LIMBS
from pipeline.plan.limbs_in_outline import limb_shifts
from tests.plan.test_height import FPS, body

FRAMES = 40
HEIGHT = np.full(FRAMES, 250.0)
SECONDS = np.arange(FRAMES) / FPS
CONFIDENT = np.ones((FRAMES, 21), np.float32)
LEFT_SHIN = 3
LEFT_FOREARM = 1


def edges_at(offset_px: float, width_px: float = 16.0) -> NDArray[np.float32]:
    """Edges (T, limbs, places, 2) of limbs that all lie ``offset_px`` beside their bones."""
    edges = np.empty((FRAMES, len(LIMBS.rows), len(LIMB_PLACES), 2), np.float32)
    edges[..., 0] = offset_px - width_px / 2
    edges[..., 1] = offset_px + width_px / 2
    return edges


def standing() -> NDArray[np.float32]:
    skeletons, _ = body(HEIGHT)
    for side in ("left", "right"):
        shoulder = skeletons[:, JOINT[f"{side}_shoulder"]]
        for part, down in (("elbow", 45), ("wrist", 85), ("hand", 95)):
            skeletons[:, JOINT[f"{side}_{part}"]] = shoulder + np.array([0, down, 0], np.float32)
    return skeletons.astype(np.float32)


def across(skeletons: NDArray[np.float32], limb: int) -> NDArray[np.float64]:
    first, last = LIMBS.rows[limb]
    bone = (skeletons[0, last] - skeletons[0, first])[:2].astype(np.float64)
    return np.array([-bone[1], bone[0]]) / np.hypot(*bone)


@pytest.mark.parametrize("offset_px", [4.0, -6.0])
def test_knees_and_elbows_come_to_lie_in_the_middle(offset_px: float) -> None:
    skeletons = standing()
    shifts = limb_shifts(skeletons, CONFIDENT, edges_at(offset_px), HEIGHT, SECONDS)
    for joint, limb in (("left_knee", LEFT_SHIN), ("left_elbow", LEFT_FOREARM)):
        moved = shifts[:, JOINT[joint]] @ across(skeletons, limb)
        np.testing.assert_allclose(moved, offset_px, atol=0.25 * abs(offset_px))
    # What hangs on a joint goes with it, and nothing else moves.
    assert np.array_equal(shifts[:, JOINT["left_hand"]], shifts[:, JOINT["left_wrist"]])
    assert np.array_equal(shifts[:, JOINT["left_toe"]], shifts[:, JOINT["left_ankle"]])
    assert not shifts[:, JOINT["nose"]].any()


def test_limbs_that_are_not_alone_or_not_seen_stay() -> None:
    skeletons = standing()
    edges = edges_at(5.0)
    edges[10:30, LEFT_SHIN, :, 1] += 12.0
    shifts = limb_shifts(skeletons, CONFIDENT, edges, HEIGHT, SECONDS)
    only_thigh = limb_shifts(skeletons, CONFIDENT, np.where(np.arange(8)[:, None, None] == LEFT_SHIN, np.nan, edges),
                             HEIGHT, SECONDS)  # fmt: skip
    np.testing.assert_allclose(shifts[20, JOINT["left_ankle"]], only_thigh[20, JOINT["left_ankle"]], atol=0.05)
    assert np.abs(shifts[5, JOINT["left_ankle"]]).max() > 2
    doubted = CONFIDENT.copy()
    doubted[:, JOINT["left_ankle"]] = 0.15
    assert not limb_shifts(skeletons, doubted, edges_at(5.0), HEIGHT, SECONDS)[:, JOINT["left_ankle"]].any()
    assert not limb_shifts(skeletons, CONFIDENT, edges_at(14.0), HEIGHT, SECONDS).any()
    assert not limb_shifts(skeletons, CONFIDENT, np.full_like(edges, np.nan), HEIGHT, SECONDS).any()


def test_the_knee_is_before_the_middle_of_a_shin_seen_from_the_side() -> None:
    skeletons = standing()
    # Turned to the picture's right: the left side is the farther one.
    turned = skeletons.copy()
    turned[..., 0] = skeletons[..., 2]
    turned[..., 2] = skeletons[..., 0]
    turned[..., 0] += 300
    shifts = limb_shifts(turned, CONFIDENT, edges_at(0.0), HEIGHT, SECONDS)
    assert (shifts[:, JOINT["left_knee"], 0] > 0.003 * 250).all()
    towards_camera = limb_shifts(skeletons, CONFIDENT, edges_at(0.0), HEIGHT, SECONDS)
    assert np.abs(towards_camera[:, JOINT["left_knee"], 0]).max() < 0.1


def test_a_frame_without_the_person_is_not_moved_and_frames_beside_it_hardly_jump() -> None:
    skeletons = standing()
    skeletons[20:23] = np.nan
    edges = edges_at(5.0)
    edges[20:23] = np.nan
    edges[30] = np.nan
    shifts = limb_shifts(skeletons, CONFIDENT, edges, HEIGHT, SECONDS)
    assert np.isfinite(shifts).all() and not shifts[20:23].any()
    knee = shifts[:, JOINT["left_knee"]]
    assert np.abs(np.diff(knee[24:], axis=0)).max() < 0.4
