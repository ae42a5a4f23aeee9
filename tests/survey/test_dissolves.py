"""Cross-fades are told from cuts, pans, jump cuts and changes of light, with the weight of both pictures."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.survey.shots import CutDetector
from tests.support.clip_info import video_info

COUNT = 70


def scene(seed: int, speed: float = 1.5) -> list[Picture]:
    """Return pictures (H, W, 3) of a large texture, along which the camera moves by ``speed`` px a frame."""
    noise = np.random.default_rng(seed).normal(0, 1, (240, 640, 3)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), 22)
    fine = cv2.GaussianBlur(noise, (0, 0), 2)
    texture = np.clip(120 + 45 * wide / wide.std() + 18 * fine / fine.std(), 0, 255).astype(np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shifts = [np.array([[1, 0, 20 + speed * t], [0, 1, 10]]) for t in range(COUNT)]
    return [np.asarray(cv2.warpAffine(texture, shift, (320, 180), flags=flags), np.uint8) for shift in shifts]


def faded(before: list[Picture], after: list[Picture], first: int, frames: int) -> list[Picture]:
    """Return a clip that fades from one scene to another in some frames, from ``first`` on."""
    weights = np.clip((np.arange(COUNT) - first + 1) / (frames + 1), 0, 1)
    pairs = zip(before, after, weights, strict=True)
    return [np.rint(a * (1 - weight) + b * weight).astype(np.uint8) for a, b, weight in pairs]


def leaked(pictures: list[Picture]) -> list[Picture]:
    """Return a clip over which a warm light passes from left to right."""
    place = np.arange(pictures[0].shape[1])
    levels = [np.exp(-(((place - 6 * t) / 70) ** 2))[:, None] * (255, 120, 40) for t in range(len(pictures))]
    return [
        np.rint(255 - (255 - one) * (1 - level / 255)).astype(np.uint8)
        for one, level in zip(pictures, levels, strict=True)
    ]


def weights_of(pictures: list[Picture]) -> NDArray[np.float32] | None:
    detector = CutDetector(video_info(len(pictures)), "content")
    for index, picture in enumerate(pictures):
        detector.push(picture, index)
    return detector.blend_weights()


@pytest.mark.parametrize("frames", [9, 15, 28])
def test_a_cross_fade_is_found_with_its_weights(frames: int) -> None:
    first = 30
    weights = weights_of(faded(scene(1, speed=0.4), scene(2, speed=0.4), first, frames))
    assert weights is not None
    blended = np.flatnonzero(np.isfinite(weights))
    assert abs(blended[0] - first) <= 2
    assert abs(blended[-1] - (first + frames - 1)) <= 2
    true = (blended - first + 1) / (frames + 1)
    assert np.abs(weights[blended] - true).max() < 0.12


@pytest.mark.parametrize(
    "pictures",
    [
        scene(1),
        scene(1, speed=5.0),
        [*scene(1)[:30], *scene(2)[30:]],
        [np.rint(picture * (0.5 + t / COUNT)).clip(0, 255).astype(np.uint8) for t, picture in enumerate(scene(1))],
        leaked(scene(1, speed=0.4)),
    ],
    ids=["slow pan", "quick pan", "cut", "light", "light leak"],
)
def test_what_is_no_cross_fade_is_not_taken_for_one(pictures: list[Picture]) -> None:
    assert weights_of(pictures) is None
