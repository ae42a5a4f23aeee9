"""The inpainting mask and the start picture against plain ways to make them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.window import Layer
from pipeline.models.diffusion.conditioner import composite_over
from pipeline.models.diffusion.inpaint_mask import loose_masks


def _blobs(rng: np.random.Generator) -> np.ndarray:
    mask = np.zeros((120, 90), np.uint8)
    for _ in range(3):
        x, y, a, b = (int(value) for value in rng.integers((20, 20, 2, 2), (70, 100, 16, 16)))
        cv2.ellipse(mask, (x, y), (a, b), float(rng.integers(0, 180)), 0, 360, 1, -1)
    return mask.astype(np.bool_)


@pytest.mark.parametrize("seed", range(5))
def test_the_loose_mask_is_the_grown_hull_of_all_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = _blobs(rng)
    joints = np.full((1, 21, 3), np.nan, np.float32)
    joints[0, 3] = rng.uniform(5, 85, 3)
    (made,) = loose_masks(mask[None], joints, np.array([50.0]))
    rows, columns = np.nonzero(mask)
    points = np.concatenate([np.stack([columns, rows], axis=1).astype(np.float32), joints[0, 3:4, :2]])
    hull = np.rint(cv2.convexHull(points)).astype(np.int32)
    expected = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(expected, hull, 1)
    cv2.polylines(expected, [hull], True, 1, 9)
    assert np.array_equal(made, expected > 0) and made.sum() > mask.sum()


def test_a_composite_is_that_of_every_pixel() -> None:
    rng = np.random.default_rng(1)
    picture, plate = (rng.integers(0, 255, (120, 90, 3), np.uint8) for _ in range(2))
    alpha = np.where(_blobs(rng), rng.integers(0, 255, (120, 90)), 0).astype(np.uint8)
    share = alpha[..., None].astype(np.float32) / 255
    expected = np.rint(picture * share + plate * (1 - share)).astype(np.uint8)
    before = plate.copy()
    assert np.array_equal(composite_over(Layer(picture, alpha), plate), expected)
    assert np.array_equal(composite_over(Layer(picture, np.zeros_like(alpha)), plate), plate)
    assert np.array_equal(plate, before)
