"""The subject's skeleton, made taller or smaller about the ground it stands on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import ANKLES, FOOT_OF_SIDE, HIPS

_ANKLE_BH = 0.045
"""Height of an ankle above the sole, body heights."""
_LOWER_BH = 0.05
"""Sharpness with which the lower ankle counts as the one that stands, body heights."""
_HIPS_BH = 0.5
"""Height of the hips where no ankle is known, body heights."""


def rescaled(
    joints: NDArray[np.float32], skeleton: NDArray[np.float32], body_height_px: float, scale: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (21, 3) joints and (23, 3) skeleton of one frame for a body that is ``scale`` times as tall.

    The feet keep their places on the ground, so that who stands does not slide, and everything above is scaled about
    the ground under the hips. Who is smaller takes steps as long as the subject's.
    """
    ground = _ground(skeleton, body_height_px)
    out = ground + scale * (skeleton.astype(np.float64) - ground)
    flat = ground[:2] + scale * (joints[:, :2].astype(np.float64) - ground[:2])
    lower = np.array([0.0, (1 - scale) * _ANKLE_BH * body_height_px, 0.0])
    for rows, ankle in zip(FOOT_OF_SIDE.values(), ANKLES, strict=True):
        # An ankle nearer to the ground, over the same footprint.
        moved = skeleton[ankle] + lower - out[ankle]
        out[rows] += np.where(np.isfinite(moved), moved, 0.0)
        moved_flat = joints[ankle, :2] + lower[:2] - flat[ankle]
        flat[rows] += np.where(np.isfinite(moved_flat), moved_flat, 0.0)
    scaled = joints.copy()
    scaled[:, :2] = flat
    return scaled, out.astype(np.float32)


def _ground(skeleton: NDArray[np.float32], body_height_px: float) -> Float64Array:
    """(3,) the point of the ground under the hips."""
    ankles = skeleton[ANKLES].astype(np.float64)
    hips = skeleton[HIPS].astype(np.float64).mean(0)
    if not np.isfinite(ankles).all():
        return hips + np.array([0.0, _HIPS_BH * body_height_px, 0.0])
    # The lower ankle stands; the share changes smoothly when the other one takes over.
    weights = np.exp((ankles[:, 1] - ankles[:, 1].max()) / (_LOWER_BH * body_height_px))
    low = float(weights @ ankles[:, 1] / weights.sum()) + _ANKLE_BH * body_height_px
    return np.array([ankles[:, 0].mean(), low, hips[2]])
