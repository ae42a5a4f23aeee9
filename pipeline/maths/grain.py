"""Make a patch of plate sit in its frame: its light, its noise, and pixels that nobody ever saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.datatypes import Mask, Picture

_MIN_RING_PIXELS = 40
_LIGHT_PIXELS = 3_000
"""Enough for a tenth of a grey level; ten times as many cost ten times as much in every frame."""


def fit_light(plate: NDArray[np.uint8], source: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Fit ``source = gain · plate + offset`` per channel over (N, 3) pixels that show the same place.

    Cauchy-weighted least squares, drawn towards gain 1: a ring of one grey level has no slope of its own. Fewer than 40
    pixels give gain 1 and offset 0. Returns (2, 3): gain (bounded to 0.5..2) and offset (grey levels).
    """
    light = np.stack([np.ones(3), np.zeros(3)])
    if len(plate) < _MIN_RING_PIXELS:
        return light
    step = max(1, len(plate) // _LIGHT_PIXELS)
    x, y = plate[::step].astype(np.float64), source[::step].astype(np.float64)
    # Clipped pixels say nothing of the light.
    usable = ((x > 4) & (x < 251) & (y > 4) & (y < 251)).all(axis=1)
    if usable.sum() < _MIN_RING_PIXELS:
        return light
    x, y = x[usable], y[usable]
    for channel in range(3):
        a, b = x[:, channel], y[:, channel]
        weights = np.ones(len(a))
        gain, offset = 1.0, 0.0
        for _ in range(8):
            mean_a, mean_b = np.average(a, weights=weights), np.average(b, weights=weights)
            spread = weights @ (a - mean_a) ** 2
            # Worth a hundred pixels that lie 10 grey levels off the mean.
            prior = 1e4
            slope = (weights @ ((a - mean_a) * (b - mean_b)) + prior) / (spread + prior)
            gain = float(np.clip(slope, 0.5, 2.0))
            offset = float(mean_b - gain * mean_a)
            error = b - gain * a - offset
            scale = max(1.4826 * float(np.median(np.abs(error))), 1.0)
            weights = 1 / (1 + (error / (2.385 * scale)) ** 2)
        light[:, channel] = gain, offset
    return light


def apply_light(picture: Picture, light: NDArray[np.float64]) -> Picture:
    """Apply the gain and offset of ``fit_light``."""
    if np.array_equal(light, np.stack([np.ones(3), np.zeros(3)])):
        return picture
    levels = np.arange(256, dtype=np.float64)[:, None] * light[0] + light[1]
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(picture, table[None]), np.uint8)


def match_light(plate_patch: Picture, source_patch: Picture, ring: Mask) -> Picture:
    """Return the plate with the gain and offset per channel that make it meet the source inside ``ring`` (h, w)."""
    places = np.flatnonzero(ring)
    # Taking all of a ring's pixels to use a few of them would cost more than the fit.
    places = places[:: max(1, len(places) // _LIGHT_PIXELS)]
    return apply_light(plate_patch, fit_light(plate_patch.reshape(-1, 3)[places], source_patch.reshape(-1, 3)[places]))


@dataclass(frozen=True, slots=True)
class Grain:
    """What noise the source has over the plate."""

    sigma: tuple[float, float, float]
    """Standard deviation per channel, grey levels of 8 bit."""
    common: float = 0.0
    """Share (0..1) of the noise that the channels have in common."""
    radius_px: float = 0.0
    """Gaussian blur that gives the noise its correlation; 0 is white."""


def estimate_grain(plate_patches: list[Picture], source_patches: list[Picture], statics: list[Mask]) -> Grain:
    """Measure the noise of the source over the plate, on ``statics`` (h, w) where both show the same place.

    Uses what is left of ``source - plate`` after its own 5 px blur (misregistration and light are smoother than
    noise), by the median absolute deviation, where the plate is flat: at print and edges the residual is
    misregistration. The plate's own noise is already in it, so this is what is missing up to the source's.
    """
    residuals, flat_source, flat_plate = [], [], []
    for plate, source, static in zip(plate_patches, source_patches, statics, strict=True):
        gray = cv2.cvtColor(plate, cv2.COLOR_RGB2GRAY).astype(np.float32)
        slope = cv2.blur(np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1)), (5, 5))
        if static.sum() < 200:
            continue
        flat = static & (slope <= np.quantile(slope[static], 0.3))

        def high(picture: Picture) -> NDArray[np.float32]:
            whole = picture.astype(np.float32)
            return np.asarray(whole - cv2.GaussianBlur(whole, (0, 0), 2.0), np.float32)

        flat_source.append(high(source)[flat])
        flat_plate.append(high(plate)[flat])
        residuals.append(high(source)[flat] - high(plate)[flat])
    if not residuals or sum(map(len, residuals)) < 500:
        return Grain((0.0, 0.0, 0.0))

    def deviation(parts: list[NDArray[np.float32]]) -> NDArray[np.float64]:
        values = np.concatenate(parts)
        return np.asarray(1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0), np.float64)

    # What the patch lacks is the difference of variances; bounded by what was seen between the two.
    lacking = np.sqrt(np.maximum(deviation(flat_source) ** 2 - deviation(flat_plate) ** 2, 0))
    sigma = np.minimum(np.minimum(lacking, deviation(residuals)), 12.0)
    together = np.concatenate(residuals)
    limit = 4 * np.maximum(sigma, 0.5)
    calm = together[(np.abs(together) < limit).all(axis=1)]
    common = (
        float(np.clip(np.corrcoef(calm.T)[0, 1], 0, 1)) if len(calm) > 100 and (calm.std(axis=0) > 0).all() else 0.0
    )
    return Grain((float(sigma[0]), float(sigma[1]), float(sigma[2])), common, 0.5)


