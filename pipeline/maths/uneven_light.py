"""Light that is not the same everywhere in a picture: a light leak laid over the clip, bands of flickering lamps, a
spotlight or headlights that pass, the tone mapping of a phone.

A gain and an offset for the whole picture do not match it. Here both vary smoothly with the place: a linear regression
in a Gaussian window around every pixel, as in the guided filter (He et al. 2010), over the background that both
pictures show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import Box
from pipeline.maths.light import apply_light, light_of_ring
from pipeline.maths.masks import covers_most
from pipeline.maths.robust import CAUCHY, SIGMA_OF_MEDIAN
from pipeline.shaped import Shaped, Shapes

_SIZE_PX = 64
"""Longer side of the pictures that are compared: what varies smoothly needs no more, and noise and small errors of
registration average out."""
_SAMPLED_PX = 192
"""Longer side of what is averaged to that: every few pixels are enough of it."""
_SIGMA = 0.07
"""Of the longer side: wider than an arm or a leg, so that what is hidden by one is between what is known."""
_LEAST_WEIGHT = 1e-3
_FLAT_LEVELS = 10.0
"""Standard deviation of gray levels in a window from which a gain is believed; a flat one has an offset only."""
_ROUNDS = 3
_LEAST_SIGMA = 2.0
_LEAST_PX = 60
_VEIL_TAKES = (0.1, 0.25)
_VEIL_ADDS = (30.0, 60.0)
"""Contrast that a veil takes away, and gray levels that it adds to black: from none to all of it."""
_ROUNDING = 1e-3
_GAINED = (2.5, 4.5)
"""Gray levels by which the mean difference falls: from none to all of the field is used."""
_SHARE = (0.35, 0.55)
"""The same, relative to the difference before."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LightField(Shaped):
    """How one picture's light becomes another's, from place to place, at a small size."""

    SHAPES: ClassVar[Shapes] = {"gain": ("h", "w", 3), "offset": ("h", "w", 3)}

    gain: Float32Array
    """(h, w, 3) of sRGB levels."""
    offset: Float32Array
    """(h, w, 3) gray levels."""

    def applied(self, picture: Picture, box_xyxy: Box, size_wh: tuple[int, int]) -> Picture:
        """Return the part ``box_xyxy`` (h, w, 3) of a picture of some size in this light."""
        gain, offset = self.over(box_xyxy, size_wh)
        return np.asarray(np.clip(np.rint(picture * gain + offset), 0, 255), np.uint8)

    def over(self, box_xyxy: Box, size_wh: tuple[int, int]) -> tuple[Float32Array, Float32Array]:
        """Return gain and offset (h, w, 3) in a box of a picture of some size; the box may reach beyond it."""
        return _part(self.gain, box_xyxy, size_wh), _part(self.offset, box_xyxy, size_wh)

    def then(self, other: LightField | None) -> LightField:
        """Return what this light and another one after it do together; fields of one size, or one of a single place."""
        if other is None:
            return self
        return LightField(other.gain * self.gain, other.gain * self.offset + other.offset)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Veil(Shaped):
    """Light between the camera and everything else, for a while: a light leak, a flare."""

    SHAPES: ClassVar[Shapes] = {"strength": ("h", "w")}

    light: LightField
    """What it does to a picture."""
    strength: Float32Array
    """(h, w) 0..1 at a small size; at 1, somebody looks like what is behind them."""

    def hides(self, mask: Mask) -> bool:
        """Return whether most of a mask (h, w) cannot be told by its colors."""
        strength = cv2.resize(self.strength, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return covers_most(strength > 1 - _ROUNDING, mask)


def match_uneven_light(plate: Picture, source: Picture, ring: Mask) -> tuple[Picture, Veil | None]:
    """Return the plate (h, w, 3) in the light of the source, which is fitted inside ``ring`` (h, w), background that
    both show; and the veil that lies over the source and not over the plate, None where there is none.

    Where the light is the same everywhere, that is ``match_light``.
    """
    lit, whole = _evenly_lit(plate, source, ring)
    field = light_field(lit, source, ring)
    size_wh = lit.shape[1], lit.shape[0]
    shown = lit if field is None else field.applied(lit, (0, 0, *size_wh), size_wh)
    return shown, _veil(whole.then(field))


def light_between(picture: Picture, source: Picture, ring: Mask) -> LightField:
    """Return how the light of ``source`` (h, w, 3) differs from that of ``picture``, by what is in ``ring`` (h, w)."""
    lit, whole = _evenly_lit(picture, source, ring)
    return whole.then(light_field(lit, source, ring, is_local=True))


def _evenly_lit(plate: Picture, source: Picture, ring: Mask) -> tuple[Picture, LightField]:
    """Return the plate in the light of the source as far as that is the same everywhere, and that light."""
    light = light_of_ring(plate, source, ring)
    return apply_light(plate, light), LightField(*(np.asarray(part, np.float32)[None, None] for part in light))


def veil_strength(gain: Float32Array, offset: Float32Array) -> Float32Array:
    """Return 0..1 (h, w): how much a light of some gain and offset (h, w, 3) takes away contrast and adds light, in one
    of the channels."""
    return _ramp(1 - gain.min(axis=2), _VEIL_TAKES) * _ramp(offset.max(axis=2), _VEIL_ADDS)


def _veil(light: LightField) -> Veil | None:
    """Return the part of a light that is a veil; None where none is."""
    strength = veil_strength(light.gain, light.offset)
    if not strength.any():
        return None
    share = strength[..., None]
    return Veil(LightField(1 + share * (light.gain - 1), share * light.offset), strength)


def _part(field: Float32Array, box_xyxy: Box, size_wh: tuple[int, int]) -> Float32Array:
    x0, y0, x1, y1 = box_xyxy
    ratio = field.shape[1] / size_wh[0], field.shape[0] / size_wh[1]
    to_field = np.array([[ratio[0], 0, (x0 + 0.5) * ratio[0] - 0.5], [0, ratio[1], (y0 + 0.5) * ratio[1] - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(field, to_field, (x1 - x0, y1 - y0), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(part, np.float32)


def light_field(picture: Picture, source: Picture, ring: Mask, *, is_local: bool = False) -> LightField | None:
    """Return how the light of ``source`` (h, w, 3) differs from that of ``picture`` from place to place, by what is in
    ``ring`` (h, w); None where it hardly does. With ``is_local`` that is decided for each place by itself."""
    step = max(1, max(ring.shape) // _SAMPLED_PX)
    picture, source, ring = picture[::step, ::step], source[::step, ::step], ring[::step, ::step]
    height, width = ring.shape
    ratio = min(1.0, _SIZE_PX / max(height, width))
    small_wh = max(1, round(width * ratio)), max(1, round(height * ratio))
    share = np.asarray(cv2.resize(ring.astype(np.float32), small_wh, interpolation=cv2.INTER_AREA), np.float32)
    used = share > 0
    if np.count_nonzero(used) < _LEAST_PX:
        return None
    before, now = (_small_mean(each, ring, share) for each in (picture, source))
    mean = partial(_local_mean if is_local else _whole_mean, share)
    first = mean(_apart(now, before))
    if (first <= _GAINED[0]).all():
        return None
    weights = np.asarray(share, np.float32)
    for _ in range(_ROUNDS):
        gain, offset = _regression(before, now, weights)
        left = _apart(now, gain * before + offset)
        sigma = max(SIGMA_OF_MEDIAN * float(np.median(left[used])), _LEAST_SIGMA)
        weights = np.asarray(share / (1 + (left / (CAUCHY * sigma)) ** 2), np.float32)
    last = mean(left)
    strength = _ramp(first - last, _GAINED) * _ramp(1 - last / np.maximum(first, _GAINED[0]), _SHARE)
    if not strength.any():
        return None
    return LightField(1 + strength * (gain - 1), strength * offset)


def _whole_mean(share: Float32Array, values: Float32Array) -> NDArray[np.floating]:
    """Return the mean (1, 1, 1) of values (h, w), weighted."""
    return np.full((1, 1, 1), np.average(values, weights=share))


def _local_mean(share: Float32Array, values: Float32Array) -> NDArray[np.floating]:
    """Return the means (h, w, 1) of values (h, w) around each place, weighted."""
    sigma = _SIGMA * max(share.shape)
    total = _blurred(share, sigma) + np.float32(_LEAST_WEIGHT)
    return (_blurred(values * share, sigma) / total)[..., None]


def _small_mean(picture: Picture, ring: Mask, share: NDArray[np.floating]) -> Float32Array:
    """Return the picture at the size of ``share`` (h, w), as the mean of what is in ``ring``."""
    masked = cv2.resize(
        np.where(ring[..., None], picture, 0).astype(np.float32), share.shape[::-1], interpolation=cv2.INTER_AREA
    )
    return np.asarray(masked / np.maximum(share, 1e-6)[..., None], np.float32)


def _apart(one: Float32Array, other: Float32Array) -> Float32Array:
    return np.asarray(np.abs(one - other).mean(axis=2), np.float32)


def _regression(before: Float32Array, now: Float32Array, weights: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return gain, the same in all channels, and offset (h, w, 3) of ``now = gain · before + offset`` in a window
    around each pixel."""

    def mean(values: Float32Array) -> Float32Array:
        return _blurred(values * (weights if values.ndim == 2 else weights[..., None]), sigma) / (
            total if values.ndim == 2 else total[..., None]
        )

    sigma = _SIGMA * max(weights.shape)
    total = _blurred(weights, sigma) + np.float32(_LEAST_WEIGHT)
    means = mean(before), mean(now)
    prior = np.float32(_FLAT_LEVELS**2)
    both = mean(before * now) - means[0] * means[1]
    own = mean(before * before) - means[0] * means[0]
    gain = (both.mean(axis=2) + prior) / (own.mean(axis=2) + prior)
    gain = np.repeat(np.clip(gain, 0.3, 3.0).astype(np.float32)[..., None], 3, axis=2)
    return gain, np.asarray(means[1] - gain * means[0], np.float32)


def _blurred(values: Float32Array, sigma: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float32)


def _ramp(values: NDArray[np.floating], ends: tuple[float, float]) -> Float32Array:
    return np.asarray(np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1), np.float32)
