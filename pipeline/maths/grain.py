"""Grain: measure a source's noise, and add it to the plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.masks import grow
from pipeline.runtime.compiled import njit

_DETAIL_PX = 2.0
"""Gaussian beyond which detail is not noise."""
_WINDOW_PX = 6
_UNIFORM = (0.05, 0.77)
"""Quantile of the people's places, by their detail, that counts as uniform; and what is left there of the deviation of
pure noise after the low-pass is subtracted: measured."""
_REGISTERED = (0.02, 0.73)
"""The same of the background's places, by their residual, at which the plate has all detail but noise: 5 levels of
noise added to three real clips are found as 5.0 to 5.2 there, and as 5.8 and 6.1 on two rendered ones."""
_LEAST_RMS = 0.1
"""Less is no noise at all, but a block that the encoder repeats, or clipped light."""
_LEAST_ON_PEOPLE = 500
_GRAY_OF_OWN = 0.45
"""Variance that independent noise of equal strength in three channels leaves in their luma (0.299, 0.587, 0.114)."""


@dataclass(frozen=True, slots=True)
class Grain:
    """The noise of the source that the plate lacks."""

    sigma: tuple[float, float, float]
    """Standard deviation per channel, gray levels of 8 bit."""
    common: float = 0.0
    """Fraction (0..1) of the noise that is common to the channels."""
    radius_px: float = 0.0
    """Gaussian blur that gives the noise its correlation; 0 is white."""
    on_people: float = 1.0
    """Fraction (0..1) of the noise that people show in their uniform parts, and the background where the plate has all
    its detail. The rest is detail that the plate lacks, such as gravel too fine to be registered, and would make an
    inserted person look dusty."""

    def of_people(self) -> Grain:
        """Return the noise of an inserted person."""
        red, green, blue = (sigma * self.on_people for sigma in self.sigma)
        return replace(self, sigma=(red, green, blue))


def noise_inside(picture: Picture, where: Mask) -> NDArray[np.float32]:
    """Return the root mean square (N,) of the finest detail around the pixels of a mask (h, w), gray levels.

    The least of them are the most uniform places, where there is hardly anything but noise.
    """
    return _fine_rms(_gray(picture))[where]


def _gray(picture: Picture) -> NDArray[np.float32]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _fine_rms(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square (h, w) of the finest detail around each pixel."""
    square = np.square(gray - cv2.GaussianBlur(gray, (0, 0), _DETAIL_PX))
    # A running sum may end a little below zero.
    return np.sqrt(np.maximum(cv2.blur(square, (_WINDOW_PX, _WINDOW_PX)), 0))


def _noise_beside(plate: Picture, source: Picture, static: Mask) -> NDArray[np.float32]:
    """Return the root mean square (N,) of what the source has on top of its plate, around the pixels of a mask (h, w)
    that have only such pixels around them."""
    around = np.ones((_WINDOW_PX + 1, _WINDOW_PX + 1), np.uint8)
    inside = cv2.erode(np.ascontiguousarray(static).view(np.uint8), around, borderValue=0) > 0
    values = _fine_rms(_gray(source) - _gray(plate))[inside]
    return np.asarray(values[values >= _LEAST_RMS], np.float32)


def _share_on_people(
    inside: list[NDArray[np.float32]],
    beside: list[NDArray[np.float32]],
    sigma: tuple[float, float, float],
    common: float,
) -> float:
    """Return ``on_people`` from what ``noise_inside`` gives for people, and ``_noise_beside`` for the background.

    Patterned clothes have no uniform part, and a pattern is not told from noise within one frame; of the background the
    plate knows the pattern.
    """
    # Noise that the channels do not share partly cancels in gray.
    gray = float(np.mean(sigma)) * float(np.sqrt(common + (1 - common) * _GRAY_OF_OWN))
    share = 1.0
    for parts, (quantile, left) in ((inside, _UNIFORM), (beside, _REGISTERED)):
        values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
        if len(values) >= _LEAST_ON_PEOPLE and gray > 0:
            share = min(share, float(np.quantile(values, quantile)) / (left * gray))
    return share