def add_grain(picture: Picture, grain: Grain, seed: int, frame: int) -> Picture:
    """Return the picture with noise; the same for the same seed and frame, whatever was drawn before.

    Each sample's noise is a hash of seed, frame and place, so that frames may be made in any order and in threads.
    """
    if max(grain.sigma) < 0.25:
        return picture
    shares = np.sqrt(np.array([1 - grain.common, grain.common])).astype(np.float32)
    key = np.random.SeedSequence((seed & 0xFFFFFFFF, frame)).generate_state(1, np.uint64)[0]
    noise = np.empty((*picture.shape[:2], 3), np.float32)
    _fill_noise(noise, key, shares[0], shares[1])
    gain = 1.0
    if grain.radius_px > 0:
        side = 2 * max(1, round(3 * grain.radius_px)) + 1
        kernel = cv2.getGaussianKernel(side, grain.radius_px, cv2.CV_64F)
        noise = cv2.sepFilter2D(noise, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
        # The root of the sum of squares is what a blur leaves of white noise, once for each axis.
        gain = 1.0 / float(np.sum(kernel**2))
    result = np.empty(picture.shape, np.uint8)
    _add_noise(np.ascontiguousarray(picture), noise, np.array(grain.sigma, np.float32) * np.float32(gain), result)
    return result


@njit(inline="always")  # type: ignore[untyped-decorator]
def _near_normal(counter: np.uint64) -> np.float32:
    """Hash a counter (splitmix64, Steele et al. 2014) and add its four 16-bit parts: mean 0, deviation 1, bounded."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    low = np.uint64(0xFFFF)
    total = (z & low) + ((z >> np.uint64(16)) & low) + ((z >> np.uint64(32)) & low) + (z >> np.uint64(48))
    # Four uniform numbers have a deviation of 65536 * sqrt(4 / 12).
    return np.float32((np.float32(np.int64(total)) - np.float32(131070.0)) * np.float32(1.0 / 37837.227))


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_noise(noise: NDArray[np.float32], key: np.uint64, own: np.float32, shared: np.float32) -> None:
    """Fill (h, w, 3) with noise of deviation 1, of which ``shared`` ** 2 is common to the channels."""
    height, width, _ = noise.shape
    step = np.uint64(0x9E3779B97F4A7C15)
    counter = np.uint64(key)
    for r in range(height):
        for c in range(width):
            counter += step
            together = shared * _near_normal(counter)
            for channel in range(3):
                counter += step
                noise[r, c, channel] = own * _near_normal(counter) + together


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _add_noise(picture: Picture, noise: NDArray[np.float32], sigma: NDArray[np.float32], result: Picture) -> None:
    height, width, _ = picture.shape
    for r in range(height):
        for c in range(width):
            for channel in range(3):
                value = np.float32(picture[r, c, channel]) + noise[r, c, channel] * sigma[channel] + np.float32(0.5)
                result[r, c, channel] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))


def fill_hole(picture: Picture, hole: Mask, method: Literal["telea", "ns"] = "telea") -> Picture:
    """Return the picture with the pixels of ``hole`` (h, w) inpainted from around it, all others as they are.

    Inpainting runs at a quarter of the size, where it costs a sixteenth and looks the same: it invents no detail. A
    hole that covers all is filled with mid grey.
    """
    if not hole.any():
        return picture
    if hole.all():
        return np.full_like(picture, 128)
    h, w = hole.shape
    small_wh = (max(2, (w + 3) // 4), max(2, (h + 3) // 4))
    known = (~hole).astype(np.float32)
    share = cv2.resize(known, small_wh, interpolation=cv2.INTER_AREA)
    # Averages of known pixels only, so that the hole's own content does not bleed into its surroundings.
    sums = cv2.resize(picture.astype(np.float32) * known[..., None], small_wh, interpolation=cv2.INTER_AREA)
    small = np.clip(np.rint(sums / np.maximum(share, 1e-6)[..., None]), 0, 255).astype(np.uint8)
    small_hole = (share < 0.25).astype(np.uint8)
    flag = cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS
    filled = cv2.inpaint(small, small_hole, 3, flag) if small_hole.any() else small
    large = cv2.resize(filled, (w, h), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.where(hole[..., None], large, picture), np.uint8)
