"""Flow-guided flicker removal: what was drawn a frame ago, carried along the source's own motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Mask, Matte, Picture
from pipeline.flow import Flow, agreement, carried, carried_alpha, flow_between, gray_of
from pipeline.settings import TemporalSettings


def reduce_flicker(
    frames: Iterable[tuple[int, Layer, Picture, Mask]], restarts: frozenset[int], settings: TemporalSettings
) -> Iterator[tuple[int, Layer]]:
    """Yield the layers with their flicker lowered: (frame, layer, stabilized source crop, old person's mask) in order.

    DIS flow between consecutive *source* crops carries the previous output to this frame. It is blended in with
    ``settings.strength`` where forward and backward flow agree and where the old person and both layers are: only
    there does the source's motion say how the new person moves. Frames in ``restarts`` (segment starts) begin anew.
    Method: Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, without the network.
    """
    before: tuple[Layer, NDArray[np.uint8]] | None = None
    for frame, layer, picture, old in frames:
        gray = gray_of(picture)
        if before is not None and frame not in restarts and layer.alpha is not None:
            earlier, earlier_gray = before
            back, forth = flow_between(gray, earlier_gray), flow_between(earlier_gray, gray)
            layer = _blended(layer, earlier, back, agreement(back, forth), old, settings.strength)
        yield frame, layer
        before = (layer, gray)


def _blended(layer: Layer, earlier: Layer, back: Flow, sure: Matte, old: Mask, strength: float) -> Layer:
    assert layer.alpha is not None and earlier.alpha is not None
    alpha = carried_alpha(earlier.alpha, back)
    both = (np.minimum(layer.alpha, alpha) > 250) & old
    weight = (strength * sure * both)[..., None]
    picture = layer.picture * (1.0 - weight) + carried(earlier.picture, back) * weight
    return replace(layer, picture=np.rint(picture).astype(np.uint8))
