"""Cross-fades and pushes: where the shots on both sides meet, and what the user is told."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import times_of

MOST_BLANK_FRAMES = 12
"""Of one color, between a fade out and a fade in."""


def with_cross_fades(shot_starts: NDArray[np.int64], blend_weights: NDArray[np.float32] | None) -> NDArray[np.int64]:
    """Return the first frames of all shots: a cross-fade without a cut has one where the later picture prevails.

    ``blend_weights`` (T,) are those of the survey. A fade out and the fade in after it are one transition.
    """
    if blend_weights is None:
        return shot_starts
    starts = []
    for start, stop in true_runs(in_transition(blend_weights)):
        if not ((shot_starts >= start) & (shot_starts <= stop)).any():
            later = np.flatnonzero(blend_weights[start:stop] >= 0.5)
            starts.append(start + int(later[0]) if len(later) else stop)
    return np.unique(np.concatenate([shot_starts, np.array(starts, np.int64)]))


def in_transition(blend_weights: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (T,): the frames of cross-fades, and the few of one color between a fade out and a fade in."""
    blended = np.isfinite(blend_weights)
    known = np.flatnonzero(blended)
    for before, after in pairwise(known.tolist()):
        if after - before <= MOST_BLANK_FRAMES + 1:
            blended[before:after] = True
    return blended


def cross_fades_told(blend_weights: NDArray[np.float32] | None, info: VideoInfo) -> tuple[str, ...]:
    """Return the warning about frames that show two shots at once; ``blend_weights`` (T,) as in ``Survey``."""
    if blend_weights is None:
        return ()
    times = times_of(true_runs(np.isfinite(blend_weights)), info)
    return (f"two shots fade into each other {times}: there the original person may shine through",)


def pushes_told(pushes: NDArray[np.int64] | None, info: VideoInfo) -> tuple[str, ...]:
    """Return the warning about frames that show two shots side by side, ``Survey.pushes``."""
    if pushes is None or not len(pushes):
        return ()
    times = times_of([(int(first), int(stop)) for first, stop in pushes], info)
    return (f"one shot pushes the other out of the picture {times}: there the original person may be left",)
