"""Feet are pinned during contacts, eased outside of them, and the warp stays in the lower leg."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.plan import Contacts, Subject
from pipeline.finish.foot_lock import lock_feet
from pipeline.finish.leg_displacement import lower_leg_displacement
from pipeline.plan.contacts import find_contacts
from pipeline.settings import FootLockSettings
from tests.support.motion_truth import true_motion, true_subject, walk_truth

SECONDS = np.arange(150) / 30
START = np.array([0])


def ground_wander(ankles: np.ndarray, truth: dict[str, np.ndarray]) -> float:
    """RMS wander on the ground, by the true camera, over the true contacts; in body heights."""
    total = 0.0
    count = 0
    for side in range(2):
        for number in np.unique(truth["plant_id"][truth["contact"][:, side], side]):
            places = []
            for t in np.flatnonzero(truth["plant_id"][:, side] == number):
                turn = truth["RT"][t, :, :3]
                move = truth["RT"][t, :, 3]
                center = -turn.T @ move
                ray = turn.T @ np.linalg.inv(truth["K"]) @ np.append(ankles[t, side], 1)
                height = truth["ankle3d"][t, side, 2]
                places.append((center + ray * (height - center[2]) / ray[2])[:2])
            places = np.array(places)
            total += ((places - places.mean(axis=0)) ** 2).sum()
            count += len(places)
    return float(np.sqrt(total / count) / truth["body_height"])


def test_walk_a_slides_a_fifth() -> None:
    truth = walk_truth()
    subject = true_subject(truth, 0.01)
    motion = true_motion(truth)
    contacts = find_contacts(subject, motion, START, SECONDS, FootLockSettings())
    placed = subject.joints.copy()
    placed[..., :2] += [5, 2]
    offsets = lock_feet(contacts, placed, subject, SECONDS, FootLockSettings(), motion.world_from_source, START)
    ankles = placed[:, 15:17, :2].astype(float)
    assert ground_wander(ankles + offsets, truth) < 0.2 * ground_wander(ankles, truth)
    # The new foot keeps its own offset from the subject's.
    assert np.abs(np.median((ankles + offsets - contacts.anchors)[contacts.planted], axis=0) - [5, 2]).max() < 1.0
    half = lock_feet(
        contacts, placed, subject, SECONDS, FootLockSettings(strength=0.5), motion.world_from_source, START
    )
    np.testing.assert_allclose(half[contacts.planted], 0.5 * offsets[contacts.planted], atol=1e-9)


def planted_once(num_frames: int, start: int, stop: int, drift_px: float) -> tuple[Contacts, np.ndarray, Subject]:
    """The left foot stands from start to stop while the new person's drifts by ``drift_px``; body of 200 px."""
    plant = np.full((num_frames, 2), -1, np.int64)
    plant[start:stop, 0] = 0
    anchors = np.full((num_frames, 2, 2), np.nan)
    anchors[start:stop, 0] = [100, 300]
    placed = np.full((num_frames, 21, 3), 0.9, np.float32)
    placed[:, :, :2] = [100, 200]
    placed[:, 15, :2] = [103, 300]
    placed[start:stop, 15, 0] += np.linspace(-drift_px / 2, drift_px / 2, stop - start)
    placed[:start, 15, 0] -= drift_px / 2
    placed[stop:, 15, 0] += drift_px / 2
    joints = np.full((num_frames, 21, 3), 0.9, np.float32)
    joints[:, 15, :2] = [100, 300]
    body = np.full(num_frames, 200.0)
    subject = Subject(
        np.zeros(num_frames, np.int64), np.full(num_frames, 2, np.uint8), np.zeros((num_frames, 4)), joints,
        np.zeros((num_frames, 23, 3), np.float32), body,
    )  # fmt: skip
    return Contacts(plant >= 0, plant, anchors, np.zeros((num_frames, 2))), placed, subject


def locked(contacts: Contacts, placed: np.ndarray, subject: Subject, starts: np.ndarray = START) -> np.ndarray:
    n = len(placed)
    world = np.tile(np.eye(3), (n, 1, 1))
    return lock_feet(contacts, placed, subject, np.arange(n) / 30, FootLockSettings(), world, starts)


