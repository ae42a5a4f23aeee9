"""Plane geometry on arrays: transforms, robust fits, boxes.

Convention
----------
Points are ``(..., 2)`` x, y with pixel centers at integers. Transforms are ``(3, 3)`` or ``(T, 3, 3) float64`` on
column vectors; ``a_from_b`` maps points of space b to space a. A *similarity* is
``[[c, -s, x], [s, c, y], [0, 0, 1]]``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.robust_fits import cauchy_homography, fitted_homography, fitted_similarity, refitted

Model = Literal["similarity", "homography"]


def apply_transform(transform: Transforms, points: NDArray[Any]) -> Points:
    """Map points (..., 2) by one (3, 3) transform, or points (T, ..., 2) by T transforms (T, 3, 3).

    NaN points stay NaN.
    """
    points = np.asarray(points, np.float64)
    if transform.ndim == 3:
        if len(transform) != len(points):
            raise ValueError(f"{len(transform)} transforms for {len(points)} sets of points")
        transform = transform.reshape(len(transform), *(1,) * (points.ndim - 2), 3, 3)
    x, y = points[..., 0], points[..., 1]
    rows = [transform[..., r, 0] * x + transform[..., r, 1] * y + transform[..., r, 2] for r in range(3)]
    mapped = np.empty((*rows[2].shape, 2))
    np.divide(rows[0], rows[2], out=mapped[..., 0])
    np.divide(rows[1], rows[2], out=mapped[..., 1])
    return mapped


def invert(transform: Transforms) -> Transforms:
    """Invert one or T transforms, scaled so that the last element is 1 where possible."""
    return normalized(np.asarray(np.linalg.inv(transform), np.float64))


def normalized(transform: Transforms) -> Transforms:
    """Scale so that the last element is 1; unchanged where that element is 0 (a pan of 90 degrees)."""
    last = transform[..., 2:3, 2:3]
    return transform / np.where(np.abs(last) > 1e-12, last, 1.0)


def translation(x: float, y: float) -> Transforms:
    """Return the transform that moves points by x, y."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def scaling(x: float, y: float) -> Transforms:
    """Return the transform that scales coordinates."""
    return np.diag([float(x), float(y), 1.0])


def corners_of(size_wh: tuple[int, int]) -> Points:
    """Return the centers of a picture's corner pixels, (4, 2)."""
    w, h = size_wh
    return np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float64)


def fit_similarity(
    target_points: NDArray[Any], source_points: NDArray[Any], weights: NDArray[Any] | None = None
) -> Transforms:
    """Fit ``target_points ~ similarity(source_points)`` by weighted least squares, points (N, 2), N >= 2.

    Closed form (Umeyama 1991 in the plane, without reflections). Coinciding points give a translation.
    """
    w = np.ones(len(target_points)) if weights is None else np.asarray(weights, np.float64)
    return fitted_similarity(*_both(target_points, source_points), np.ascontiguousarray(w))


def fit_homography(
    target_points: NDArray[Any], source_points: NDArray[Any], weights: NDArray[Any] | None = None
) -> Transforms:
    """Fit ``target_points ~ homography(source_points)`` by the weighted, normalized DLT (Hartley 1997).

    Points (N, 2), N >= 4. For nearly equal views, where the denominator is close to 1, the algebraic error is the error
    in px.
    """
    w = np.ones(len(target_points)) if weights is None else np.asarray(weights, np.float64)
    target, source = _both(target_points, source_points)
    # h33 = 1 in normalized coordinates: camera motion between frames never maps the picture's center to infinity.
    return fitted_homography(target, source, np.ascontiguousarray(w), _normalizer(target), _normalizer(source))


def fit_homography_cauchy(target_points: NDArray[Any], source_points: NDArray[Any], rounds: int = 8) -> Transforms:
    """Fit ``target_points ~ homography(source_points)`` by Cauchy-weighted least squares, starting from equal weights.

    For matches without an initial guess, points (N, 2); ``refit_irls`` refines a given one. Least squares on h33 = 1 in
    normalized coordinates; robust without sampling, hence deterministic. Fewer than 4 points give the median
    shift. Measured with 20 % outliers: 0.03 px of corner error, against 0.47 for ``cv2.findHomography(USAC_MAGSAC)``.
    """
    target = np.asarray(target_points, np.float64)
    source = np.asarray(source_points, np.float64)
    if len(source) < 4:
        return translation(*(np.median(target - source, axis=0) if len(source) else np.zeros(2)))
    center = source.mean(axis=0)
    scale = max(float(source.std()), 1.0)
    a, b = (source - center) / scale, (target - center) / scale
    fitted = cauchy_homography(*_both(b, a), scale, rounds)
    normalizing = np.array([[1 / scale, 0, -center[0] / scale], [0, 1 / scale, -center[1] / scale], [0, 0, 1]])
    return np.linalg.inv(normalizing) @ fitted @ normalizing


