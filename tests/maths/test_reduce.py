"""Averages of areas are those of OpenCV, to a rounding."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.reduce import reduced


@pytest.mark.parametrize("size_wh", [(100, 60), (99, 59), (61, 40), (50, 30), (33, 7), (1, 1), (120, 80)])
def test_the_mean_of_areas_is_that_of_opencv(size_wh: tuple[int, int]) -> None:
    picture = np.random.default_rng(5).integers(0, 256, (60, 100, 3), dtype=np.uint8)

    found = reduced(picture, size_wh)

    expected = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)
    assert found.shape == expected.shape
    assert np.abs(found.astype(np.int64) - expected).max() <= 1
    assert np.mean(found != expected) < 0.02


def test_a_part_of_a_picture_is_reduced_like_its_copy() -> None:
    picture = np.random.default_rng(6).integers(0, 256, (60, 100, 3), dtype=np.uint8)

    np.testing.assert_array_equal(reduced(picture[5:50, 7:90], (30, 20)), reduced(picture[5:50, 7:90].copy(), (30, 20)))


def test_one_color_stays_itself() -> None:
    assert (reduced(np.full((57, 91, 3), 255, np.uint8), (40, 13)) == 255).all()
