"""Linear light, and the gain and offset that match the light of one picture to another."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.robust import CAUCHY, SIGMA_OF_MEDIAN, median_of
from pipeline.runtime.compiled import njit

_MIN_RING_PIXELS = 40


_MOST_ROUNDS = 8
_STILL_LEVELS = 0.02
"""Change per iteration, in gray levels, below which the fit has converged."""
_LIGHT_PIXELS = 3_000
"""Enough for an accuracy of a tenth of a gray level; ten times as many cost ten times as much in every frame."""


def _linear_levels() -> NDArray[np.float32]:
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear_levels()


def linear_of(picture: Picture) -> NDArray[np.float32]:
    """Return the linear light (h, w, 3), 0..1, of sRGB bytes (IEC 61966-2-1)."""
    return cv2.LUT(picture, _LINEAR[None])


def srgb_of(linear: NDArray[np.floating]) -> Picture:
    """Return the sRGB bytes of linear light (h, w, 3), clipped to 0..1."""
    return np.asarray(np.rint(levels_of(linear)), np.uint8)


def levels_of(linear: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the sRGB levels 0..255 of linear light, not rounded; clipped to 0..1."""
    light = np.clip(linear, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(np.maximum(light, 1e-7), 1 / 2.4) - 0.055)


def fit_light(plate: NDArray[np.uint8], source: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Fit ``source = gain · plate + offset`` per channel over (N, 3) corresponding pixels.

    Cauchy-weighted least squares, regularized towards gain 1: a ring of one gray level has no slope of its own. Fewer
    than 40 pixels give gain 1 and offset 0. Returns (2, 3): gain (bounded to 0.5..2) and offset (gray levels).
    """
    light = np.stack([np.ones(3), np.zeros(3)])
    if len(plate) < _MIN_RING_PIXELS:
        return light
    step = max(1, len(plate) // _LIGHT_PIXELS)
    x, y = plate[::step].astype(np.float64), source[::step].astype(np.float64)
    # Clipped pixels carry no information on the light.
    usable = ((x > 4) & (x < 251) & (y > 4) & (y < 251)).all(axis=1)
    if usable.sum() < _MIN_RING_PIXELS:
        return light
    x, y = x[usable], y[usable]
    for channel in range(3):
        light[:, channel] = _fitted(np.ascontiguousarray(x[:, channel]), np.ascontiguousarray(y[:, channel]))
    return light


@njit(cache=True, nogil=True)
def _fitted(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[float, float]:
    """Return gain and offset of one channel's pixels (N,), ``b = gain · a + offset``; see ``fit_light``."""
    weights = np.ones(len(a))
    gain = 1.0
    offset = 0.0
    for _ in range(_MOST_ROUNDS):
        total = weights.sum()
        mean_a, mean_b = (weights * a).sum() / total, (weights * b).sum() / total
        # A prior worth a hundred pixels that are 10 gray levels off the mean.
        prior = 1e4
        slope = (weights * (a - mean_a) * (b - mean_b)).sum() + prior
        before_gain, before_offset = gain, offset
        gain = min(max(slope / ((weights * (a - mean_a) ** 2).sum() + prior), 0.5), 2.0)
        offset = mean_b - gain * mean_a
        if abs(gain - before_gain) * 128 + abs(offset - before_offset) < _STILL_LEVELS:
            break
        error = b - gain * a - offset
        sigma = max(SIGMA_OF_MEDIAN * median_of(np.abs(error)), 1.0)
        weights = 1.0 / (1.0 + (error / (CAUCHY * sigma)) ** 2)
    return gain, offset


def apply_light(picture: Picture, light: NDArray[np.float64]) -> Picture:
    """Apply the gain and offset of ``fit_light``."""
    table = _light_table(np.asarray(light, np.float64).tobytes())
    return picture if table is None else cv2.LUT(picture, table)


@lru_cache(maxsize=256)
def _light_table(light: bytes) -> NDArray[np.uint8] | None:
    """Return the levels (1, 256, 3) of ``apply_light``; None for those as they are. Kept, since plates are put together
    block by block: to make it takes as long as to use it on one."""
    gain, offset = np.frombuffer(light).reshape(2, 3)
    if (gain == 1).all() and (offset == 0).all():
        return None
    levels = np.arange(256, dtype=np.float64)[:, None] * gain + offset
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)[None]


def match_light(plate_patch: Picture, source_patch: Picture, ring: Mask) -> Picture:
    """Return the plate with the gain and offset per channel that match it to the source inside ``ring`` (h, w)."""
    return apply_light(plate_patch, light_of_ring(plate_patch, source_patch, ring))


def light_of_ring(plate_patch: Picture, source_patch: Picture, ring: Mask) -> NDArray[np.float64]:
    """Return the (2, 3) gain and offset that match a plate (h, w, 3) to the source inside ``ring`` (h, w)."""
    places = np.flatnonzero(ring)
    # Gathering all of a ring's pixels to use a few of them would cost more than the fit.
    places = places[:: max(1, len(places) // _LIGHT_PIXELS)]
    return fit_light(plate_patch.reshape(-1, 3)[places], source_patch.reshape(-1, 3)[places])
