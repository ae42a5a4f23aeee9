"""Flow-guided flicker removal: what was drawn a frame ago, carried along the source's own motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Mask, Matte, Picture
from pipeline.settings import TemporalSettings

_AGREE_PX = 1.0
"""Largest forward-backward error at which a flow vector is believed."""


def reduce_flicker(
    frames: Iterable[tuple[int, Layer, Picture, Mask]], restarts: frozenset[int], settings: TemporalSettings
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their flicker lowered: (frame, layer, stabilized source crop, old person's mask) in order.

    DIS flow between consecutive *source* crops carries the previous output to this frame. It is blended in with
    ``settings.strength`` where forward and backward flow agree and where the old person and both layers are: only
    there does the source's motion say how the new person moves. Frames in ``restarts`` (segment starts) begin anew.
    Method: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, without the network.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    before: tuple[Layer, NDArray[np.uint8]] | None = None
    for frame, layer, picture, old in frames:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        if before is not None and frame not in restarts and layer.alpha is not None:
            earlier, earlier_gray = before
            back = flow.calc(gray, earlier_gray, None)
            forth = flow.calc(earlier_gray, gray, None)
            layer = _blended(layer, earlier, back, _agreement(back, forth), old, settings.strength)
        yield frame, layer
        before = (layer, gray)


def _agreement(back: NDArray[np.float32], forth: NDArray[np.float32]) -> Matte:
    """Return (h, w) 0..1: 1 where going back and forth again ends where it began."""
    x, y = _sources(back)
    returned = cv2.remap(forth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = np.linalg.norm(back + returned, axis=2)
    return np.asarray(np.clip(2.0 - error / _AGREE_PX, 0.0, 1.0), np.float32)


def _blended(
    layer: Layer, earlier: Layer, back: NDArray[np.float32], agreement: Matte, old: Mask, strength: float
) -> Layer:
    assert layer.alpha is not None and earlier.alpha is not None
    x, y = _sources(back)
    carried = cv2.remap(earlier.picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    carried_alpha = cv2.remap(earlier.alpha, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    both = (np.minimum(layer.alpha, carried_alpha) > 250) & old
    weight = (strength * agreement * both)[..., None]
    picture = layer.picture * (1.0 - weight) + carried * weight
    return Layer(picture=np.rint(picture).astype(np.uint8), alpha=layer.alpha, joints=layer.joints)


def _sources(flow: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x + flow[..., 0], y + flow[..., 1]
