"""Robust least squares of similarities and homographies, compiled: hundreds are fitted for a second of video.

Convention: points are (N, 2) float64, C-contiguous. The unknowns of a homography are its first eight elements; the last
one is 1. For nearly equal views in normalized coordinates, where the denominator is close to 1, the algebraic error is
the error in px.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.robust import CAUCHY, MEDIAN_OF_LENGTHS, SIGMA_OF_MEDIAN, median_of
from pipeline.runtime.compiled import njit

Floats = NDArray[np.float64]

_RIDGE_PERSPECTIVE = 1e-6
_RIDGE_REST = 1e-9
"""Regularizers towards 0, far below the data's weight: few collinear points stay solvable."""


@njit(cache=True, nogil=True)
def _solved(target: Points, source: Points, weights: Floats) -> Transforms:
    """Return the weighted least-squares homography, ``target ~ h(source)``, by its normal equations."""
    normal = np.zeros((8, 8))
    right = np.zeros(8)
    for i in range(len(source)):
        x, y = source[i, 0], source[i, 1]
        u, v = target[i, 0], target[i, 1]
        w = weights[i]
        square = u * u + v * v
        linear = (w * x * x, w * x * y, w * x, w * y * y, w * y, w)
        at = 0
        for r in range(3):
            for c in range(r, 3):
                normal[r, c] += linear[at]
                at += 1
        # The rows of x and of y: [x y 1 0 0 0 -ux -uy] and [0 0 0 x y 1 -vx -vy].
        normal[0, 6] -= u * linear[0]
        normal[0, 7] -= u * linear[1]
        normal[1, 7] -= u * linear[3]
        normal[2, 6] -= u * linear[2]
        normal[2, 7] -= u * linear[4]
        normal[3, 6] -= v * linear[0]
        normal[3, 7] -= v * linear[1]
        normal[4, 7] -= v * linear[3]
        normal[5, 6] -= v * linear[2]
        normal[5, 7] -= v * linear[4]
        normal[6, 6] += square * linear[0]
        normal[6, 7] += square * linear[1]
        normal[7, 7] += square * linear[3]
        right[0] += u * linear[2]
        right[1] += u * linear[4]
        right[2] += u * w
        right[3] += v * linear[2]
        right[4] += v * linear[4]
        right[5] += v * w
        right[6] -= square * linear[2]
        right[7] -= square * linear[4]
    normal[3:6, 3:6] = normal[0:3, 0:3]
    normal[1, 6] = normal[0, 7]
    normal[4, 6] = normal[3, 7]
    for r in range(8):
        for c in range(r):
            normal[r, c] = normal[c, r]
        normal[r, r] += _RIDGE_REST if r < 6 else _RIDGE_PERSPECTIVE
    solved = np.linalg.solve(normal, right)
    result = np.ones((3, 3))
    for k in range(8):
        result[k // 3, k % 3] = solved[k]
    return result


@njit(cache=True, nogil=True)
def _residuals(transform: Transforms, target: Points, source: Points) -> Floats:
    result = np.empty(len(source))
    t = transform
    for i in range(len(source)):
        x, y = source[i, 0], source[i, 1]
        w = t[2, 0] * x + t[2, 1] * y + t[2, 2]
        off_x = (t[0, 0] * x + t[0, 1] * y + t[0, 2]) / w - target[i, 0]
        off_y = (t[1, 0] * x + t[1, 1] * y + t[1, 2]) / w - target[i, 1]
        result[i] = np.sqrt(off_x * off_x + off_y * off_y)
    return result


@njit(cache=True, nogil=True)
def fitted_homography(target: Points, source: Points, weights: Floats, to_normal: Floats, frm_normal: Floats) -> Floats:
    """Return the weighted fit (3, 3), solved in the coordinates to which two (3, 3) scalings move the points.

    The inverse of ``to_normal`` brings it back; the last element is 1.
    """
    there = np.empty(target.shape)
    here = np.empty(source.shape)
    for i in range(len(source)):
        for axis in range(2):
            there[i, axis] = to_normal[axis, axis] * target[i, axis] + to_normal[axis, 2]
            here[i, axis] = frm_normal[axis, axis] * source[i, axis] + frm_normal[axis, 2]
    solved = _solved(there, here, weights)
    result = np.linalg.inv(to_normal) @ solved @ frm_normal
    last = result[2, 2]
    return result / last if abs(last) > 1e-12 else result


@njit(cache=True, nogil=True)
def fitted_similarity(target: Points, source: Points, weights: Floats) -> Transforms:
    """Return the weighted least-squares similarity (3, 3) in closed form (see ``geometry.fit_similarity``)."""
    result = np.eye(3)
    total = weights.sum()
    mean_to = np.zeros(2)
    mean_frm = np.zeros(2)
    for i in range(len(source)):
        for axis in range(2):
            mean_to[axis] += weights[i] * target[i, axis] / total
            mean_frm[axis] += weights[i] * source[i, axis] / total
    spread = dot = cross = 0.0
    for i in range(len(source)):
        px, py = source[i, 0] - mean_frm[0], source[i, 1] - mean_frm[1]
        qx, qy = target[i, 0] - mean_to[0], target[i, 1] - mean_to[1]
        w = weights[i] / total
        spread += w * (px * px + py * py)
        dot += w * (px * qx + py * qy)
        cross += w * (px * qy - py * qx)
    if spread >= 1e-12:
        c, s = dot / spread, cross / spread
        result[0, 0] = result[1, 1] = c
        result[0, 1] = -s
        result[1, 0] = s
    for axis in range(2):
        moved = result[axis, 0] * mean_frm[0] + result[axis, 1] * mean_frm[1]
        result[axis, 2] = mean_to[axis] - moved
    return result


@njit(cache=True, nogil=True)
def refitted(
    target: Points,
    source: Points,
    initial: Transforms,
    own: Floats,
    normals: tuple[Floats, Floats],
    is_homography: bool,
    rounds: int,
    floor_px: float,
) -> tuple[Transforms, Floats]:
    """Repeat a fit with Cauchy weights of the last one's residuals times the points' ``own`` (N,).

    Returns the fit and its residuals (N,), px; ``normals`` are the scalings of ``fitted_homography``. See
    ``geometry.refit_irls``.
    """
    result = initial.copy()
    residual = _residuals(result, target, source)
    for _ in range(rounds):
        sigma = max(median_of(residual) / MEDIAN_OF_LENGTHS, floor_px)
        weights = own / (1.0 + (residual / (CAUCHY * sigma)) ** 2)
        if is_homography:
            result = fitted_homography(target, source, weights, normals[0], normals[1])
        else:
            result = fitted_similarity(target, source, weights)
        before = residual
        residual = _residuals(result, target, source)
        if np.abs(before - residual).max() < 1e-4:
            break
    return result, residual


@njit(cache=True, nogil=True)
def cauchy_homography(target: Points, source: Points, scale: float, rounds: int) -> Transforms:
    """Fit normalized points with Cauchy weights, starting from equal ones; ``scale`` is a unit's length in px."""
    weights = np.ones(len(source))
    result = np.eye(3)
    for _ in range(rounds):
        result = _solved(target, source, weights)
        error = _residuals(result, target, source) * scale
        # The more tolerant scale, for lengths: parallax is not an outlier.
        sigma = max(SIGMA_OF_MEDIAN * median_of(error), 0.05)
        weights = 1.0 / (1.0 + (error / (CAUCHY * sigma)) ** 2)
    return result
