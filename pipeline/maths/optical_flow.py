"""Dense optical flow between two pictures, and warping by it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Matte, Picture
from pipeline.datatypes.window import Layer
from pipeline.maths.channels import lengths

Flow = NDArray[np.float32]
"""(h, w, 2) px: displacement of each pixel to its position in the other picture."""
LEAST_SIDE_PX = 32
"""Of pictures between which flow is looked for: for smaller ones OpenCV's DIS raises an error, or ends the process."""
_AGREE_PX = 1.0
"""Largest forward-backward error at which a flow vector is trusted."""


def gray_of(picture: Picture) -> NDArray[np.uint8]:
    """Return (h, w) luma of RGB."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def flow_between(gray: NDArray[np.uint8], other: NDArray[np.uint8]) -> Flow:
    """Return DIS flow (Kroeger et al., ECCV 2016) from ``gray`` to ``other``."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return flow.calc(gray, other, None)


def flow_confidence(back: Flow, forth: Flow) -> Matte:
    """Return the confidence (h, w) 0..1 of a flow: 1 where the forward-backward error is small."""
    returned = cv2.remap(forth, *_sources(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = lengths(back + returned)
    return np.clip(2.0 - error / _AGREE_PX, 0.0, 1.0)


def warp_by_flow(picture: NDArray[np.uint8], back: Flow) -> NDArray[np.uint8]:
    """Warp ``picture`` (h, w, ...) by the flow ``back`` to it; its border is replicated outside. Cubic: repeated
    bilinear warping from frame to frame would blur."""
    moved = cv2.remap(picture, *_sources(back), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved


def warp_alpha_by_flow(alpha: NDArray[np.uint8], back: Flow) -> NDArray[np.uint8]:
    """Like ``warp_by_flow``, with 0 outside the picture."""
    moved = cv2.remap(alpha, *_sources(back), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return moved


def warp_layer_by_flow(layer: Layer, gray: NDArray[np.uint8], other: NDArray[np.uint8]) -> Layer:
    """Warp a layer by the source's motion from ``gray`` (its own frame) to ``other``; its alpha is reduced where the
    flow is unreliable."""
    assert layer.alpha is not None
    if np.array_equal(gray, other):
        return layer
    back = flow_between(other, gray)
    forth = flow_between(gray, other)
    alpha = warp_alpha_by_flow(layer.alpha, back) * flow_confidence(back, forth)
    return Layer(warp_by_flow(layer.picture, back), np.rint(alpha).astype(np.uint8))


def _sources(flow: Flow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow.shape[:2]
    x, y = (np.arange(side, dtype=np.float32) for side in (width, height))
    return x + flow[..., 0], y[:, None] + flow[..., 1]
