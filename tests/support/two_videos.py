"""Small pictures in which two videos are shown at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.survey.graphic import Seen

WIDTH, HEIGHT = 240, 360
LOOKS = 8
Luma = NDArray[np.uint8]
NOBODY = np.zeros((HEIGHT, WIDTH), np.bool_)


def scene(seed: int, t: int, step: float) -> Luma:
    """A texture along which the camera moves by ``step`` px a frame."""
    left = round(step * t)
    return texture(seed)[:, left : left + WIDTH].copy()


@cache
def texture(seed: int) -> Luma:
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, 2 * WIDTH)).astype(np.float32)
    wide, fine = (cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (12, 2))
    return np.clip(120 + 40 * wide / wide.std() + 15 * fine / fine.std(), 0, 255).astype(np.uint8)


def split(one: Luma, two: Luma, at: float = 0.5, gap: int = 0, *, is_stacked: bool = True) -> Luma:
    both = one.copy() if is_stacked else one.T.copy()
    other = two if is_stacked else two.T
    line = round(at * len(both))
    both[line:] = other[line:]
    both[line - gap // 2 : line + gap - gap // 2] = 255
    return np.ascontiguousarray(both if is_stacked else both.T)


def seen(pictures: Sequence[Luma], people: Sequence[Mask] | None = None) -> list[Seen]:
    masks = people or [NOBODY] * len(pictures)
    return [
        Seen(4 * t, picture, mask, np.eye(3)) for t, (picture, mask) in enumerate(zip(pictures, masks, strict=True))
    ]


def standing(x: int, top: int, bottom: int) -> Mask:
    """The mask of somebody."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (x, (top + bottom) // 2), (20, (bottom - top) // 2), 0, 0, 360, 1, -1)
    return mask.astype(np.bool_)


def with_inset(one: Luma, two: Luma, box: tuple[int, int, int, int], border: int = 0) -> Luma:
    """The second video, darker, in a box in front of the first."""
    x0, y0, x1, y1 = box
    both = one.copy()
    both[y0:y1, x0:x1] = 255
    inner = np.s_[y0 + border : y1 - border, x0 + border : x1 - border]
    both[inner] = two[inner] // 2
    return both
