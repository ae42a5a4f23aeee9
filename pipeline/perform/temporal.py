"""Flow-guided flicker removal: what was drawn a frame ago, carried along the source's own motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Mask, Matte, Picture
from pipeline.maths.optical_flow import Flow, flow_between, flow_confidence, gray_of, warp_alpha_by_flow, warp_by_flow
from pipeline.settings import TemporalSettings

_COARSE = 1 / 45
"""Sigma that parts coarse from detail, of the picture's height."""
_DETAIL = 0.2
"""Share of the strength with which detail is blended: sharpness lost against flicker left (benchmarks.flicker)."""


def reduce_flicker(
    frames: Iterable[tuple[int, Layer, Picture, Mask]], restarts: frozenset[int], settings: TemporalSettings
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their flicker lowered: (frame, layer, stabilized source crop, old person's mask) in order.

    DIS flow between consecutive *source* crops carries the previous output to this frame. It is blended in with
    ``settings.strength`` where forward and backward flow agree and where the old person and both layers are: only
    there does the source's motion say how the new person moves. Flicker is mostly coarse (brightness, colour,
    shading), and detail that is carried from frame to frame blurs and leaves ghosts: so detail, what a Gaussian of a
    45th of the picture's height takes away, is blended with a fifth of the strength. Frames in ``restarts`` (segment
    starts) begin anew. Method: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, without the
    network.
    """
    before: tuple[Layer, NDArray[np.uint8]] | None = None
    for frame, layer, picture, subject_mask in frames:
        gray = gray_of(picture)
        if before is not None and frame not in restarts and layer.alpha is not None:
            earlier, earlier_gray = before
            back, forth = flow_between(gray, earlier_gray), flow_between(earlier_gray, gray)
            layer = _blended(layer, earlier, back, flow_confidence(back, forth), subject_mask, settings.strength)
        yield frame, layer
        before = (layer, gray)


def _blended(layer: Layer, earlier: Layer, back: Flow, sure: Matte, subject_mask: Mask, strength: float) -> Layer:
    assert layer.alpha is not None and earlier.alpha is not None
    alpha = warp_alpha_by_flow(earlier.alpha, back)
    both = (np.minimum(layer.alpha, alpha) > 250) & subject_mask
    weight = np.asarray(sure * both, np.float32)[..., None]
    change = (warp_by_flow(earlier.picture, back).astype(np.float32) - layer.picture) * weight
    coarse = _blurred(change) / np.maximum(_blurred(weight)[..., None], 1e-3) * weight
    picture = layer.picture + strength * (coarse + _DETAIL * (change - coarse))
    return replace(layer, picture=np.rint(picture).clip(0, 255).astype(np.uint8))


def _blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blur (h, w, c) by the coarse scale, at a quarter of the size: nothing finer is left anyway."""
    height, width = values.shape[:2]
    small = cv2.resize(values, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(height * _COARSE / 4, 0.3))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
