"""Robust statistics of the fits: scale from the median, Cauchy's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.compiled import njit

CAUCHY = 2.385
"""Cauchy's tuning constant: 95 % efficiency on normal residuals (Holland and Welsch 1977)."""
MEDIAN_OF_LENGTHS = 1.1774
"""Median of a normal 2D residual's length over the sigma of its x and y (Rayleigh)."""
SIGMA_OF_MEDIAN = 1.4826
"""Sigma of normal values over the median of their magnitudes."""


@njit(cache=True, nogil=True)
def median_of(values: NDArray[np.float64]) -> float:
    """Return the median of values (N,); NaN where one of them is, or where there are none."""
    for value in values:
        if np.isnan(value):
            return np.nan
    return float(np.median(values)) if len(values) else np.nan


def cauchy_weights(
    residual: NDArray[np.float64], sigma: float, prior: NDArray[np.float64] | float = 1.0
) -> NDArray[np.float64]:
    """Return weights (N,), 1 at a residual of 0 and falling with its square, times the values' own ``prior``."""
    return prior / (1.0 + (residual / (CAUCHY * sigma)) ** 2)


def sigma_of_lengths(lengths: NDArray[Any]) -> float:
    """Return the robust sigma per axis of 2D residuals, from their lengths (N,)."""
    return median_of(np.ascontiguousarray(lengths, np.float64)) / MEDIAN_OF_LENGTHS


def sigma_of_values(values: NDArray[Any]) -> float:
    """Return the robust sigma of residuals (N,) around 0.

    Given the *lengths* of 2D residuals it is 1.75 times ``sigma_of_lengths``: a laxer scale, with fewer outliers.
    """
    return SIGMA_OF_MEDIAN * median_of(np.ascontiguousarray(np.abs(values), np.float64))


def agreed_value(values: NDArray[np.float64], weights: NDArray[np.float64], disagree: float) -> float:
    """Return the value that several cues (N,) agree on: Cauchy weights on top of each cue's own ``weights`` (N,).

    A cue that is off by ``disagree`` counts half. Starts at the weighted median.
    """
    order = np.argsort(values)
    half = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    middle = float(values[order][min(half, len(values) - 1)])
    for _ in range(10):
        robust = weights / (1 + ((values - middle) / disagree) ** 2)
        middle = float(robust @ values / robust.sum())
    return middle
