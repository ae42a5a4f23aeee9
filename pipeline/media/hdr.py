"""PQ and HLG to 8-bit SDR and back: transfer functions (ITU-R BT.2100) and their tables."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Picture

PQ = 16
HLG = 18


_WHITE_NITS = 203.0
"""HDR reference white of ITU-R BT.2408: it becomes SDR 255."""


_HLG_PEAK_NITS = 1000.0
_HLG_GAMMA = 1.2


_SDR_GAMMA = 2.4


_RGB2020_FROM_RGB709 = np.array(
    [[0.627404, 0.329283, 0.043313], [0.069097, 0.919540, 0.011362], [0.016391, 0.088013, 0.895595]], np.float64
)
"""ITU-R BT.2087, linear light."""


_WEIGHTS_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)


def _pq_from_nits(nits: NDArray[np.floating]) -> NDArray[np.floating]:
    """SMPTE ST 2084, inverse EOTF: 0..10,000 nits to 0..1."""
    power = np.power(np.clip(nits, 0, None) / 10_000, 2610 / 16384)
    return np.power((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power), 2523 / 32)


def _nits_from_pq(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    power = np.power(signal, 32 / 2523)
    ratio = np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)
    return 10_000 * np.power(ratio, 16384 / 2610)


_HLG_A = 0.17883277
_HLG_B = 0.28466892
_HLG_C = 0.55991073


def _scene_from_hlg(signal: NDArray[np.floating]) -> NDArray[np.floating]:
    """ITU-R BT.2100, inverse OETF: 0..1 to scene light 0..1."""
    bright = (np.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12
    return np.where(signal <= 0.5, signal**2 / 3, bright)


def _hlg_from_scene(scene: NDArray[np.floating]) -> NDArray[np.floating]:
    scene = np.clip(scene, 0, None)
    bright = _HLG_A * np.log(np.maximum(12 * scene - _HLG_B, 1e-6)) + _HLG_C
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


@lru_cache(maxsize=2)
def _linear_table(transfer: int) -> Float32Array:
    """Return (65536,) light of a 16-bit signal: nits for PQ, scene light 0..1 for HLG."""
    signal = np.linspace(0, 1, 65536)
    return np.asarray(_nits_from_pq(signal) if transfer == PQ else _scene_from_hlg(signal), np.float32)


def sdr_from_hdr(rgb: NDArray[np.uint16], transfer: int) -> Picture:
    """Turn HDR BT.2020 code values (H, W, 3) uint16 into SDR BT.709 uint8."""
    light = _linear_table(transfer)[rgb]
    if transfer == HLG:
        luminance = np.maximum(light @ _WEIGHTS_2020, 1e-9)
        light = light * (np.float32(_HLG_PEAK_NITS) * luminance ** np.float32(_HLG_GAMMA - 1))[..., None]
    linear = cv2.transform(light, np.linalg.inv(_RGB2020_FROM_RGB709) / _WHITE_NITS)
    return np.asarray(np.round(255 * np.power(np.clip(linear, 0, 1), np.float32(1 / _SDR_GAMMA))), np.uint8)


def hdr_from_sdr(rgb: Float32Array, transfer: int) -> Float32Array:
    """Turn SDR BT.709 (H, W, 3) in 0..1 into HDR BT.2020 code values in 0..1: the inverse of the view."""
    linear = np.power(np.clip(rgb, 0, 1), np.float32(_SDR_GAMMA))
    nits = np.maximum(cv2.transform(linear, _RGB2020_FROM_RGB709 * _WHITE_NITS), 0)
    if transfer == PQ:
        return _pq_from_nits(nits).astype(np.float32)
    display = nits / np.float32(_HLG_PEAK_NITS)
    luminance = np.maximum(display @ _WEIGHTS_2020, 1e-9)
    return _hlg_from_scene(display * (luminance ** np.float32(1 / _HLG_GAMMA - 1))[..., None]).astype(np.float32)
