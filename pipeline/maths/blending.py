"""Blending of layers. Colors are premultiplied only inside these functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.window import Layer


def crossfade_weight(position: int, overlap: int) -> float:
    """Return the weight of the later side at frame ``position`` (0-based) of an overlap of ``overlap`` frames.

    Linear, and neither 0 nor 1 inside the overlap: 1/6 … 5/6 over five frames.
    """
    if not 0 <= position < overlap:
        raise ValueError(f"position {position} is outside the overlap of {overlap} frames")
    return (position + 1) / (overlap + 1)


def mix_layers(earlier: Layer, later: Layer, weight: float) -> Layer:
    """Blend two layers of one frame in the same space; ``weight`` 0..1 is the later one's weight. Colors are weighted
    by alpha, so that a transparent layer's color has no effect. Joints are interpolated where both have them. Weights 0
    and 1, and identical layers, return the layer exactly.
    """
    if earlier.alpha is None or later.alpha is None:
        raise ValueError("only layers with alpha can be mixed")
    if weight <= 0.0:
        return earlier
    if weight >= 1.0 or (np.array_equal(earlier.alpha, later.alpha) and np.array_equal(earlier.picture, later.picture)):
        return later
    first = earlier.alpha.astype(np.float32) * (1.0 - weight)
    second = later.alpha.astype(np.float32) * weight
    alpha = first + second
    premultiplied = earlier.picture * first[..., None] + later.picture * second[..., None]
    picture = premultiplied / np.maximum(alpha, 1e-6)[..., None]
    return Layer(
        picture=np.rint(picture).astype(np.uint8),
        alpha=np.rint(alpha).astype(np.uint8),
        joints=_mix_joints(earlier.joints, later.joints, weight),
        matte_is_propagated=earlier.matte_is_propagated or later.matte_is_propagated,
        is_pixelated=earlier.is_pixelated or later.is_pixelated,
    )


def _mix_joints(
    earlier: NDArray[np.float32] | None, later: NDArray[np.float32] | None, weight: float
) -> NDArray[np.float32] | None:
    if earlier is None or later is None:
        return later if earlier is None else earlier
    return earlier * (1.0 - weight) + later * weight
