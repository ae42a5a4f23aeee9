"""Where a picture's cloth goes on around the side of a limb, which the picture shows at a glance or not at all.

A picture shows cloth on a round limb ever narrower towards the outline. From where it is shown at half its width on,
the cloth is mirrored instead, by its length along the surface, as if it continued in the same way; behind the outline
the other half of the limb mirrors this one.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.sampling import sample_picture
from pipeline.models.mannequin.shape import Sections

_ANGLES = 121
"""Angles around the section, from the middle of the front to the side."""
_RATIOS = np.geomspace(0.35, 2.0, 33)
"""Ratios of depth to width for which the table is made."""


def unrolled(sections: Sections, triangles: NDArray[np.int32], corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (T, S, 2) px by which samples are read from another place in the picture.

    ``corners`` (S, 3) are the samples' weights.
    """

    def at_samples(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.einsum("sk,tk...->ts...", corners, values[triangles])

    place, half = at_samples(sections.place), at_samples(sections.half_width)
    sine = np.clip(np.abs(place), 0, 1)
    column = (np.arcsin(sine) * np.float32(2 * (_ANGLES - 1) / np.pi)).astype(np.float32)
    step = np.log(_RATIOS[1] / _RATIOS[0])
    row = (np.log(np.maximum(at_samples(sections.depth_ratio), 1e-3) / _RATIOS[0]) / step).astype(np.float32)
    read = sample_picture(_table()[..., None], column, row)[..., 0]
    inwards = half * np.sign(place) * np.minimum(read - sine, 0)
    return np.asarray(inwards[..., None] * at_samples(sections.across), np.float32)


@cache
def _table() -> NDArray[np.float32]:
    """(ratios, angles) where the cloth at an angle around an ellipse of half width 1 is read, across."""
    angle = np.linspace(0, np.pi / 2, _ANGLES)
    out = np.empty((len(_RATIOS), _ANGLES), np.float32)
    for n, ratio in enumerate(_RATIOS):
        speed = np.hypot(np.cos(angle), ratio * np.sin(angle))
        length = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2)]) * (angle[1] - angle[0])
        # Shown at half its width: the cosine of the surface to the picture is a half.
        turn = np.interp(np.arctan(np.sqrt(3) / ratio), angle, length)
        before = np.where(length > turn, np.abs(2 * turn - length), length)
        out[n] = np.sin(np.interp(before, length, angle))
    return out
