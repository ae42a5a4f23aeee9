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
"""Sigma that parts coarse from detail, of the picture's height."""
_DETAIL = 0.2
"""Share of the strength with which detail is blended: sharpness lost against flicker left (benchmarks.flicker)."""


def reduce_flicker(
    frames: Iterable[tuple[int, Layer, NDArray[np.float32]]], restarts: frozenset[int], strength: float
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their flicker lowered: (frame, layer, motion) in order.

    ``motion`` (h, w, 2) px leads from a pixel to where the new person's surface point was in the frame before, NaN
    where that is not known: the posed figure's, which is exact where the subject's own optical flow tells of other
    clothes and of another outline. Along it the previous output is brought to this frame and blended in with
    ``strength`` where both layers are solid. Flicker is mostly coarse (brightness, color, shading), and detail
    that is warped from frame to frame blurs and leaves ghosts: so detail, what a Gaussian of a 45th of the picture's
    height takes away, is blended with a fifth of the strength. Frames in ``restarts`` (shot starts) begin anew.
    Method: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, without the network.
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
    """Blur (h, w, c) by the coarse scale, at a quarter of the size: nothing finer is left anyway."""
    height, width = values.shape[:2]
    small = cv2.resize(values, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(height * _COARSE / 4, 0.3))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
