"""Zero-phase smoothing over time, by PTS.

Times are ``pts_seconds`` (T,), strictly increasing; values are (T,) or (T, ...). Variable frame rates need no special
case.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array

_NEGLIGIBLE = 1e-3
"""Weight of a Gaussian that is left out."""


def gaussian_smooth(
    values: NDArray[Any], pts_seconds: NDArray[Any], sigma_seconds: float, trust: NDArray[Any] | None = None
) -> Float64Array:
    """Smooth by local linear regression with Gaussian weights (locally linear regression, Cleveland 1979).

    A straight line is preserved, also at the ends, at gaps and at uneven times. NaN values have no weight and stay NaN.
    ``trust`` (above 0, shape of the values) multiplies the weights. A sigma of 0 returns the values. Split the values
    at shot boundaries first.
    """
    x = np.asarray(values, np.float64)
    t = np.asarray(pts_seconds, np.float64)
    if len(x) < 2 or sigma_seconds <= 0:
        return x.copy()
    flat = x.reshape(len(x), -1)
    known = np.isfinite(flat)
    zeroed = np.where(known, flat, 0.0)
    share = known * (1.0 if trust is None else np.asarray(trust, np.float64).reshape(len(x), -1))
    reach = 3.5 * sigma_seconds
    first, last = np.searchsorted(t, t - reach), np.searchsorted(t, t + reach, side="right")
    radius = int(max((np.arange(len(t)) - first).max(), (last - 1 - np.arange(len(t))).max()))
    s0, s1, s2, m0, m1 = (np.zeros_like(flat) for _ in range(5))
    for offset in range(-radius, radius + 1):
        here = slice(max(0, -offset), min(len(t), len(t) - offset))
        there = slice(here.start + offset, here.stop + offset)
        d = t[there] - t[here]
        weight = (np.exp(-0.5 * (d / sigma_seconds) ** 2) * (np.abs(d) <= reach))[:, None] * share[there]
        d = d[:, None]
        s0[here] += weight
        s1[here] += weight * d
        s2[here] += weight * d**2
        m0[here] += weight * zeroed[there]
        m1[here] += weight * d * zeroed[there]
    # Where only one value has weight the slope is undefined: use the weighted mean.
    determinant = s0 * s2 - s1**2
    flatline = determinant <= 1e-9 * s0 * s2 + 1e-30
    line = (s2 * m0 - s1 * m1) / np.where(flatline, 1.0, determinant)
    mean = m0 / np.where(s0 > 0, s0, 1.0)
    return np.where(known, np.where(flatline, mean, line), np.nan).reshape(x.shape)


def fill_gaps(values: NDArray[Any], pts_seconds: NDArray[Any]) -> Float64Array:
    """Fill NaN by linear interpolation in time, and hold the first and last known value beyond; all NaN stays NaN."""
    x = np.asarray(values, np.float64)
    flat = x.reshape(len(x), -1).copy()
    for column in flat.T:
        known = np.isfinite(column)
        if known.any() and not known.all():
            column[~known] = np.interp(pts_seconds[~known], pts_seconds[known], column[known])
    return flat.reshape(x.shape)


def velocity(values: NDArray[Any], pts_seconds: NDArray[Any]) -> Float64Array:
    """Return the central difference per second (one-sided at the ends and beside NaN; NaN where neither is known)."""
    x = np.asarray(values, np.float64)
    t = np.asarray(pts_seconds, np.float64).reshape(-1, *(1,) * (x.ndim - 1))
    if len(x) < 2:
        return np.full_like(x, np.nan)
    step = np.diff(x, axis=0) / np.diff(t, axis=0)
    edge = np.full_like(x[:1], np.nan)
    before, after = np.concatenate([edge, step]), np.concatenate([step, edge])
    both = (x - x) + (before + after) / 2
    return np.where(np.isfinite(both), both, np.where(np.isfinite(before), before, after))


def envelope_above(values: NDArray[Any], pts_seconds: NDArray[Any], reach_seconds: float) -> Float64Array:
    """Return a smooth curve (T,) that is nowhere below the values: sliding maximum, then a raised-cosine average.

    The average has exactly the support of the maximum, so every maximum in it covers the value at its center.
    """
    x = np.asarray(values, np.float64)
    t = np.asarray(pts_seconds, np.float64)
    first = np.searchsorted(t, t - reach_seconds)
    last = np.searchsorted(t, t + reach_seconds, side="right")
    highest = np.array([x[a:b].max() for a, b in zip(first, last, strict=True)])
    result = np.empty_like(x)
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        weight = 1.0 + 1e-3 + np.cos(np.pi * (t[a:b] - t[i]) / max(reach_seconds, 1e-9))
        result[i] = weight @ highest[a:b] / weight.sum()
    return result


def smoothstep(u: NDArray[Any] | float) -> Float64Array:
    """Return 0 below 0, 1 above 1, and a smooth cubic in between."""
    u = np.clip(u, 0.0, 1.0)
    return np.asarray(u * u * (3 - 2 * u), np.float64)


def true_runs(flags: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (start, stop) of each run of True in (T,), stop exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(flags, bool), [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def longest_run(flags: NDArray[Any]) -> tuple[int, int]:
    """Return (start, stop) of the longest run of True in (T,), the first of them; (0, 0) where there is none."""
    return max(true_runs(flags), key=lambda run: run[1] - run[0], default=(0, 0))


def equal_runs(values: NDArray[Any]) -> list[tuple[int, int]]:
    """Return (start, stop) of each stretch of equal values of a (T,) array, in order."""
    if not len(values):
        return []
    borders = [0, *(np.flatnonzero(values[1:] != values[:-1]) + 1).tolist(), len(values)]
    return list(pairwise(borders))


def shot_slices(shot_starts: NDArray[Any], num_frames: int) -> list[slice]:
    """Return one slice of frames for each shot."""
    ends = [*shot_starts[1:], num_frames]
    return [slice(int(a), int(b)) for a, b in zip(shot_starts, ends, strict=True)]


def gaussian_mean(values: Float64Array, pts_seconds: NDArray[np.float64], sigma_seconds: float) -> Float64Array:
    """Return the average of values (T, ...) around each frame with Gaussian weights.

    Unlike ``gaussian_smooth`` its weights are never negative, as sums of squares need it, and a slope is not preserved
    at the ends.
    """
    shape = (len(values), *(1,) * (values.ndim - 1))
    total = values.copy()
    norm = np.ones(len(values))
    for lag in range(1, len(values)):
        weight = np.exp(-0.5 * ((pts_seconds[lag:] - pts_seconds[:-lag]) / sigma_seconds) ** 2)
        if weight.max() < _NEGLIGIBLE:
            break
        spread = weight.reshape(-1, *shape[1:])
        total[:-lag] += spread * values[lag:]
        total[lag:] += spread * values[:-lag]
        norm[:-lag] += weight
        norm[lag:] += weight
    return np.asarray(total / norm.reshape(shape))
