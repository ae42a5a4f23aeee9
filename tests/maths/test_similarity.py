"""The fit score of a plate decreases with every visible defect: position, sharpness, light."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.similarity import ring_fit


def _wall(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    total = np.zeros((240, 320, 3), np.float32)
    for sigma, weight in ((1.5, 0.5), (4.0, 1.0), (12.0, 1.0)):
        noise = cv2.GaussianBlur(random.standard_normal(total.shape).astype(np.float32), (0, 0), sigma)
        total += weight * noise / noise.std()
    return np.clip(128 + 28 * total, 5, 250).astype(np.uint8)


_RING = np.zeros((240, 320), np.bool_)
_RING[40:200, 60:260] = True
_RING[60:180, 90:230] = False


@pytest.mark.parametrize("height_px", [110.0, 250.0])
def test_the_fit_separates_right_from_wrong_plates(height_px: float) -> None:
    wall = _wall(1)
    noisy = np.clip(wall + np.random.default_rng(2).normal(0, 2, wall.shape), 0, 255).astype(np.uint8)
    step = round(height_px / 110)
    right = ring_fit(noisy, wall, _RING, height_px)
    beside = ring_fit(np.roll(wall, 2 * step, axis=1), wall, _RING, height_px)
    elsewhere = ring_fit(_wall(3), wall, _RING, height_px)
    soft = ring_fit(cv2.GaussianBlur(wall, (0, 0), 3.0 * step), wall, _RING, height_px)
    dark = ring_fit((wall * 0.6).astype(np.uint8), wall, _RING, height_px)
    assert right > 0.93
    assert elsewhere < 0.4 < beside < right - 0.1
    assert soft < right - 0.15 and dark < right - 0.1


def test_the_hole_is_ignored_and_a_tiny_ring_gives_no_score() -> None:
    wall = _wall(1)
    other = wall.copy()
    other[80:160, 110:210] = 0
    assert ring_fit(other, wall, _RING, 110.0) == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(ring_fit(other, wall, np.zeros_like(_RING), 110.0))
