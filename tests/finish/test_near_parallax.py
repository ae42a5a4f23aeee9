"""What stands nearer than the rest is moved onto where the frame shows it, at the hole's edge as well."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.finish.near_parallax import moved_onto_surroundings

_HEIGHT_PX = 240.0
_SHAPE = (260, 200)


def _texture(seed: int) -> NDArray[np.float64]:
    return np.asarray(cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (*_SHAPE, 3)), (0, 0), 1.5))


def _with_post(left: int) -> NDArray[np.uint8]:
    """Return a wall with a dark post before it, 20 px wide, whose left edge is at a column."""
    picture = np.clip(150 + 60 * _texture(3), 0, 255)
    picture[:, left : left + 20] = np.clip(50 + 60 * _texture(5), 0, 255)[:, :20]
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.5)).astype(np.uint8)


def _hole() -> NDArray[np.bool_]:
    """Return a person who stands beside the post, from its right edge on, and leaves the post itself visible."""
    hole = np.zeros(_SHAPE, np.bool_)
    hole[30:230, 101:150] = True
    return hole


def _error(picture: NDArray[np.uint8], true: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.mean((picture.astype(np.float64) - true)[where] ** 2)))


def test_a_post_of_another_parallax_stands_where_the_frame_shows_it() -> None:
    true, plate, hole = _with_post(81), _with_post(83), _hole()
    frame = np.where(hole[..., None], np.uint8(220), true).astype(np.uint8)
    moved = moved_onto_surroundings(plate, frame, hole, ~hole, _HEIGHT_PX)
    beside = np.zeros_like(hole)
    beside[40:220, 101:104] = True
    assert _error(plate, true, beside) > 40
    assert _error(moved, true, beside) < 0.75 * _error(plate, true, beside)
    on_post = np.zeros_like(hole)
    on_post[40:220, 79:103] = True
    assert _error(moved, true, on_post & ~hole) < 0.4 * _error(plate, true, on_post & ~hole)


def test_at_twice_the_size_it_is_moved_by_twice_as_much() -> None:
    def large(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return cv2.resize(picture, (2 * _SHAPE[1], 2 * _SHAPE[0]), interpolation=cv2.INTER_LINEAR)

    true, plate = large(_with_post(81)), large(_with_post(83))
    hole = large(_hole().astype(np.uint8)) > 0
    frame = np.where(hole[..., None], np.uint8(220), true).astype(np.uint8)
    moved = moved_onto_surroundings(plate, frame, hole, ~hole, 2 * _HEIGHT_PX)
    beside = np.zeros_like(hole)
    beside[80:440, 203:207] = True
    assert _error(moved, true, beside) < 0.75 * _error(plate, true, beside)


def test_the_depth_of_the_hole_and_a_plate_in_place_stay() -> None:
    true, plate, hole = _with_post(81), _with_post(83), _hole()
    frame = np.where(hole[..., None], np.uint8(220), true).astype(np.uint8)
    moved = moved_onto_surroundings(plate, frame, hole, ~hole, _HEIGHT_PX)
    np.testing.assert_array_equal(moved[60:200, 120:135], plate[60:200, 120:135])
    np.testing.assert_array_equal(moved_onto_surroundings(true, frame, hole, ~hole, _HEIGHT_PX), true)


def test_something_else_beside_the_hole_does_not_pull_the_plate() -> None:
    plate, hole = _with_post(81), _hole()
    frame = plate.copy()
    frame[60:200, 40:75] = 20  # a passer-by nobody found
    frame[hole] = 220
    moved = moved_onto_surroundings(plate, frame, hole, ~hole, _HEIGHT_PX)
    away = np.zeros_like(hole)
    away[40:220, 100:150] = True
    assert _error(moved, plate, away) < 2.0


def test_a_hole_too_small_to_compare_leaves_the_plate() -> None:
    plate = _with_post(81)[:12, :12]
    hole = np.zeros((12, 12), np.bool_)
    hole[4:8, 4:8] = True
    assert moved_onto_surroundings(plate, plate, hole, ~hole, _HEIGHT_PX) is plate
