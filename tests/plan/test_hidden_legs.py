"""Legs behind something, on a walk of which everything is known; and what only looks like it."""

from __future__ import annotations

import numpy as np

from pipeline.joints import HIPS, JOINT
from pipeline.plan.hidden_legs import ANKLES, FILLED_CONFIDENCE, LEGS, with_hidden_legs

COUNT = 120
FPS = 30.0
HEIGHT = 200.0
HIDDEN = slice(50, 62)
STRIDE_SECONDS = 1.0


def walk(speed_bh_per_s: float = 0.7) -> np.ndarray:
    """Joints and skeleton (T, 44, 3) in world px: somebody walks to the right past a camera that stands still."""
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


def filled(both: np.ndarray) -> np.ndarray:
    found = np.ones(COUNT, np.bool_)
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    return with_hidden_legs(both, found, world, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)


def test_hidden_legs_go_on_in_step() -> None:
    true = walk()
    guessed = behind_a_hedge(true)
    result = filled(guessed)
    off = np.linalg.norm(result[:, ANKLES, :2] - true[:, ANKLES, :2], axis=2) / HEIGHT
    assert off[HIDDEN].max() < 0.06
    assert np.linalg.norm(guessed[HIDDEN, 15, :2] - true[HIDDEN, 15, :2], axis=1).min() > 0.3 * HEIGHT
    np.testing.assert_array_equal(result[: HIDDEN.start], guessed[: HIDDEN.start])
    np.testing.assert_array_equal(result[HIDDEN.stop :], guessed[HIDDEN.stop :])
    assert (result[HIDDEN, 15, 2] == FILLED_CONFIDENCE).all()
    np.testing.assert_allclose(result[:, [21 + row for row in LEGS], :2], result[:, LEGS, :2])


def test_who_stands_behind_it_stands_still() -> None:
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


def test_a_short_pop_and_nobody_are_left_alone() -> None:
    both = walk()
    both[50:52, LEGS, 1] = 120
    np.testing.assert_array_equal(filled(both), both)
    nobody = np.full_like(both, np.nan)
    found = np.zeros(COUNT, np.bool_)
    world = np.tile(np.eye(3), (COUNT, 1, 1))
    same = with_hidden_legs(nobody, found, world, np.full(COUNT, HEIGHT), np.arange(COUNT) / FPS)
    assert np.isnan(same).all()
