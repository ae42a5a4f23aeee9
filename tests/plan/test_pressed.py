"""Sizes of people whom a side of the picture cuts through the trunk."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.plan.pressed import on_course_through_sides, pressed_to_a_side, with_held_size

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


def walk_through_the_left(pace_px_per_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True points (40, 21, 2), pressed ones, and which of the frames are pressed: the first eight."""
    true = np.repeat(trunk_at(0.0)[..., :2].astype(np.float64), 40, axis=0)
    true[..., 0] += pace_px_per_s * SECONDS[:, None]
    pressed = np.arange(40) < 8
    found = true.copy()
    found[pressed] += np.linspace(1, 0.3, 8)[:, None, None] * [40.0, -90.0]
    return true, found, pressed


def test_who_walks_in_is_on_the_course_of_the_next_frames() -> None:
    true, found, pressed = walk_through_the_left(200.0)
    wrist = JOINT["left_wrist"]
    in_sight = np.zeros((40, 21))
    in_sight[:, wrist] = 1
    known = np.ones(40, np.bool_)
    for points, at in ((found, slice(None)), (found[::-1], slice(None, None, -1))):
        moved = on_course_through_sides(points, pressed[at], known, SECONDS, np.full(40, 500.0), in_sight)[at]
        trunk = [*SHOULDERS, *HIPS]
        np.testing.assert_allclose(moved[:, trunk], true[:, trunk], atol=16)
        # A hand in the picture is seen: it is only as far too high as the whole body.
        np.testing.assert_allclose(moved[:, wrist, 0], found[:, wrist, 0])
        np.testing.assert_allclose(moved[:, wrist, 1], true[:, wrist, 1], atol=16)
        np.testing.assert_array_equal(moved[8:], found[8:])


@pytest.mark.parametrize(("pace", "pressed_frames"), [(20.0, 8), (200.0, 20)], ids=["stands", "cut off for long"])
def test_who_does_not_walk_through_the_side_stays(pace: float, pressed_frames: int) -> None:
    _, found, _ = walk_through_the_left(pace)
    pressed = np.arange(40) < pressed_frames
    known = np.ones(40, np.bool_)
    same = on_course_through_sides(found, pressed, known, SECONDS, np.full(40, 500.0), np.zeros((40, 21)))
    np.testing.assert_array_equal(same, found)
