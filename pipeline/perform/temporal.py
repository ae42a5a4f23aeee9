"""Flicker reduction: the previous output, warped along the figure's own motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer
from pipeline.maths.optical_flow import warp_alpha_by_flow, warp_by_flow

_COARSE = 1 / 45
"""Sigma that separates coarse from detail, as a fraction of the picture's height."""
_DETAIL = 0.2
"""Fraction of the strength with which detail is blended: a trade-off of sharpness and flicker (benchmarks.flicker)."""


def reduce_flicker(
    frames: Iterable[tuple[int, Layer, NDArray[np.float32]]], restarts: frozenset[int], strength: float
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with reduced flicker: (frame, layer, motion) in order.

    ``motion`` (h, w, 2) px maps a pixel to where the new person's surface point was in the previous frame, NaN where
    unknown. It is the posed figure's, which is exact, while the subject's optical flow belongs to other clothes and
    another outline. The previous output is warped along it and blended in with ``strength`` where both layers are
    opaque. Flicker is mostly coarse (brightness, color, shading), and detail that is warped from frame to frame blurs
    and leaves ghosts: so detail, what a Gaussian of 1/45 of the picture's height removes, is blended with a fifth of
    the strength. Frames in ``restarts`` (shot starts) start anew. Method: Lai et al., "Learning Blind Video Temporal
    Consistency", ECCV 2018, without the network.
    """
    before: Layer | None = None
    for frame, made, motion in frames:
        layer = made
        if before is not None and frame not in restarts and layer.alpha is not None:
            layer = _blended(layer, before, motion, strength)
        yield frame, layer
        before = layer


def _blended(layer: Layer, earlier: Layer, motion: NDArray[np.float32], strength: float) -> Layer:
    assert layer.alpha is not None and earlier.alpha is not None
    is_known = np.isfinite(motion[..., 0])
    back = np.where(is_known[..., None], motion, np.float32(0))
    alpha = warp_alpha_by_flow(earlier.alpha, back)
    solid = (np.minimum(layer.alpha, alpha) > 250) & is_known
    weight = solid.astype(np.float32)[..., None]
    change = (warp_by_flow(earlier.picture, back).astype(np.float32) - layer.picture) * weight
    coarse = _blurred(change) / np.maximum(_blurred(weight)[..., None], 1e-3) * weight
    picture = layer.picture + strength * (coarse + _DETAIL * (change - coarse))
    return replace(layer, picture=np.rint(picture).clip(0, 255).astype(np.uint8))


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur (h, w, c) at the coarse scale, at a quarter of the size, since nothing finer remains."""
    height, width = values.shape[:2]
    small = cv2.resize(values, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(height * _COARSE / 4, 0.3))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
