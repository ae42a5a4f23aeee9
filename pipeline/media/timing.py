"""Times of frames: a frame rate that can be trusted, and time stamps mended where they do not rise."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_TRUSTED = 0.05
"""A stated rate this near to the measured one is taken: 30000/1001 is better than what times in ms give."""
_LONGEST_STEP = 3
_USUAL_RATE = Fraction(25)
_LARGEST_MENDED_SHARE = 0.5


def measured_rate(pts: NDArray[np.int64], time_base: Fraction, stated: Fraction | None) -> Fraction:
    """Return frames a second from a clip's own time stamps (T,), strictly rising.

    Containers state a rate that browsers and recorders fill with anything (1000 in many WebM files), and the mean over
    a clip with pauses is no frame's rate. So: the mean step, where no step counts as more than three median ones. What
    is ``stated`` is returned where it agrees, and where there is one frame alone.
    """
    steps = np.diff(pts)
    if not len(steps):
        return stated if stated else _USUAL_RATE
    without_pauses = np.minimum(steps, _LONGEST_STEP * float(np.median(steps)))
    measured = 1 / (float(np.mean(without_pauses)) * float(time_base))
    if stated and abs(float(stated) - measured) <= _TRUSTED * measured:
        return stated
    return Fraction(measured).limit_denominator(1001)


def last_duration(durations: Sequence[int], pts: NDArray[np.int64], rate: Fraction, time_base: Fraction) -> int:
    """Return how long the last frame is shown, in ``time_base``.

    The decoder's word counts where its durations (T,) agree with the steps between time stamps; a container without
    durations has them filled from the rate that it states, which may be far off.
    """
    usual = max(round(1 / (rate * time_base)), 1)
    if durations[-1] <= 0:
        return usual
    steps = np.diff(pts)
    if len(steps) and not 0.5 <= float(np.median(durations)) / float(np.median(steps)) <= 2:
        return usual
    return durations[-1]


def rises(stamps: Sequence[int | None]) -> bool:
    """Tell whether every frame has a time stamp and each is later than the one before."""
    known = [stamp for stamp in stamps if stamp is not None]
    return len(known) == len(stamps) and all(later > earlier for earlier, later in pairwise(known))


def never_falls(stamps: Sequence[int | None]) -> bool:
    """Tell whether every frame has a time stamp and none is earlier than the one before: some may be the same."""
    known = [stamp for stamp in stamps if stamp is not None]
    return len(known) == len(stamps) and all(later >= earlier for earlier, later in pairwise(known))


def mended_stamps(stamps: Sequence[int | None], step: int) -> tuple[NDArray[np.int64], int] | None:
    """Return strictly rising time stamps (T,) and how many of them were mended; None where too few can be kept.

    Kept are the stamps of the longest rising row (of equal ones the first); each other frame is put between its
    neighbors, or ``step`` apart beyond the ends. Where two neighbors leave no room, what follows moves by a tick.
    """
    kept = _longest_rising(stamps)
    if len(kept) < max(len(stamps) * _LARGEST_MENDED_SHARE, 1):
        return None
    values = np.array([stamps[index] for index in kept], np.int64)
    places = np.arange(len(stamps))
    between = np.interp(places, kept, values.astype(np.float64))
    before = values[0] - step * (kept[0] - places)
    behind = values[-1] + step * (places - kept[-1])
    mended = np.where(places < kept[0], before, np.where(places > kept[-1], behind, np.rint(between)))
    result = mended.astype(np.int64)
    # Interpolation in doubles is exact enough between, and the kept ones are what they were.
    result[kept] = values
    ladder = np.arange(len(result))
    result = np.maximum.accumulate(result - ladder) + ladder
    return result, len(stamps) - len(kept)


def _longest_rising(stamps: Sequence[int | None]) -> list[int]:
    """Return the places of a longest strictly rising row; of equal stamps in it the earliest (patience sorting)."""
    ends: list[int] = []
    places: list[int] = []
    before: list[int] = [-1] * len(stamps)
    for place, stamp in enumerate(stamps):
        if stamp is None:
            continue
        length = bisect_left(ends, stamp)
        before[place] = places[length - 1] if length else -1
        if length == len(ends):
            ends.append(stamp)
            places.append(place)
        elif ends[length] != stamp:
            ends[length] = stamp
            places[length] = place
    row: list[int] = []
    place = places[-1] if places else -1
    while place >= 0:
        row.append(place)
        place = before[place]
    return row[::-1]
