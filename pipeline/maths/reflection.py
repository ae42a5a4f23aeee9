"""A person's mirror image on a wet or polished floor.

A floor that mirrors shows ``(1 - r) · floor + r · what stands on it``, upside down about the row of the feet. Without
him it shows the same with what is behind him. So the frame minus the clean background is, under his feet, ``r`` times
what it is in his own silhouette, mirrored: a number that can be fitted, and a likeness that tells whether it is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask

_CALM_BH = 0.012
"""Blur before the comparison, body heights: water and grain scatter, and a plate may lie a little wrong."""
_LEAST_PX = 150
LEAST_DEPTH_BH = 0.1
"""Mirror image that must be in the picture."""


@dataclass(frozen=True, slots=True)
class ReflectionSample:
    """What one frame tells of the floor."""

    share: float
    """Of what stands there that the floor shows."""
    likeness: float
    """Correlation, -1..1, of the floor's change and his mirror image."""


def mirror(picture: NDArray[np.float32], foot_row: float) -> NDArray[np.float32]:
    """Turn a picture (h, w) or (h, w, C) upside down about ``foot_row``; 0 where nothing falls, and above it."""
    move = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 2.0 * foot_row]])
    mirrored = cv2.warpAffine(picture, move, picture.shape[1::-1], flags=cv2.INTER_LINEAR)
    mirrored[: max(int(np.ceil(foot_row)), 0)] = 0
    return np.asarray(mirrored, np.float32)


def sample_reflection(
    difference: NDArray[np.float32], subject: Mask, usable: Mask, foot_row: float, height_px: float
) -> ReflectionSample | None:
    """Compare the floor with the mirrored person; None where too little of it is seen.

    ``difference`` (h, w, 3) is frame minus plate, ``subject`` (h, w) the person, ``usable`` where the plate is known
    and nobody is.
    """
    if foot_row + LEAST_DEPTH_BH * height_px > len(subject):
        return None
    image = mirror(np.where(subject[..., None], difference, np.float32(0)), foot_row)
    # The feet and their shadow are no mirror image.
    below = np.arange(len(subject))[:, None] > foot_row + 0.03 * height_px
    where = (mirror(subject.astype(np.float32), foot_row) > 0.5) & below & usable
    if np.count_nonzero(where) < _LEAST_PX:
        return None
    sigma = max(_CALM_BH * height_px, 0.8)
    seen = cv2.GaussianBlur(difference, (0, 0), sigma)[where].astype(np.float64).ravel()
    there = cv2.GaussianBlur(image, (0, 0), sigma)[where].astype(np.float64).ravel()
    power, own = float(there @ there), float(seen @ seen)
    if power <= 0 or own <= 0:
        return None
    both = float(there @ seen)
    # Shadows darken, too: likeness is of what varies, not of the mean alone.
    spread = np.corrcoef(there, seen)[0, 1] if there.std() > 0 and seen.std() > 0 else 0.0
    return ReflectionSample(both / power, float(spread))
