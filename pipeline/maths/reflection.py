"""A person's reflection on a wet or polished floor.

A reflective floor shows ``(1 - r) · floor + r · what stands on it``, flipped about the row of the feet. Without the
person it reflects what is behind them. So the frame minus the clean background is, under the feet, ``r`` times its
mirrored value in the silhouette: a factor that can be fitted, and a correlation that shows whether it is a reflection.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask

_CALM_BH = 0.012
"""Blur before the comparison, body heights: water and grain scatter, and a plate may be slightly misregistered."""
_LEAST_PX = 150
LEAST_SAMPLES = 4
_LIKENESS = 0.5
"""A non-reflective floor with the subject's shadow on it stays below 0.35; a half-strength reflection on gravel is
above 0.6."""
_SHARES = (0.04, 0.95)
LEAST_DEPTH_BH = 0.1
"""Least part of the reflection that must be in the picture."""


@dataclass(frozen=True, slots=True)
class ReflectionSample:
    """One frame's measurement of the floor."""

    share: float
    """Strength of the reflection."""
    likeness: float
    """Correlation, -1..1, of the floor's change and the mirrored person."""


def mirror(picture: NDArray[np.float32], foot_row: float) -> NDArray[np.float32]:
    """Flip a picture (h, w) or (h, w, C) vertically about ``foot_row``; 0 outside its range, and above the row."""
    move = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 2.0 * foot_row]])
    mirrored = cv2.warpAffine(picture, move, picture.shape[1::-1], flags=cv2.INTER_LINEAR)
    mirrored[: max(int(np.ceil(foot_row)), 0)] = 0
    return np.asarray(mirrored, np.float32)


def sample_reflection(
    difference: NDArray[np.float32],
    subject: Mask,
    usable: Mask,
    foot_row: float,
    height_px: float,
    least_px: int = _LEAST_PX,
) -> ReflectionSample | None:
    """Compare the floor with the mirrored person; None where too little of it is visible.

    ``difference`` (h, w, 3) is frame minus plate, ``subject`` (h, w) the person, ``usable`` where the plate is known
    and nobody is.
    """
    if foot_row + LEAST_DEPTH_BH * height_px > len(subject):
        return None
    image = mirror(np.where(subject[..., None], difference, np.float32(0)), foot_row)
    # The feet and their shadow are not part of the reflection.
    below = np.arange(len(subject))[:, None] > foot_row + 0.03 * height_px
    where = (mirror(subject.astype(np.float32), foot_row) > 0.5) & below & usable
    if np.count_nonzero(where) < least_px:
        return None
    sigma = max(_CALM_BH * height_px, 0.8)
    seen = cv2.GaussianBlur(difference, (0, 0), sigma)[where].astype(np.float64).ravel()
    there = cv2.GaussianBlur(image, (0, 0), sigma)[where].astype(np.float64).ravel()
    power = float(there @ there)
    own = float(seen @ seen)
    if power <= 0 or own <= 0:
        return None
    both = float(there @ seen)
    # Shadows darken, too: the correlation is of variations, not of the mean alone.
    spread = np.corrcoef(there, seen)[0, 1] if there.std() > 0 and seen.std() > 0 else 0.0
    return ReflectionSample(both / power, float(spread))


def reflection_strength(samples: list[ReflectionSample]) -> float:
    """Return the strength of the reflection in a shot from samples of some frames; 0 without enough evidence."""
    if len(samples) < LEAST_SAMPLES:
        return 0.0
    likeness = float(np.median([sample.likeness for sample in samples]))
    share = float(np.median([sample.share for sample in samples]))
    if not (likeness > _LIKENESS and _SHARES[0] < share):
        return 0.0
    # Small errors of masks and plate bias the fit towards 0 in proportion to the missing correlation.
    return min(share / likeness, _SHARES[1])
