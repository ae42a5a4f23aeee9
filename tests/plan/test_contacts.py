"""Contacts on walk_a, steady and under a known shake; anchors on the ground; the fixed-threshold rule."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contacts import WALKS, score
from pipeline.datatypes.plan import Subject
from pipeline.datatypes.survey import CameraMotion
from pipeline.maths.geometry import translation
from pipeline.plan.contacts import carried_by_ground, find_contacts
from pipeline.settings import FootLockSettings
from tests.support.motion_truth import f1, known_shake, true_motion, true_subject, walk_truth

SECONDS = np.arange(150) / 30
START = np.array([0])


@pytest.mark.parametrize("shaken", [False, True])
def test_walk_a(shaken: bool) -> None:
    truth = walk_truth()
    shake = known_shake(150) if shaken else None
    subject = true_subject(truth, 0.01, shake=shake)
    motion = true_motion(truth, shake)
    contacts = find_contacts(subject, motion, START, SECONDS, FootLockSettings())
    for side in range(2):
        assert f1(contacts.planted[:, side], truth["foot_state"][:, side] >= 1) >= 0.93
    np.testing.assert_array_equal(contacts.planted, contacts.plant_id >= 0)
    np.testing.assert_array_equal(contacts.planted, np.isfinite(contacts.anchors).all(axis=2))
    # The anchor moves with the ground: it keeps its place relative to the true ankle while the foot is flat.
    ankles = true_subject(truth, shake=shake).joints[:, 15:17, :2]
    for side in range(2):
        for number in np.unique(contacts.plant_id[contacts.planted[:, side], side]):
            flat = (contacts.plant_id[:, side] == number) & truth["contact"][:, side]
            if flat.sum() > 5:
                away = contacts.anchors[flat, side] - ankles[flat, side]
                assert (away.std(axis=0) / subject.body_height_px[flat].mean()).max() < 0.003


def test_without_camera_removal_the_shake_would_win() -> None:
    truth = walk_truth()
    shake = known_shake(150)
    subject = true_subject(truth, shake=shake)
    blind = CameraMotion(np.tile(np.eye(3), (150, 1, 1)), np.ones(150, bool), (np.empty((0, 4), np.float32),) * 150)
    scores = [
        f1(find_contacts(subject, camera, START, SECONDS, FootLockSettings()).planted, truth["foot_state"] >= 1)
        for camera in (true_motion(truth, shake), blind)
    ]
    assert scores[0] > scores[1] + 0.08


def stepping(fps: int, seconds: float = 4.0) -> tuple[Subject, np.ndarray, np.ndarray]:
    """One body of 200 px: feet stand 0.5 s and swing 0.4 s (0.5 bh forward, lifted) in turn; camera still."""
    t = np.arange(int(seconds * fps)) / fps
    joints = np.full((len(t), 21, 3), np.nan, np.float32)
    planted = np.zeros((len(t), 2), bool)
    for side in range(2):
        cycle = t + 0.45 * side
        step, phase = np.divmod(cycle, 0.9)
        swing = np.clip((phase - 0.5) / 0.4, 0, 1)
        planted[:, side] = phase < 0.5
        joints[:, 15 + side, 0] = 100 + 100 * (step + swing * swing * (3 - 2 * swing))
        joints[:, 15 + side, 1] = 300 - 16 * np.sin(np.pi * swing)
    joints[:, 11:13, 0] = joints[:, 15:17, 0].mean(axis=1, keepdims=True)
    joints[:, 11:13, 1] = 200
    joints[..., 2] = 0.9
    boxes = np.tile([0.0, 0.0, 1.0, 1.0], (len(t), 1))
    skeletons = np.full((len(t), 23, 3), np.nan, np.float32)
    body = np.full(len(t), 200.0)
    return Subject(np.zeros(len(t), np.int64), np.full(len(t), 2, np.uint8), boxes, joints, skeletons, body), t, planted


def still_camera(num_frames: int) -> CameraMotion:
    return CameraMotion(
        np.tile(np.eye(3), (num_frames, 1, 1)), np.ones(num_frames, bool), (np.empty((0, 4), np.float32),) * num_frames
    )


@pytest.mark.parametrize("fps", [24, 30, 60])
@pytest.mark.parametrize("velocity_px", [0.0, 1.5])
def test_frame_rates_and_the_fixed_threshold_rule(fps: int, velocity_px: float) -> None:
    subject, t, planted = stepping(fps)
    settings = FootLockSettings(velocity_px=velocity_px)
    contacts = find_contacts(subject, still_camera(len(t)), START, t, settings)
    assert f1(contacts.planted, planted) > 0.9
    assert len(np.unique(contacts.plant_id[contacts.planted[:, 0], 0])) == 5


def test_cuts_absence_and_doubt_end_contacts() -> None:
    subject, t, _ = stepping(30, 1.8)
    subject.joints[:, 15, :2] = [100, 300]
    subject.joints[:, 16, :2] = [120, 300]
    subject.presence[40:45] = 0
    subject.joints[10:15, 16, 2] = 0.05
    contacts = find_contacts(subject, still_camera(len(t)), np.array([0, 20]), t, FootLockSettings())
    assert not contacts.planted[40:45].any()
    assert not contacts.planted[10:15, 1].any()
    assert contacts.planted[10:15, 0].all()
    assert contacts.plant_id[19, 0] != contacts.plant_id[20, 0] != -1
    assert len({*contacts.plant_id[contacts.planted]}) == 7


def test_a_contact_continues_through_unreliable_frames_while_the_ankle_stays() -> None:
    subject, t, _ = stepping(30, 2.0)
    subject.joints[:, 15, :2] = [100, 300]
    subject.joints[:, 16, :2] = [120, 300]
    # At the end both go too fast for a contact; one of them gets no farther than 0.04 body heights.
    subject.joints[57:, 15, 0] += 2.5 * np.arange(1, 4)
    subject.joints[57:, 16, 0] += 14.0 * np.arange(1, 4)
    settings = FootLockSettings(speed_out_bh_per_s=0.3)
    sure = find_contacts(subject, still_camera(len(t)), START, t, settings)
    assert not sure.planted[58:].any()
    subject.joints[55:, 15:17, 2] = 0.2
    doubtful = find_contacts(subject, still_camera(len(t)), START, t, settings)
    assert doubtful.planted[:, 0].all()
    assert not doubtful.planted[58:, 1].any()


@pytest.mark.parametrize(("confidence", "rests"), [(0.4, True), (0.9, False), (0.2, False)])
def test_an_occluded_foot_that_wanders_slowly_for_long_rests(confidence: float, rests: bool) -> None:
    subject, t, _ = stepping(30)
    # One of its rests, from 0.9 s to 1.4 s; at the speed of this walk contacts begin below 0.2 and end above 0.33.
    subject.joints[:, 15, 0] += 0.27 * subject.body_height_px * np.clip(t - 0.9, 0.0, 0.5)
    subject.joints[27:42, 15, 2] = confidence
    found = find_contacts(subject, still_camera(len(t)), START, t, FootLockSettings())
    assert found.planted[30:39, 0].all() == rests
    assert found.planted[30:39, 0].any() == rests


def test_a_foot_held_still_in_the_air_is_no_contact() -> None:
    subject, t, _ = stepping(30, 2.0)
    subject.joints[:, 15, :2] = [100, 250]
    subject.joints[:, 11, :2] = [100, 200]
    subject.joints[:, 16, :2] = [120, 300]
    contacts = find_contacts(subject, still_camera(len(t)), START, t, FootLockSettings())
    assert contacts.planted[:, 1].all()
    assert not contacts.planted[:, 0].any()


def test_the_ground_beside_the_foot_wins_over_the_picture() -> None:
    rng = np.random.default_rng(2)
    near = rng.uniform(-40, 40, (20, 2)) + np.array([300, 200])
    pairs = np.column_stack([near, near + np.array([5, 1])]).astype(np.float32)
    pairs[:5, 2:] += [9, -7]
    moved = carried_by_ground(np.array([300.0, 195.0]), translation(2, 0), pairs, 180.0)
    np.testing.assert_allclose(moved, [305, 196], atol=0.1)
    back = carried_by_ground(moved, translation(2, 0), pairs, 180.0, forward=False)
    np.testing.assert_allclose(back, [300, 195], atol=0.15)
    far = carried_by_ground(np.array([30.0, 30.0]), translation(2, 0), pairs, 180.0)
    np.testing.assert_allclose(far, [32, 30])


@pytest.mark.parametrize(
    ("name", "least_f1", "most_ms"),
    [("towards the camera", 0.86, 85), ("slow, across", 0.93, 55), ("noise 2 %, across, shake", 0.93, 40)],
)
def test_thresholds_follow_the_feets_own_speeds(name: str, least_f1: float, most_ms: float) -> None:
    """Slow swings are distinguished from rest, and noise interrupts no contact."""
    (walk,) = [walk for walk in WALKS if walk.name == name]
    found, ms = score(walk, FootLockSettings(), seeds=2)
    assert found > least_f1 and ms < most_ms


@pytest.mark.parametrize(("confidence", "back_px", "contacts"), [(0.2, 0.0, 1), (0.9, 0.0, 2), (0.2, 40.0, 2)])
def test_a_foot_hidden_for_a_while_and_back_in_the_same_place_stayed(
    confidence: float, back_px: float, contacts: int
) -> None:
    subject, t, _ = stepping(30, 2.0)
    subject.joints[:, 15, :2] = [100, 300]
    # While something is in front of it the ankle is guessed elsewhere, and wanders.
    subject.joints[20:32, 15, 0] += 30 * np.sin(np.linspace(0, np.pi, 12))
    subject.joints[20:32, 15, 2] = confidence
    subject.joints[32:, 15, 0] += back_px
    found = find_contacts(subject, still_camera(len(t)), START, t, FootLockSettings())
    assert len({*found.plant_id[found.planted[:, 0], 0]}) == contacts
    assert found.planted[25, 0] == (contacts == 1)
