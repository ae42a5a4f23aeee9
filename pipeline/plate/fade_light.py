"""Light during fades: it changes within a few frames, between the samples from which a shot's light is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.light import SceneLight
from pipeline.maths.light import linear_of

_STEP_PX = 8
"""Every eighth pixel of a row and of a column is enough for a mean."""
_GAINS = (0.0, 4.0)
_LEAST_LEVEL = 1e-4


def picture_level(picture: Picture) -> float:
    """Return the mean linear light of an sRGB picture (h, w, 3), 0..1."""
    return float(linear_of(np.ascontiguousarray(picture[::_STEP_PX, ::_STEP_PX])).mean())


def with_fades(light: SceneLight, levels: NDArray[np.float64], is_faded: NDArray[np.bool_]) -> SceneLight:
    """Return the light of one shot (T,) with that of the ``is_faded`` (T,) frames as much weaker or stronger as the
    whole picture is.

    ``levels`` (T,) are those of ``picture_level``, NaN where unknown: the faded frames' are compared with the known
    ones before and after the fade.
    """
    clear = np.flatnonzero(~is_faded & np.isfinite(levels))
    faded = np.flatnonzero(is_faded & np.isfinite(levels))
    if not len(clear) or not len(faded):
        return light
    usual = np.maximum(np.interp(faded, clear, levels[clear]), _LEAST_LEVEL)
    gains = np.ones((len(levels), 1), np.float32)
    gains[faded, 0] = np.clip(levels[faded] / usual, *_GAINS)
    return replace(
        light, key_rgb=light.key_rgb * gains, ambient_rgb=light.ambient_rgb * gains, veil_rgb=light.veil_rgb * gains
    )


def steps_without(light_steps: NDArray[np.float32], is_faded: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return ``Survey.light_steps`` (T, 3) without what changes from or to the frames of fades (T,)."""
    increments = np.diff(light_steps, axis=0, prepend=light_steps[:1])
    increments[is_faded] = 0
    increments[1:][is_faded[:-1]] = 0
    return np.cumsum(increments, axis=0)
