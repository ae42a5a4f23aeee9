"""The common light of a scene is followed where it changes from one frame to the next, and nothing else is light."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.survey.light_steps import LightSteps

SIZE_WH = (320, 200)


def scene() -> NDArray[np.float64]:
    """(H, 2 W, 3) linear light."""
    noise = np.random.default_rng(4).normal(0, 1, (SIZE_WH[1], 2 * SIZE_WH[0], 3)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 14)
    return np.asarray(0.22 * np.exp(0.5 * blobs / blobs.std()), np.float64)


def coded(linear: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(linear, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def steps_of(pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32] | None:
    steps = LightSteps()
    for picture in pictures:
        steps.push(picture)
    return steps.finish()


def test_a_colored_lamp_that_is_switched_is_followed_at_once_before_a_camera_that_moves() -> None:
    lamp = np.array([1.4, 0.7, 0.5])
    pictures = []
    for frame in range(12):
        light = lamp if 4 <= frame < 9 else np.ones(3)
        pictures.append(coded(scene()[:, 3 * frame : 3 * frame + SIZE_WH[0]] * light))
    steps = steps_of(pictures)
    assert steps is not None
    expected = np.where(((np.arange(12) >= 4) & (np.arange(12) < 9))[:, None], np.log(lamp), 0.0)
    np.testing.assert_allclose(steps, expected, atol=0.08)
    assert (steps[:4] == 0).all() and np.ptp(steps[4:9], axis=0).max() == 0


def test_a_fast_camera_and_who_passes_close_to_it_change_no_light() -> None:
    fast = [coded(scene()[:, 40 * frame : 40 * frame + SIZE_WH[0]]) for frame in range(8)]
    assert steps_of(fast) is None
    passing = []
    for frame in range(8):
        picture = coded(scene()[:, : SIZE_WH[0]])
        picture[:, 40 * frame : 40 * frame + 120] = 40
        passing.append(picture)
    assert steps_of(passing) is None
