"""How opaque a translucent panel is over time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array

_MEDIAN_FRAMES = 5
_STEADY = 0.3
"""Largest typical deviation of the opacity that the edges show, relative to it."""
_ALIKE = 0.15
"""How much the opacity at the edges may differ from that found by comparing pictures."""
_FULL = 0.85
_NOTHING = 0.15
"""Shares of its opacity between which a panel fades."""


def opacity_over_time(
    frames: NDArray[np.int64], measured: Float64Array, expected: float
) -> tuple[int, Float64Array] | None:
    """Return a panel's first frame, and its opacity (N,) from there on: constant, with a fade at both ends.

    ``measured`` (M,) is what its edges show in ``frames`` (M,), NaN where nothing; ``expected`` the opacity found by
    comparing pictures. None where the edges vary too much.
    """
    known = np.isfinite(measured)
    if not known.any():
        return None
    measured = np.interp(frames, frames[known], measured[known])
    calm = _running_median(measured)
    shown = calm >= 0.5 * expected
    if not shown.any():
        return None
    full = calm[shown]
    typical = float(np.median(full))
    if float(np.median(np.abs(full - typical))) > _STEADY * typical:
        return None
    opacity = expected if abs(typical - expected) <= _ALIKE else typical
    share = measured / max(typical, 1e-6)
    begin, end = int(np.argmax(shown)), len(shown) - 1 - int(np.argmax(shown[::-1]))
    while begin > 0 and share[begin - 1] > _NOTHING and share[begin - 1] < _FULL:
        begin -= 1
    while end < len(shown) - 1 and share[end + 1] > _NOTHING and share[end + 1] < _FULL:
        end += 1
    course = np.interp(np.arange(frames[begin], frames[end] + 1), frames, _with_fades(share, begin, end))
    return int(frames[begin]), np.clip(course, 0, 1) * opacity


def _with_fades(share: Float64Array, begin: int, end: int) -> Float64Array:
    """Return the share of its opacity (M,) that a panel has: as measured while it fades, else 1."""
    result = np.ones(len(share))
    for places in (range(begin, end + 1), range(end, begin - 1, -1)):
        for place in places:
            if share[place] >= _FULL:
                break
            result[place] = share[place]
    return result


def _running_median(values: Float64Array) -> Float64Array:
    half = _MEDIAN_FRAMES // 2
    padded = np.pad(values, half, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, _MEDIAN_FRAMES), axis=-1))
