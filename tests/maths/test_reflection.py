"""Reflections of known strength, and floors without one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.reflection import mirror, sample_reflection

_SIZE = (240, 200)
_FOOT_ROW = 150.0
_HEIGHT_PX = 120.0


def _floor(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((*_SIZE, 3)).astype(np.float32)
    return np.asarray(120 + 40 * cv2.GaussianBlur(noise, (0, 0), 2.0) / 0.14, np.float32)


def _man() -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros(_SIZE, np.bool_)
    mask[30:151, 80:120] = True
    look = np.zeros((*_SIZE, 3), np.float32)
    look[30:151] = np.linspace(20, 230, 121, dtype=np.float32)[:, None, None] * np.array([1, 0.6, 0.3], np.float32)
    look[60:90, 80:100] = (30, 60, 220)
    return mask, look


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_the_share_of_a_mirror_image_is_found(share: float) -> None:
    plate = _floor(1)
    (mask, look) = _man()
    frame = np.where(mask[..., None], look, plate)
    change = np.where(mask[..., None], frame - plate, np.float32(0))
    frame = frame + np.float32(share) * cv2.GaussianBlur(mirror(change, _FOOT_ROW), (0, 0), 1.0)
    frame += np.random.default_rng(2).normal(0, 4, frame.shape).astype(np.float32)
    sample = sample_reflection(frame - plate, mask, ~mask, _FOOT_ROW, _HEIGHT_PX)
    assert sample is not None
    assert sample.share == pytest.approx(share, rel=0.2) and sample.likeness > 0.8


def test_a_matte_floor_and_a_shadow_are_no_mirror() -> None:
    plate = _floor(1)
    (mask, look) = _man()
    frame = np.where(mask[..., None], look, plate)
    frame[155:175, 60:140] *= 0.6
    frame += np.random.default_rng(2).normal(0, 4, frame.shape).astype(np.float32)
    sample = sample_reflection(frame - plate, mask, ~mask, _FOOT_ROW, _HEIGHT_PX)
    assert sample is not None and sample.likeness < 0.35


def test_feet_at_the_pictures_edge_give_no_estimate() -> None:
    plate = _floor(1)
    (mask, _) = _man()
    assert sample_reflection(plate, mask, ~mask, 235.0, _HEIGHT_PX) is None
    turned = mirror(plate, _FOOT_ROW)
    np.testing.assert_allclose(turned[160], plate[140], atol=1e-3)
    assert not turned[:150].any()
