"""Which matched points agree on one motion of the camera, near the motion that was expected.

Between a sharp frame and one blurred by a fast pan many matches are chance: weights alone follow them to anywhere. Two
views that the camera's path links differ from what it predicts by a small similarity, and by a little more for depth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.geometry import apply_transform, corners_of, fit_homography_cauchy

_LEAST_POINTS = 12
_LEAST_SHARE = 0.35
"""Of the matches that agree. Chance alone brings a tenth together."""
_TOLERANCE_OF_DIAGONAL = 5 / 734
"""5 px at 640 x 360: parallax over the seconds between two frames stays inside."""
_DRIFT_OF_DIAGONAL = 0.12
"""How far a chained path may have drifted over a long hold."""
_BEND_OF_DIAGONAL = 0.06
"""A homography that leaves the similarity by more at the picture's corners is a fit to chance."""


def agreeing_homography(
    to: Points, source: Points, guess: Transforms, size_wh: tuple[int, int]
) -> tuple[Transforms, NDArray[np.bool_]] | None:
    """Fit ``source ~ homography(to)`` to the matches (N, 2) that agree, near the expected ``guess`` (3, 3).

    Returns the homography and which matches agree, (N,), or None where too few do, or what they agree on is not near
    the guess. Where the agreeing points do not carry a homography it is a similarity on top of the guess.
    """
    if len(to) < _LEAST_POINTS:
        return None
    diagonal = float(np.hypot(*size_wh))
    limit = _TOLERANCE_OF_DIAGONAL * diagonal
    expected = apply_transform(guess, to)
    # RANSAC with a fixed seed inside OpenCV: the same points give the same result.
    found, _ = cv2.estimateAffinePartial2D(expected, source, ransacReprojThreshold=limit, confidence=0.995)
    if found is None:
        return None
    similarity = np.vstack([found, [0, 0, 1]]) @ guess
    agree = np.linalg.norm(apply_transform(similarity, to) - source, axis=1) < 4 * limit
    if agree.sum() < max(_LEAST_POINTS, _LEAST_SHARE * len(to)):
        return None
    corners = corners_of(size_wh)
    there = apply_transform(guess, corners)
    if _largest(apply_transform(similarity, corners) - there) > _DRIFT_OF_DIAGONAL * diagonal:
        return None
    homography = fit_homography_cauchy(source[agree], to[agree])
    bend = _largest(apply_transform(homography, corners) - apply_transform(similarity, corners))
    return (homography if bend < _BEND_OF_DIAGONAL * diagonal else similarity), agree


def _largest(offsets: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(offsets, axis=1).max())