def estimate_grain(
    plate_patches: list[Picture],
    source_patches: list[Picture],
    statics: list[Mask],
    on_people: list[NDArray[np.float32]] | None = None,
) -> Grain:
    """Measure the noise of the source relative to the plate, on the static background ``statics`` (h, w).

    ``on_people`` is what ``noise_inside`` gives for people in the source.
    Uses the residual ``source - plate`` without its 5 px low-pass (misregistration and light are smoother than
    noise), by the median absolute deviation, where the plate is flat: at print and edges the residual is
    misregistration. The plate's own noise is already included, so this is what is missing to reach the source's.
    """
    residuals = []
    flat_source = []
    flat_plate = []
    beside = []
    for plate, source, static in zip(plate_patches, source_patches, statics, strict=True):
        gray = _gray(plate)
        slope = cv2.blur(np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1)), (5, 5))
        if static.sum() < 200:
            continue
        flat = static & (slope <= np.quantile(slope[static], 0.3))

        def high(picture: Picture) -> NDArray[np.float32]:
            whole = picture.astype(np.float32)
            return whole - cv2.GaussianBlur(whole, (0, 0), _DETAIL_PX)

        beside.append(_noise_beside(plate, source, static))
        flat_source.append(high(source)[flat])
        flat_plate.append(high(plate)[flat])
        residuals.append(high(source)[flat] - high(plate)[flat])
    if not residuals or sum(map(len, residuals)) < 500:
        return Grain((0.0, 0.0, 0.0))

    def deviation(parts: list[NDArray[np.float32]]) -> NDArray[np.float64]:
        values = np.concatenate(parts)
        return np.asarray(1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0), np.float64)

    # The missing noise is the difference of variances, bounded by the residual between the two.
    lacking = np.sqrt(np.maximum(deviation(flat_source) ** 2 - deviation(flat_plate) ** 2, 0))
    sigma = np.minimum(np.minimum(lacking, deviation(residuals)), 12.0)
    together = np.concatenate(residuals)
    limit = 4 * np.maximum(sigma, 0.5)
    calm = together[(np.abs(together) < limit).all(axis=1)]
    common = (
        float(np.clip(np.corrcoef(calm.T)[0, 1], 0, 1)) if len(calm) > 100 and (calm.std(axis=0) > 0).all() else 0.0
    )
    levels = float(sigma[0]), float(sigma[1]), float(sigma[2])
    return Grain(levels, common, 0.5, _share_on_people(on_people or [], beside, levels, common))


def add_grain(picture: Picture, grain: Grain, seed: int, frame: int, where: Mask | None = None) -> Picture:
    """Return the picture (h, w, 3) with noise; a function of seed and frame alone.

    Each sample's noise is a hash of seed, frame and position, so that frames may be processed in any order and in
    threads. Only the pixels of ``where`` (h, w), if given, are of interest: others may get none.
    """
    if max(grain.sigma) < 0.25:
        return picture
    shares = np.sqrt(np.array([1 - grain.common, grain.common])).astype(np.float32)
    key = np.random.SeedSequence((seed & 0xFFFFFFFF, frame)).generate_state(1, np.uint64)[0]
    noise = np.empty((*picture.shape[:2], 3), np.float32)
    reach = max(1, round(3 * grain.radius_px)) if grain.radius_px > 0 else 0
    wanted = np.ones(noise.shape[:2], np.bool_) if where is None else grow(where, reach)
    _fill_noise(noise, key, shares[0], shares[1], wanted)
    gain = 1.0
    if grain.radius_px > 0:
        side = 2 * reach + 1
        kernel = cv2.getGaussianKernel(side, grain.radius_px, cv2.CV_64F)
        noise = cv2.sepFilter2D(noise, cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REFLECT)
        # The root of the sum of squares is the remaining fraction of white noise after a blur, once for each axis.
        gain = 1.0 / float(np.sum(kernel**2))
    result = np.empty(picture.shape, np.uint8)
    _add_noise(np.ascontiguousarray(picture), noise, np.array(grain.sigma, np.float32) * np.float32(gain), result)
    return result


@njit(inline="always")
def _near_normal(counter: np.uint64) -> np.float32:
    """Hash a counter (splitmix64, Steele et al. 2014) and add its four 16-bit parts: mean 0, deviation 1, bounded."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    low = np.uint64(0xFFFF)
    total = (z & low) + ((z >> np.uint64(16)) & low) + ((z >> np.uint64(32)) & low) + (z >> np.uint64(48))
    # Four uniform numbers have a deviation of 65536 * sqrt(4 / 12).
    return np.float32((np.float32(np.int64(total)) - np.float32(131070.0)) * np.float32(1.0 / 37837.227))


@njit(cache=True, nogil=True)
def _fill_noise(noise: NDArray[np.float32], key: np.uint64, own: np.float32, shared: np.float32, wanted: Mask) -> None:
    """Fill (h, w, 3) with noise of deviation 1, of which ``shared`` ** 2 is common to the channels; 0 where it is not
    ``wanted`` (h, w)."""
    height, width, _ = noise.shape
    step = np.uint64(0x9E3779B97F4A7C15)
    counter = np.uint64(key)
    for r in range(height):
        for c in range(width):
            if not wanted[r, c]:
                counter += np.uint64(4) * step
                for channel in range(3):
                    noise[r, c, channel] = np.float32(0)
                continue
            counter += step
            together = shared * _near_normal(counter)
            for channel in range(3):
                counter += step
                noise[r, c, channel] = own * _near_normal(counter) + together


@njit(cache=True, nogil=True)
def _add_noise(picture: Picture, noise: NDArray[np.float32], sigma: NDArray[np.float32], result: Picture) -> None:
    height, width, _ = picture.shape
    for r in range(height):
        for c in range(width):
            for channel in range(3):
                value = np.float32(picture[r, c, channel]) + noise[r, c, channel] * sigma[channel] + np.float32(0.5)
                result[r, c, channel] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
