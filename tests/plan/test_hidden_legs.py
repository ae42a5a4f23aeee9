"""Legs behind an occluder, on a synthetic walk; and situations that only look like it."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.survey import OFF_MASK_CONFIDENCE
from pipeline.joints import ANKLES, HIPS, JOINT, LEGS_OF_SIDE
from pipeline.plan.gait import make_walk
from pipeline.plan.hidden_legs import FILLED_CONFIDENCE, LEGS, with_hidden_legs
from pipeline.plan.joint_smoothing import interpolate_run
from pipeline.plan.leg_swaps import exchanged_legs, with_legs_exchanged

COUNT = 120
FPS = 30.0
HEIGHT = 200.0
HIDDEN = slice(50, 62)
STRIDE_SECONDS = 1.0


def walk(speed_bh_per_s: float = 0.7) -> np.ndarray:
    """Joints and skeleton (T, 44, 3) in world px: somebody walks to the right past a static camera."""
    t = np.arange(COUNT) / FPS
    both = np.zeros((COUNT, 44, 3))
    both[:, :21, 2] = 0.95
    hip_x = 50 + speed_bh_per_s * HEIGHT * t
    phase = 2 * np.pi * t / STRIDE_SECONDS
    for side, sign in (("left", 1), ("right", -1)):
        swing = sign * np.sin(phase) if speed_bh_per_s else np.full(COUNT, 0.3 * sign)
        places = {
            "hip": (0.0, 0.0),
            "knee": (0.08, 0.24),
            "ankle": (0.2, 0.43),
            "heel": (0.19, 0.46),
            "toe": (0.24, 0.47),
        }
        for part, (across, down) in places.items():
            for row in (JOINT[f"{side}_{part}"], 21 + JOINT[f"{side}_{part}"]):
                both[:, row, 0] = hip_x + across * swing * HEIGHT
                both[:, row, 1] = 100 + down * HEIGHT
    return both


def behind_a_hedge(both: np.ndarray, confidence: float = 0.9) -> np.ndarray:
    """The landmark model's guess: knees and feet drawn up to the edge of what hides them."""
    guessed = both.copy()
    for row in LEGS:
        for column in (row, 21 + row):
            guessed[HIDDEN, column, 1] = 100 + 0.1 * HEIGHT
    guessed[np.ix_(range(HIDDEN.start, HIDDEN.stop), LEGS, [2])] = confidence
    return guessed


def filled(both: np.ndarray, found: np.ndarray | None = None) -> np.ndarray:
    """Legs as the plan has them; the frames that are not ``found`` interpolated first, as there."""
    if found is None:
        found = np.ones(COUNT, np.bool_)
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    seconds = np.arange(COUNT) / FPS
    legs, steps = with_hidden_legs(both, found, world, np.full(COUNT, HEIGHT), seconds)
    return steps.taken(interpolate_run(legs, found, seconds))


