"""Dilation and closing in the box of what is set are those of the whole mask."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.masks import close, grow


@pytest.mark.parametrize("radius_px", [0, 1, 7, 23, 24, 60])
@pytest.mark.parametrize("set_px", [0, 1, 40])
def test_growing_is_the_same_as_dilating_the_whole_mask(radius_px: int, set_px: int) -> None:
    random = np.random.default_rng(3)
    mask = np.zeros((90, 120), np.bool_)
    mask[random.integers(0, 90, set_px), random.integers(0, 120, set_px)] = True
    square = np.ones((2 * radius_px + 1, 2 * radius_px + 1), np.uint8)

    np.testing.assert_array_equal(grow(mask, radius_px), cv2.dilate(mask.view(np.uint8), square) > 0)


def test_growing_takes_a_part_of_a_larger_mask() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[10, 20] = True

    grown = grow(mask[5:30, 15:50], 30)

    assert grown.all()
    assert np.count_nonzero(mask) == 1


@pytest.mark.parametrize("radius_px", [1, 3, 8])
def test_closing_is_the_same_as_closing_the_whole_mask(radius_px: int) -> None:
    random = np.random.default_rng(5)
    mask = np.zeros((90, 120), np.bool_)
    mask[30:60, 40:90] = random.random((30, 50)) > 0.3
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))

    np.testing.assert_array_equal(
        close(mask, radius_px), cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    )


def test_closing_at_the_picture_s_edge_adds_nothing_outside_of_the_mask() -> None:
    mask = np.zeros((20, 20), np.bool_)
    mask[:, :4] = True
    mask[9, 3] = False

    closed = close(mask, 2)

    assert closed[:, :4].all()
    assert not closed[:, 4:].any()
    assert not close(np.zeros((4, 4), np.bool_), 2).any()