def _both(target: NDArray[Any], source: NDArray[Any]) -> tuple[Points, Points]:
    """Return the points as the compiled fits take them."""
    return np.ascontiguousarray(target, np.float64), np.ascontiguousarray(source, np.float64)


def _normalizer(points: Points) -> Transforms:
    mean = points.mean(0)
    scale = np.sqrt(2.0) / max(float(np.sqrt(((points - mean) ** 2).sum(1)).mean()), 1e-9)
    return scaling(scale, scale) @ translation(*-mean)


def refit_irls(
    target_points: NDArray[Any],
    source_points: NDArray[Any],
    model: Model,
    initial: Transforms,
    *,
    rounds: int = 12,
    floor_px: float = 0.05,
    prior: NDArray[Any] | None = None,
) -> tuple[Transforms, NDArray[np.float64]]:
    """Refine ``target_points ~ initial(source_points)`` by Cauchy-weighted least squares; return it, residuals (N,) px.

    The Cauchy scale is 2.385 times the residuals' robust sigma (from their median), at least ``floor_px``, and shrinks
    with them (Holland and Welsch 1977). ``prior`` are the points' own weights (N,).
    """
    own = np.ones(len(target_points)) if prior is None else np.asarray(prior, np.float64)
    target, source = _both(target_points, source_points)
    start = np.ascontiguousarray(initial, np.float64)
    normals = (_normalizer(target), _normalizer(source)) if model == "homography" else (np.eye(3), np.eye(3))
    is_homography = model == "homography"
    return refitted(target, source, start, np.ascontiguousarray(own), normals, is_homography, rounds, floor_px)


def similarity_part(transform: Transforms, size_wh: tuple[int, int]) -> Transforms:
    """Return the similarity nearest to a (3, 3) transform: least squares on the corners of a picture."""
    corners = corners_of(size_wh)
    return fit_similarity(apply_transform(transform, corners), corners)


def params_of_similarities(similarities: Transforms, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return (T, 4): translation x, y in px of the picture's center, log-scale, angle in radians (unwrapped over T)."""
    center = (np.array(size_wh, np.float64) - 1) / 2
    moved = similarities[:, :2, :2] @ center + similarities[:, :2, 2] - center
    c, s = similarities[:, 0, 0], similarities[:, 1, 0]
    return np.column_stack([moved, np.log(np.hypot(c, s)), np.unwrap(np.arctan2(s, c))])


def similarities_from_params(params: NDArray[np.float64], size_wh: tuple[int, int]) -> Transforms:
    """Invert ``params_of_similarities``: (T, 4) to (T, 3, 3)."""
    center = (np.array(size_wh, np.float64) - 1) / 2
    scale = np.exp(params[:, 2])
    c, s = scale * np.cos(params[:, 3]), scale * np.sin(params[:, 3])
    result = np.tile(np.eye(3), (len(params), 1, 1))
    result[:, 0, 0] = c
    result[:, 0, 1] = -s
    result[:, 1, 0] = s
    result[:, 1, 1] = c
    result[:, :2, 2] = params[:, :2] + center - result[:, :2, :2] @ center
    return result


def pair_motions(world_from_source: Transforms) -> Transforms:
    """Return (T, 3, 3): source of frame t from source of frame t-1; the first is the identity.

    Only pairs within one shot are meaningful: each shot has its own ``world``.
    """
    result = np.tile(np.eye(3), (len(world_from_source), 1, 1))
    if len(world_from_source) > 1:
        result[1:] = normalized(np.asarray(np.linalg.solve(world_from_source[1:], world_from_source[:-1]), np.float64))
    return result


def scale_of(transforms: Transforms) -> NDArray[np.float64]:
    """Return (T,) by how much transforms (T, 3, 3) enlarge."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(transforms[:, :2, :2]))), np.float64)
