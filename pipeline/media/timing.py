"""Frame timing: a reliable frame rate, and repair of timestamps that do not increase."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.shaped import Shaped, Shapes

_TRUSTED = 0.05
"""A stated rate this near to the measured one is used: 30000/1001 is better than what times in ms yield."""
_LONGEST_STEP = 3
_USUAL_RATE = Fraction(25)
_LARGEST_MENDED_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameTimes(Shaped):
    """When the frames of a clip are shown, in its time base."""

    SHAPES: ClassVar[Shapes] = {"pts": ("T",), "durations": ("T",)}

    pts: NDArray[np.int64]
    """(T,) strictly increasing."""
    durations: NDArray[np.int64]
    """(T,)."""
    rate: Fraction
    """Frames per second."""


def measured_rate(pts: NDArray[np.int64], time_base: Fraction, stated: Fraction | None) -> Fraction:
    """Return frames per second from a clip's own timestamps (T,), strictly increasing.

    The rate in the container may be arbitrary (1000 in many WebM files from browsers and recorders), and the mean over
    a clip with pauses matches no frame. So the mean step is used, with each step capped at three median ones. The
    ``stated`` rate is returned where it agrees, and where there is only one frame.
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
    """Return the duration of the last frame, in ``time_base``.

    The decoder's value is used where its durations (T,) agree with the steps between timestamps; for a container
    without durations they are derived from the stated rate, which may be far off.
    """
    usual = max(round(1 / (rate * time_base)), 1)
    if durations[-1] <= 0:
        return usual
    steps = np.diff(pts)
    if len(steps) and not 0.5 <= float(np.median(durations)) / float(np.median(steps)) <= 2:
        return usual
    return durations[-1]


def rises(stamps: Sequence[int | None]) -> bool:
    """Return whether every frame has a timestamp and each is later than the previous one."""
    known = [stamp for stamp in stamps if stamp is not None]
    return len(known) == len(stamps) and all(later > earlier for earlier, later in pairwise(known))


def never_falls(stamps: Sequence[int | None]) -> bool:
    """Return whether every frame has a timestamp and none is earlier than the previous one; they may repeat."""
    known = [stamp for stamp in stamps if stamp is not None]
    return len(known) == len(stamps) and all(later >= earlier for earlier, later in pairwise(known))


def mended_stamps(stamps: Sequence[int | None], step: int) -> tuple[NDArray[np.int64], int] | None:
    """Return strictly increasing timestamps (T,) and how many of them were repaired; None where too few can be kept.

    The longest increasing subsequence is kept (of equal timestamps the first); every other frame is placed between its
    neighbors, or ``step`` apart beyond the ends. Where two neighbors leave no room, later ones move by a tick.
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
    # Interpolation in doubles is accurate enough, and the kept ones are unchanged.
    result[kept] = values
    ladder = np.arange(len(result))
    result = np.maximum.accumulate(result - ladder) + ladder
    return result, len(stamps) - len(kept)


def _longest_rising(stamps: Sequence[int | None]) -> list[int]:
    """Return the indices of a longest strictly increasing subsequence; of equal values the earliest (patience
    sorting)."""
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
