"""Reductions over the channels of a picture: numpy's along so short an axis take ten times as long."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask

_Any = TypeVar("_Any", bound=np.generic)


def largest_channel(picture: NDArray[_Any]) -> NDArray[_Any]:
    """Return (h, w): the largest of the channels of a picture (h, w, C), uint8 or float32."""
    largest, *others = cv2.split(picture)
    for channel in others:
        largest = cv2.max(largest, channel)
    return largest


def all_at_most(picture: NDArray[np.uint8], level: int) -> Mask:
    """Return (h, w): whether no channel of a picture (h, w, C), at most four of them, is above a level."""
    channels = picture.shape[2]
    return np.asarray(cv2.inRange(picture, (0,) * channels, (level,) * channels) > 0, np.bool_)


def in_all_channels(holds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (...): whether something holds in every channel of (..., C)."""
    result = holds[..., 0].copy()
    for channel in range(1, holds.shape[-1]):
        result &= holds[..., channel]
    return result


def is_known(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return (...): whether every channel of floats (..., C) is finite."""
    return in_all_channels(np.isfinite(values))


def distances_to(x: float, y: float, height: int, width: int) -> NDArray[np.float32]:
    """Return (height, width): each pixel's distance from a point, px; numpy's ``hypot`` takes six times as long."""
    across = np.square(np.arange(width, dtype=np.float32) - np.float32(x))
    down = np.square(np.arange(height, dtype=np.float32) - np.float32(y))
    return np.sqrt(across[None] + down[:, None])


def lengths(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return (h, w): the lengths of vectors (h, w, 2)."""
    x, y = cv2.split(np.asarray(vectors, np.float32))
    return np.asarray(cv2.magnitude(x, y), np.float32)
