"""Colors correct the border of a coarse mask, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.cutout import refined_mask, without_gaps


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture, the person in it, and a first mask that is 3 px off."""
    rng = np.random.default_rng(3)
    true = np.zeros((600, 400), np.uint8)
    cv2.ellipse(true, (200, 320), (70, 230), 0, 0, 360, 1, -1)
    cv2.circle(true, (200, 80), 45, 1, -1)
    true = true > 0
    picture = rng.integers(90, 150, (600, 400, 3)).astype(np.uint8)
    picture[true] = rng.integers(20, 60, (int(true.sum()), 3))
    wide = cv2.dilate(true.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return picture, true, wide


def test_the_border_follows_the_colors(scene: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    picture, true, first = scene
    refined = refined_mask(picture, first)
    assert iou(first, true) < 0.96
    assert iou(refined, true) > 0.98
    assert np.array_equal(refined, refined_mask(picture, first))


def test_what_is_far_from_the_border_stays(scene: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    picture, _, first = scene
    # A bright shirt's print, and something dark in the background.
    picture[300:340, 180:220] = 120
    picture[40:120, 330:390] = 40
    refined = refined_mask(picture, first)
    assert refined[300:340, 180:220].all()
    assert not refined[40:120, 330:390].any()


@pytest.mark.parametrize("size", [0, 3])
def test_a_mask_without_an_inside_is_returned(size: int) -> None:
    mask = np.zeros((50, 40), bool)
    mask[10 : 10 + size, 10 : 10 + size] = True
    assert np.array_equal(refined_mask(np.full((50, 40, 3), 99, np.uint8), mask), mask)


def test_a_person_who_fills_the_picture_is_returned() -> None:
    mask = np.ones((60, 40), bool)
    assert refined_mask(np.full((60, 40, 3), 99, np.uint8), mask).all()


def test_background_in_a_gap_goes_and_a_bag_stays() -> None:
    rng = np.random.default_rng(4)
    picture = rng.integers(90, 120, (400, 300, 3)).astype(np.uint8)
    mask = np.zeros((400, 300), bool)
    mask[50:350, 80:220] = True
    core = np.zeros_like(mask)
    core[60:340, 90:130] = True
    picture[mask] = (40, 50, 130)
    # Between arm and trunk the background shows; below it hangs a bag of a color of its own.
    picture[100:200, 150:190] = rng.integers(90, 120, (100, 40, 3))
    picture[230:290, 150:190] = (200, 150, 30)
    gaps = np.zeros_like(mask)
    gaps[60:340, 135:215] = True
    found = without_gaps(picture, mask, core, gaps)
    assert found[100:200, 150:190].mean() < 0.1
    assert found[230:290, 150:190].all()
    assert found[core].all() and np.array_equal(found[~gaps], mask[~gaps])
    assert np.array_equal(without_gaps(picture, mask, core, np.zeros_like(gaps)), mask)
