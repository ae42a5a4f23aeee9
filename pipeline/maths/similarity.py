"""How well a plate fits a frame: structural similarity in a ring around the occluded area.

The plate behind the subject cannot be verified. Around the subject it can: a plate that is misaligned, softer than the
frame, or lit differently there is no better behind the subject.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.reduce import reduced

_BODY_PX = 125
"""Body height at which pictures are compared: visible defects show at this size, finer differences are grain."""
_WINDOW_PX = 1.5
_STEADY_LUMINANCE = (0.01 * 255) ** 2
_STEADY_CONTRAST = (0.03 * 255) ** 2
LEAST_PX = 60
"""A smaller ring is not evidence."""


def structure_similarity(picture: NDArray[np.uint8], other: NDArray[np.uint8], *, light: bool) -> NDArray[np.float32]:
    """Return the map (h, w), -1..1, of the structural similarity of two gray pictures (Wang et al., IEEE TIP 2004).

    Without ``light`` the term of their local means is left out.
    """
    a, b = picture.astype(np.float32), other.astype(np.float32)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.GaussianBlur(values, (9, 9), _WINDOW_PX), np.float32)

    mean_a, mean_b = mean(a), mean(b)
    both = mean_a * mean_b
    squares = mean_a * mean_a + mean_b * mean_b
    spread = mean(a * a + b * b) - squares
    similarity = (2 * (mean(a * b) - both) + _STEADY_CONTRAST) / (spread + _STEADY_CONTRAST)
    if light:
        similarity *= (2 * both + _STEADY_LUMINANCE) / (squares + _STEADY_LUMINANCE)
    return np.asarray(similarity, np.float32)


def ring_fit(plate: Picture, source: Picture, ring: Mask, height_px: float) -> float:
    """Return the mean similarity, -1..1, of plate and source (h, w, 3) in the ``ring`` (h, w).

    NaN where the ring is too small.

    Measured on clips with ground truth: 0.9 and more where the plate is right, 0.8 where it is 1 % of body height off,
    below 0.65 where it shows another place.
    """
    factor = max(1, round(height_px / _BODY_PX))
    size_wh = max(plate.shape[1] // factor, 1), max(plate.shape[0] // factor, 1)
    where = cv2.resize(ring.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
    if np.count_nonzero(where) < LEAST_PX:
        return float("nan")
    gray = [cv2.cvtColor(reduced(picture, size_wh), cv2.COLOR_RGB2GRAY) for picture in (plate, source)]
    return float(structure_similarity(gray[0], gray[1], light=True)[where].mean())
