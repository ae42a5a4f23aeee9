"""Sizes of people whom a side of the picture cuts through the trunk."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import HIPS, SHOULDERS
from pipeline.plan.pressed import pressed_to_a_side, with_held_size

SIZE_WH = (360, 640)
SECONDS = np.arange(40) / 20


def trunk_at(x: float) -> np.ndarray:
    joints = np.ones((1, 21, 3), np.float32)
    joints[0, SHOULDERS, :2] = [[x + 40, 200], [x - 40, 200]]
    joints[0, HIPS, :2] = [[x + 25, 350], [x - 25, 350]]
    return joints


@pytest.mark.parametrize(
    ("x", "box", "is_pressed"),
    [
        (180.0, (90.0, 100.0, 270.0, 639.0), False),
        (50.0, (0.0, 100.0, 140.0, 639.0), True),
        (330.0, (230.0, 100.0, 359.0, 639.0), True),
        # Only the arms are cut off on both sides.
        (180.0, (0.0, 100.0, 359.0, 639.0), False),
        # Close to the side, and whole.
        (62.0, (3.0, 100.0, 150.0, 639.0), False),
    ],
    ids=["free", "left", "right", "arms", "beside"],
)
def test_a_side_that_cuts_through_the_trunk_presses(
    x: float, box: tuple[float, float, float, float], is_pressed: bool
) -> None:
    assert pressed_to_a_side(trunk_at(x), np.array([box]), SIZE_WH).tolist() == [is_pressed]


def test_nobody_is_not_pressed() -> None:
    joints = np.full((2, 21, 3), np.nan, np.float32)
    assert not pressed_to_a_side(joints, np.full((2, 4), np.nan), SIZE_WH).any()


def test_who_is_pressed_keeps_the_size_from_before_under_a_zoom() -> None:
    pressed = np.arange(40) >= 20
    zoom = np.linspace(1.0, 1.5, 40)
    world = np.tile(np.eye(3), (40, 1, 1))
    world[:, 0, 0] = world[:, 1, 1] = 1 / zoom
    measured = 400.0 * zoom
    measured[pressed] *= np.linspace(0.9, 0.4, 20)
    measured[25] = np.nan
    held = with_held_size(measured, pressed, world, SECONDS)
    np.testing.assert_array_equal(held[:20], measured[:20])
    # Up to a tenth a second may be walked away.
    relative = held[20:] / (400 * zoom[20:])
    assert np.flatnonzero(np.isnan(relative)).tolist() == [5]
    assert np.nanmin(relative) > 0.89
    assert np.nanmax(relative) < 1.02


def test_who_comes_closer_while_pressed_grows() -> None:
    measured = np.linspace(300.0, 600.0, 40)
    held = with_held_size(measured, np.arange(40) >= 20, np.tile(np.eye(3), (40, 1, 1)), SECONDS)
    np.testing.assert_array_equal(held, measured)


def test_of_somebody_always_pressed_the_least_pressed_frames_count() -> None:
    measured = np.full(40, 300.0)
    measured[10:20] = 500.0
    held = with_held_size(measured, np.ones(40, np.bool_), np.tile(np.eye(3), (40, 1, 1)), SECONDS)
    assert held.min() >= 490


def test_too_few_sizes_hold_nothing() -> None:
    measured = np.full(40, np.nan)
    measured[:3] = 300.0
    pressed = np.arange(40) >= 3
    np.testing.assert_array_equal(with_held_size(measured, pressed, np.tile(np.eye(3), (40, 1, 1)), SECONDS), measured)
