"""Overexposed skin keeps its hue."""

from __future__ import annotations

import numpy as np

from pipeline.models.mannequin.reference import with_hue_restored
from pipeline.models.mannequin.srgb import linear_from_srgb


def _bytes(linear: np.ndarray) -> np.ndarray:
    value = np.clip(linear, 0, 1)
    srgb = np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
    return np.rint(255 * srgb).astype(np.uint8)


def test_clipped_colors_take_the_surrounding_hue() -> None:
    rows, columns = np.mgrid[:120, :120]
    light = 0.75 + 0.5 * np.exp(-((rows - 60) ** 2 + (columns - 60) ** 2) / 800)
    skin = light[..., None] * np.array([1.0, 0.6, 0.45])
    picture = _bytes(skin)
    assert (picture[..., 0] == 255).mean() > 0.05
    inside = np.ones((120, 120), bool)
    found = with_hue_restored(picture, inside, 12.0)
    over = picture[..., 0] == 255
    np.testing.assert_allclose(found[over][:, 0], skin[over][:, 0], rtol=0.06)
    # Nothing else changes.
    plain = linear_from_srgb(picture.astype(np.float32) / np.float32(255))
    assert np.array_equal(found[..., 1:], plain[..., 1:])
    assert np.array_equal(found[picture[..., 0] < 252], plain[picture[..., 0] < 252])


def test_white_stays_white_and_what_is_outside_does_not_count() -> None:
    picture = np.full((60, 60, 3), 255, np.uint8)
    picture[:, 30:] = (255, 40, 40)
    inside = np.zeros((60, 60), bool)
    inside[:, :30] = True
    assert np.array_equal(
        with_hue_restored(picture, inside, 5.0), linear_from_srgb(picture.astype(np.float32) / np.float32(255))
    )
