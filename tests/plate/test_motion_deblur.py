"""A place that was seen only through known motion blur."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.plate.motion_deblur import BlurredView, bar_kernel, sharpened
from tests.plate.test_plate import texture

_TRUE = texture(200, 160, 8)
_REGION = np.zeros((160, 200), np.bool_)
_REGION[40:120, 70:130] = True


def _view(motion: tuple[float, float], shutter: float, seed: int) -> BlurredView:
    """Blur and add noise; a person hides a part of it."""
    motion_px = np.array(motion)
    blurred = cv2.filter2D(_TRUE.astype(np.float32), -1, bar_kernel(shutter * motion_px))
    blurred += np.random.default_rng(seed).normal(0, 1.0, blurred.shape).astype(np.float32)
    clear = np.ones(_REGION.shape, np.bool_)
    clear[:, 10 * seed : 10 * seed + 20] = False
    return BlurredView(blurred.astype(np.float32), clear, motion_px)


def _error(picture: NDArray[np.uint8]) -> float:
    return float(np.sqrt(np.mean((picture.astype(float) - _TRUE)[_REGION] ** 2)))


def _plate(views: list[BlurredView]) -> NDArray[np.uint8]:
    """Return the sharp picture with the first view in the region."""
    return np.where(_REGION[..., None], np.clip(np.rint(views[0].picture), 0, 255), _TRUE).astype(np.uint8)


def test_blurred_views_together_give_back_the_detail() -> None:
    views = [_view((14.0, 2.0), 0.5, 1), _view((20.0, 3.0), 0.5, 2), _view((31.0, 4.0), 0.5, 3)]
    plate = _plate(views)
    result = sharpened(plate, _REGION, ~_REGION, views)
    assert _error(result) < 0.6 * _error(plate)
    assert np.array_equal(result[~_REGION], plate[~_REGION])
    assert np.array_equal(sharpened(plate, _REGION, ~_REGION, views), result)


def test_blur_that_the_camera_does_not_explain_is_left() -> None:
    """Out of focus, or moved in another direction than the camera's path says."""
    wrong = [
        BlurredView(view.picture, view.clear, view.motion_px[::-1] * (1, -1)) for view in (_view((20.0, 0.0), 0.5, 1),)
    ]
    plate = _plate(wrong)
    assert sharpened(plate, _REGION, ~_REGION, wrong) is plate
    still = [_view((1.0, 0.0), 0.5, 1)]
    assert sharpened(plate, _REGION, ~_REGION, still) is plate


def test_a_bar_has_its_length_and_is_symmetrical() -> None:
    kernel = bar_kernel(np.array([9.0, 0.0]))
    assert kernel.sum() == np.float32(1) or abs(kernel.sum() - 1) < 1e-5
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    x = np.arange(kernel.shape[1]) - kernel.shape[1] // 2
    # A uniform bar of length l has the variance l² / 12; splatting adds up to a quarter of a pixel each side.
    assert abs(float(kernel.sum(axis=0) @ x**2) - 81 / 12) < 0.7
