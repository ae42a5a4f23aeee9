"""Plane geometry on arrays: transforms, robust fits, boxes.

Convention
----------
Points are ``(..., 2)`` x, y with pixel centers at integers. Transforms are ``(3, 3)`` or ``(T, 3, 3) float64`` on
column vectors; ``a_from_b`` maps points of space b to space a. A *similarity* is
``[[c, -s, x], [s, c, y], [0, 0, 1]]``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.robust import cauchy_weights, sigma_of_lengths, sigma_of_values

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
    return np.stack([rows[0] / rows[2], rows[1] / rows[2]], axis=-1)


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
    target_points = np.asarray(target_points, np.float64)
    source_points = np.asarray(source_points, np.float64)
    w = np.ones(len(target_points)) if weights is None else np.asarray(weights, np.float64)
    w = w / w.sum()
    mean_to = w @ target_points
    mean_frm = w @ source_points
    p, q = source_points - mean_frm, target_points - mean_to
    spread = w @ (p**2).sum(1)
    if spread < 1e-12:
        return translation(*(mean_to - mean_frm))
    c = w @ (p * q).sum(1) / spread
    s = w @ (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]) / spread
    linear = np.array([[c, -s], [s, c]])
    result = np.eye(3)
    result[:2, :2] = linear
    result[:2, 2] = mean_to - linear @ mean_frm
    return result


def fit_homography(
    target_points: NDArray[Any], source_points: NDArray[Any], weights: NDArray[Any] | None = None
) -> Transforms:
    """Fit ``target_points ~ homography(source_points)`` by the weighted, normalized DLT (Hartley 1997).

    Points (N, 2), N >= 4. For nearly equal views, where the denominator is close to 1, the algebraic error is the error
    in px.
    """
    target_points = np.asarray(target_points, np.float64)
    source_points = np.asarray(source_points, np.float64)
    w = np.ones(len(target_points)) if weights is None else np.sqrt(np.asarray(weights, np.float64))
    to_normal = _normalizer(target_points)
    frm_normal = _normalizer(source_points)
    (u, v) = apply_transform(to_normal, target_points).T
    (x, y) = apply_transform(frm_normal, source_points).T
    # h33 = 1 in normalized coordinates: camera motion between frames never maps the picture's center to infinity.
    one = np.ones_like(x)
    zero = np.zeros_like(x)
    a = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1) * w[:, None],
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1) * w[:, None],
        ]
    )
    b = np.concatenate([u * w, v * w])
    h = np.append(np.linalg.lstsq(a, b, rcond=None)[0], 1.0).reshape(3, 3)
    return normalized(invert(to_normal) @ h @ frm_normal)


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
    one = np.ones(len(a))
    zero = np.zeros(len(a))
    x, y, u, v = a[:, 0], a[:, 1], b[:, 0], b[:, 1]
    design = np.stack(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ],
        axis=1,
    )  # (N, 2, 8)
    weights = np.ones(len(a))
    fitted = np.eye(3)
    # A regularizer towards no perspective, far below the data's weight: few collinear points stay solvable.
    ridge = np.diag([1e-9] * 6 + [1e-6] * 2)
    for _ in range(rounds):
        weighted = design * weights[:, None, None]
        normal = np.einsum("nij,nik->jk", weighted, design) + ridge
        h = np.linalg.solve(normal, np.einsum("nij,ni->j", weighted, b))
        fitted = np.append(h, 1.0).reshape(3, 3)
        error = np.linalg.norm(apply_transform(fitted, a) - b, axis=1) * scale
        # The more tolerant scale, for lengths: parallax is not an outlier.
        weights = cauchy_weights(error, max(sigma_of_values(error), 0.05))
    normalizing = np.array([[1 / scale, 0, -center[0] / scale], [0, 1 / scale, -center[1] / scale], [0, 0, 1]])
    return np.linalg.inv(normalizing) @ fitted @ normalizing


def _normalizer(points: Points) -> Transforms:
    mean = points.mean(0)
    scale = np.sqrt(2.0) / max(float(np.sqrt(((points - mean) ** 2).sum(1)).mean()), 1e-9)
    return scaling(scale, scale) @ translation(*-mean)


_FITS: dict[Model, Callable[..., Transforms]] = {"similarity": fit_similarity, "homography": fit_homography}


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
    fit = _FITS[model]
    result = initial
    own = np.ones(len(target_points)) if prior is None else np.asarray(prior, np.float64)
    residual = np.linalg.norm(apply_transform(result, source_points) - target_points, axis=1)
    for _ in range(rounds):
        weights = cauchy_weights(residual, max(sigma_of_lengths(residual), floor_px), own)
        result = fit(target_points, source_points, weights)
        before = residual
        residual = np.linalg.norm(apply_transform(result, source_points) - target_points, axis=1)
        if np.abs(before - residual).max() < 1e-4:
            break
    return result, residual


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
