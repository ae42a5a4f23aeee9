"""Whether a frame shows the pattern of the plate: its grain, its edges, its lettering."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.scene.views import View

_WINDOW_PX = (9, 9)
_ALIKE = 0.7
_TEXTURE = 3.0
"""Least deviation of a pattern, gray levels: more than grain and compression."""


def shows_pattern(view: View) -> Mask:
    """Return (h, w) where the picture has the pattern of the plate, by normalized cross-correlation (Lewis 1995).

    A dark suit has the colors of a dark post in front of it, but not its pattern. Where either is plain, or has no more
    than grain, nothing is known.
    """
    picture, plate = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (view.picture, view.plate))
    own, their = _moments(picture, picture), _moments(plate, plate)
    both = _moments(picture, plate)
    is_textured = np.minimum(own, their) > _TEXTURE**2
    return np.asarray(is_textured & (both > _ALIKE * np.sqrt(np.maximum(own * their, 0))), np.bool_)


def _moments(one: Float32Array, other: Float32Array) -> Float32Array:
    """Return (h, w) the covariance of two pictures in the window around each pixel."""
    means = cv2.blur(one, _WINDOW_PX) * cv2.blur(other, _WINDOW_PX)
    return np.asarray(cv2.blur(one * other, _WINDOW_PX) - means, np.float32)
