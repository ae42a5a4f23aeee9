"""A plate takes the light of a frame, also where that differs from place to place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.light import match_light
from pipeline.maths.uneven_light import light_field, match_uneven_light

H, W = 120, 160


def background() -> Picture:
    noise = np.random.default_rng(3).normal(0, 1, (H, W, 3)).astype(np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(110 + 25 * fine / fine.std(), 0, 255).astype(np.uint8)


def bands() -> NDArray[np.float64]:
    gain = 1 + 0.25 * np.sin(2 * np.pi * np.arange(H) / H * 1.5)
    return np.broadcast_to(gain[:, None, None], (H, W, 3))


def around() -> tuple[Mask, Mask]:
    """Return a hole (H, W) where somebody stands, and the background around it."""
    hole = np.zeros((H, W), np.bool_)
    hole[20:110, 65:95] = True
    wide = np.zeros_like(hole)
    wide[8:, 45:115] = True
    return hole, wide & ~hole


def error(picture: Picture, true: Picture, where: Mask) -> float:
    return float(np.abs(picture.astype(np.float64) - true)[where].mean())


def test_bands_of_flickering_lamps_are_continued_behind_the_person() -> None:
    plate = background()
    frame = np.clip(plate * bands(), 0, 255).astype(np.uint8)
    hole, ring = around()
    lit, over = match_uneven_light(plate, frame, ring)
    assert error(lit, frame, hole) < 0.4 * error(match_light(plate, frame, ring), frame, hole)
    assert over is None


def test_a_light_leak_is_matched_and_told_as_a_veil() -> None:
    plate = background()
    veil = np.exp(-(((np.arange(W) - 100) / 70) ** 2))[None, :, None] * 0.9
    frame = np.rint(plate * (1 - veil) + 255 * veil).astype(np.uint8)
    hole, ring = around()
    lit, over = match_uneven_light(plate, frame, ring)
    assert error(lit, frame, hole) < 0.85 * error(match_light(plate, frame, ring), frame, hole)
    assert over is not None
    assert over.hides(hole)
    # Whoever is put in his place lies behind it as well.
    box = (65, 20, 95, 110)
    gain, offset = over.light.over(box, (W, H))
    behind = gain * 60 + offset
    true = 60 * (1 - veil[:, 65:95]) + 255 * veil[:, 65:95]
    assert np.abs(behind - true).mean() < 0.3 * np.abs(60 - true).mean()


@pytest.mark.parametrize("gain", [1.0, 0.7])
def test_even_light_needs_no_field(gain: float) -> None:
    plate = background()
    noise = np.random.default_rng(4).normal(0, 4, plate.shape)
    frame = np.clip(plate * gain + 10 + noise, 0, 255).astype(np.uint8)
    # A thing beside the person is no light.
    frame[60:80, 50:62] = (200, 30, 30)
    _, ring = around()
    assert light_field(match_light(plate, frame, ring), frame, ring) is None
    assert match_uneven_light(plate, frame, ring)[1] is None