def test_a_planted_foot_stands_and_boundaries_are_eased() -> None:
    contacts, placed, subject = planted_once(90, 30, 60, drift_px=8)
    offsets = locked(contacts, placed, subject)
    final = placed[:, 15, :2] + offsets[:, 0]
    np.testing.assert_allclose(final[30:60], [[103, 300]] * 30, atol=1e-4)
    assert np.linalg.norm(np.diff(offsets[:, 0], axis=0), axis=1).max() <= 0.0051 * 200
    np.testing.assert_array_equal(offsets[[0, -1], 0], 0)
    np.testing.assert_array_equal(offsets[:, 1], 0)


def test_offsets_never_cross_a_cut_and_absent_frames_have_none() -> None:
    contacts, placed, subject = planted_once(60, 20, 40, drift_px=8)
    placed[45:50, 15] = np.nan
    offsets = locked(contacts, placed, subject, np.array([0, 40]))
    assert np.abs(offsets[39, 0]).max() > 1
    np.testing.assert_array_equal(offsets[40:], 0)
    contacts, placed, subject = planted_once(60, 20, 40, drift_px=8)
    placed[42:50, 15] = np.nan
    offsets = locked(contacts, placed, subject)
    assert np.isfinite(offsets).all()
    np.testing.assert_array_equal(offsets[42:50], 0)


def test_a_lifting_heel_is_let_go() -> None:
    contacts, placed, subject = planted_once(90, 20, 70, drift_px=0)
    lift = np.clip(np.arange(90) - 55, 0, 15)
    subject.joints[:, 15, 1] -= lift
    placed[:, 15, 1] -= lift
    offsets = locked(contacts, placed, subject)
    np.testing.assert_allclose(offsets[20:52, 0], 0, atol=0.1)
    assert 1 < np.abs(offsets[69, 0, 1]) < 0.03 * 200


BOX = (60, 150, 240, 330)


def figure() -> np.ndarray:
    """Legs 40 px apart in a body of 200 px: knees at y 240, ankles at 290."""
    placed = np.full((21, 3), np.nan, np.float32)
    for side, x in enumerate((130, 170)):
        placed[13 + side, :2] = [x, 240]
        placed[15 + side, :2] = [x, 290]
        placed[17 + side, :2] = [x - 4, 298]
        placed[19 + side, :2] = [x + 14, 300]
    return placed


def test_displacement_moves_the_foot_and_nothing_above_the_knee() -> None:
    offset = np.array([[6.0, -2.0], [0.0, 0.0]])
    field = lower_leg_displacement(figure(), offset, 200.0, BOX)
    assert field.shape == (180, 180, 2)
    assert field.dtype == np.float32
    for x, y in ((136, 288), (132, 296), (150, 298)):
        at = field[y - 150, x - 60]
        np.testing.assert_allclose(at, offset[0], rtol=0.2 if x == 150 else 0.03)
    # Exactly nothing beyond the line across the knee, which leans a little with the moved shank.
    assert np.abs(field[: 237 - 150]).max() == 0
    assert np.abs(field[: 241 - 150]).max() < 0.05
    np.testing.assert_allclose(field[287 - 150, 170 - 60], 0, atol=0.06)
    assert np.abs(field[:, 220 - 60 :]).max() == 0
    steps = max(np.abs(np.diff(field, axis=axis)).max() for axis in (0, 1))
    # Under 0.2 of the offset a pixel: nothing folds.
    assert steps < 0.2 * 6.4


def test_both_feet_and_no_feet() -> None:
    both = lower_leg_displacement(figure(), np.array([[4.0, 0], [-4.0, 0]]), 200.0, BOX)
    assert both[292 - 150, 132 - 60, 0] == pytest.approx(4, rel=0.05)
    assert both[292 - 150, 172 - 60, 0] == pytest.approx(-4, rel=0.05)
    assert np.abs(lower_leg_displacement(figure(), np.zeros((2, 2)), 200.0, BOX)).max() == 0
    unknown = figure()
    unknown[13] = np.nan
    left_only = lower_leg_displacement(unknown, np.array([[4.0, 0], [0, 0]]), 200.0, BOX)
    assert np.abs(left_only).max() == 0
    outside = lower_leg_displacement(figure(), np.array([[4.0, 0], [0, 0]]), 200.0, (0, 0, 40, 40))
    assert outside.shape == (40, 40, 2)
    assert np.abs(outside).max() == 0