def ankles_off(result: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(T, 2) body heights."""
    return np.asarray(np.linalg.norm(result[:, ANKLES, :2] - true[:, ANKLES, :2], axis=2) / HEIGHT)


def test_hidden_legs_continue_the_gait() -> None:
    true = walk()
    guessed = behind_a_hedge(true)
    result = filled(guessed)
    assert ankles_off(result, true)[HIDDEN].max() < 0.06
    assert np.linalg.norm(guessed[HIDDEN, 15, :2] - true[HIDDEN, 15, :2], axis=1).min() > 0.3 * HEIGHT
    np.testing.assert_array_equal(result[: HIDDEN.start], guessed[: HIDDEN.start])
    np.testing.assert_array_equal(result[HIDDEN.stop :], guessed[HIDDEN.stop :])
    assert (result[HIDDEN, 15, 2] == FILLED_CONFIDENCE).all()
    np.testing.assert_allclose(result[:, [21 + row for row in LEGS], :2], result[:, LEGS, :2])


def test_somebody_standing_behind_an_occluder_stands_still() -> None:
    true = walk(0.0)
    off = np.abs(filled(behind_a_hedge(true))[:, LEGS, :2] - true[:, LEGS, :2])
    assert off.max() < 0.01 * HEIGHT


def test_a_crouching_or_jumping_person_keeps_their_legs() -> None:
    for lift in (0.33, -0.25):
        # The hips go down to the feet, or up from the ground with the legs drawn up.
        both = behind_a_hedge(walk(0.0))
        body = [*HIPS, *(21 + row for row in HIPS), *LEGS, *(21 + row for row in LEGS)]
        both[HIDDEN.start : HIDDEN.stop, body, 1] += lift * HEIGHT
        np.testing.assert_array_equal(filled(both), both)


def test_legs_drawn_up_on_top_of_a_jump_are_kept() -> None:
    both = behind_a_hedge(walk(0.0))
    t = (np.arange(COUNT) - 55.5) / 18
    lift = 0.3 * HEIGHT * np.maximum(1 - t**2, 0)
    both[:, :, 1] -= lift[:, None]
    np.testing.assert_array_equal(filled(both), both)


def test_a_short_outlier_and_absence_are_unchanged() -> None:
    both = walk()
    both[50:52, LEGS, 1] = 120
    np.testing.assert_array_equal(filled(both), both)
    nobody = np.full_like(both, np.nan)
    found = np.zeros(COUNT, np.bool_)
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    same, steps = with_hidden_legs(nobody, found, world, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)
    assert np.isnan(same).all() and np.isnan(steps.apart).all()


def test_a_leg_that_snaps_to_the_other_one_continues_the_gait() -> None:
    # Two frames tell that it is not seen: there it lies beside the mask. In between the model is sure of it.
    true = walk()
    guessed = true.copy()
    frames = range(HIDDEN.start, HIDDEN.stop)
    for part in ("knee", "ankle", "heel", "toe"):
        left, right = JOINT[f"left_{part}"], JOINT[f"right_{part}"]
        for offset in (0, 21):
            guessed[frames, right + offset, :2] = true[frames, left + offset, :2]
    guessed[[HIDDEN.start, HIDDEN.stop - 2], JOINT["right_ankle"], 2] = OFF_MASK_CONFIDENCE
    assert ankles_off(guessed, true)[HIDDEN].max() > 0.3
    result = filled(guessed)
    assert ankles_off(result, true).max() < 0.06
    np.testing.assert_array_equal(result[:, JOINT["left_ankle"]], true[:, JOINT["left_ankle"]])


def test_the_gait_continues_where_nobody_is_found() -> None:
    true = walk()
    found = np.ones(COUNT, np.bool_)
    found[HIDDEN] = False
    missing = np.where(found[:, None, None], true, np.nan)
    straight = interpolate_run(missing, found, np.arange(COUNT) / FPS)
    assert ankles_off(straight, true)[HIDDEN].max() > 0.12
    assert ankles_off(filled(missing, found), true)[HIDDEN].max() < 0.06


def test_exchanged_legs_are_exchanged_back() -> None:
    true = walk()
    for frames in (range(36, 39), range(51, 57), range(6)):
        swapped = np.zeros(COUNT, np.bool_)
        swapped[list(frames)] = True
        wrong = with_legs_exchanged(true, swapped)
        assert not np.array_equal(wrong, true)
        np.testing.assert_array_equal(exchanged_legs(wrong, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS), swapped)
        np.testing.assert_array_equal(filled(wrong), true)
    # Legs that pass each other are not.
    assert not exchanged_legs(true, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS).any()


def test_a_walk_has_a_period_and_standing_has_none() -> None:
    for speed, expected in ((0.7, STRIDE_SECONDS), (0.0, None)):
        both = walk(speed)
        legs = np.stack([both[:, rows, :2] for rows in LEGS_OF_SIDE.values()], axis=1)
        steps = make_walk(legs, both[:, HIPS, :2], np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)
        stride = steps.stride_seconds(np.ones((COUNT, 2), np.bool_))
        assert stride == (None if expected is None else pytest.approx(expected, abs=0.02))


def test_the_period_is_told_from_noisy_landmarks_of_a_short_walk() -> None:
    errors = []
    for seed in range(12):
        both = walk()
        legs = np.stack([both[:, rows, :2] for rows in LEGS_OF_SIDE.values()], axis=1)
        legs += np.random.default_rng(seed).normal(0, 0.04 * HEIGHT, legs.shape)
        steps = make_walk(legs, both[:, HIPS, :2], np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)
        is_good = np.zeros((COUNT, 2), np.bool_)
        is_good[:60] = True
        stride = steps.stride_seconds(is_good)
        errors.append(1.0 if stride is None else abs(stride - STRIDE_SECONDS))
    assert np.max(errors) < 0.03


def test_a_leg_that_is_hidden_before_the_other_one_is_filled_in_as_well() -> None:
    # Down a slope too steep for a gait to be told.
    true = walk()
    true[..., 1] += 0.9 * (true[:, HIPS, 0].mean(axis=1) - 50)[:, None]
    guessed = true.copy()
    for row in LEGS:
        for column in (row, 21 + row):
            guessed[HIDDEN, column, 1] = true[HIDDEN, JOINT["left_hip"], 1] + 0.1 * HEIGHT
    alone = slice(HIDDEN.start - 6, HIDDEN.start)
    for row in LEGS_OF_SIDE["right"]:
        for column in (row, 21 + row):
            guessed[alone, column, 1] = true[alone, JOINT["right_hip"], 1] + 0.1 * HEIGHT
    assert ankles_off(guessed, true)[alone, 1].min() > 0.3
    assert ankles_off(filled(guessed), true)[alone].max() < 0.25


def test_legs_that_part_in_a_jumping_jack_are_not_exchanged() -> None:
    # Seen from the front: the feet come together and part again, as if they had passed each other.
    both = walk(0.0)
    beside = 0.06 + 0.25 * np.abs(np.sin(2 * np.pi * np.arange(COUNT) / FPS))
    for side, sign in (("left", 1), ("right", -1)):
        both[:, JOINT[f"{side}_hip"], 0] = 300 + sign * 0.06 * HEIGHT
        for part, share in (("knee", 0.5), ("ankle", 1.0), ("heel", 1.0), ("toe", 1.0)):
            both[:, JOINT[f"{side}_{part}"], 0] = 300 + sign * HEIGHT * (0.06 + share * (beside - 0.06))
    assert not exchanged_legs(both, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS).any()


def test_who_jumps_keeps_the_legs_that_the_model_sees() -> None:
    both = walk(0.0)
    both[..., 1] -= (0.3 * HEIGHT * np.abs(np.sin(2 * np.pi * np.arange(COUNT) / FPS)))[:, None]
    both[HIDDEN.start : HIDDEN.start + 4, ANKLES, 2] = OFF_MASK_CONFIDENCE
    np.testing.assert_array_equal(filled(both), both)


def test_legs_exchanged_for_longer_are_told_by_the_gait() -> None:
    # Half a second, from one passing of the legs to the next but one: no jump tells of it.
    true = walk()
    swapped = np.zeros(COUNT, np.bool_)
    swapped[46:60] = True
    wrong = with_legs_exchanged(true, swapped)
    assert not exchanged_legs(wrong, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS).any()
    assert ankles_off(wrong, true).max() > 0.3
    # Where they pass each other the names hardly matter.
    assert ankles_off(filled(wrong), true).max() < 0.1


def test_one_wrong_step_does_not_spoil_the_others() -> None:
    both = walk()
    legs = np.stack([both[:, rows, :2] for rows in LEGS_OF_SIDE.values()], axis=1)
    legs[20:28, 0] += 80
    steps = make_walk(legs, both[:, HIPS, :2], np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)
    predicted = steps.in_step(np.ones((COUNT, 2), np.bool_), STRIDE_SECONDS)
    off = np.linalg.norm(predicted[50:58] - steps.shapes[50:58], axis=-1)
    assert off.max() < 0.05
