"""Find the matched points that agree on one camera motion near the expected one.

Between a sharp frame and one blurred by a fast pan many matches are random, and robust weights alone may follow them
anywhere. Two views linked by the camera path differ from its prediction by a small similarity, and slightly more
because of depth.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.geometry import apply_transform, corners_of, fit_homography_cauchy

_LEAST_POINTS = 12
_LEAST_SHARE = 0.35
"""Least fraction of agreeing matches. A tenth agrees by chance alone."""
_TOLERANCE_OF_DIAGONAL = 5 / 734
"""5 px at 640 x 360: parallax over the seconds between two frames stays within it."""
_DRIFT_OF_DIAGONAL = 0.12
"""Largest drift of a chained path over a long hold."""
_BEND_OF_DIAGONAL = 0.06
"""A homography that deviates more from the similarity at the picture's corners is a fit to random matches."""


def agreeing_homography(
    to: Points, source: Points, guess: Transforms, size_wh: tuple[int, int]
) -> tuple[Transforms, NDArray[np.bool_]] | None:
    """Fit ``source ~ homography(to)`` to the matches (N, 2) that agree, near the expected ``guess`` (3, 3).

    Returns the homography and an inlier mask (N,), or None where too few agree or the result is not near the guess.
    Where the inliers do not support a homography it is a similarity on top of the guess.
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
