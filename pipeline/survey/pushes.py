"""Transitions in which the next shot pushes the last one out of the picture, across or down.

Both pictures move by the same distance in each frame, side by side, so that all of it looks like a pan of the camera.
But behind the edge at which they meet lies another place: the frames are put together from the clear picture before
and the one after, moved by distances that differ by exactly one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.survey import CameraMotion
from pipeline.maths.reduce import reduced
from pipeline.maths.smoothing import true_runs
from pipeline.media.pixels import rgb_of
from pipeline.runtime.callbacks import Check
from pipeline.survey.shots import small_size

_LEAST_STEP = 0.012
"""Of the picture's side: motion from one frame to the next."""
_LEAST_FRAMES, _MOST_SECONDS = 4, 1.3
_ROOM_FRAMES = 5
"""Beside the fast ones: a push begins and ends slowly."""
_LEAST_OVERLAP = 0.15
_UNLIKE = 0.55
"""Mean difference of a part of a frame from the clear picture, relative to that from an unrelated one."""
_MEET = 0.08
"""Of the picture's side, by which the two may overlap or be apart: both cameras move on."""
_STILL = 0.02
"""Of the picture's side, by which the cameras move before and after it."""
_AGREEING = 0.8
"""Share of the fast frames that are put together from both pictures."""


@dataclass(frozen=True, slots=True)
class Push:
    """Frames ``first`` to ``stop`` (exclusive) show two pictures side by side."""

    first: int
    stop: int
    start: int
    """The first frame that shows more of the later picture."""


def find_pushes(clip: FrameSource, motion: CameraMotion, shot_starts: Sequence[int], check: Check) -> list[Push]:
    """Return the pushes of a clip; the last clear frame before each and the first one after it are not part of it.

    ``check`` is called for every fast part of the clip and may raise.
    """
    count = len(motion.world_from_source)
    size = np.array(clip.info.size_wh, np.float64)
    middle = np.array([*size / 2, 1.0])
    fast = ~motion.reliable
    for t in range(1, count):
        seen = np.linalg.inv(motion.world_from_source[t - 1]) @ motion.world_from_source[t] @ middle
        fast[t] |= bool((np.abs(seen[:2] / seen[2] - size / 2) > _LEAST_STEP * size).any())
    fast[list(shot_starts)] = True
    rate = float(clip.info.frame_rate) or 30.0
    wh = small_size(clip.info.size_wh)
    pushes = []
    for start, stop in true_runs(_without_gaps(fast)):
        first, last = max(start - _ROOM_FRAMES, 0), min(stop + _ROOM_FRAMES, count) - 1
        if not _LEAST_FRAMES <= stop - start <= _MOST_SECONDS * rate or last - first < _LEAST_FRAMES:
            continue
        check()
        grays = [_gray(rgb_of(frame), wh) for frame in clip.frames_at(range(first, last + 1))]
        shares = _shares_across(grays)
        if shares is None:
            shares = _shares_across([np.ascontiguousarray(gray.T) for gray in grays])
        if shares is not None:
            mixed = np.flatnonzero((shares > 0) & (shares < 1))
            later = first + int(np.flatnonzero(shares >= 0.5)[0])
            pushes.append(Push(first + int(mixed[0]), first + int(mixed[-1]) + 1, later))
    return pushes


def starts_in_pushes(pushes: Sequence[Push], shot_starts: Sequence[int]) -> list[int]:
    """Return the first frames of the shots that push another one out; there are none where a cut was found."""
    return [push.start for push in pushes if not any(push.first <= start <= push.stop for start in shot_starts)]


def _without_gaps(fast: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (T,) with the few frames between two fast ones: a cut within a push hides its motion."""
    kernel = np.ones((3, 1), np.uint8)
    closed = cv2.morphologyEx(fast.view(np.uint8)[:, None], cv2.MORPH_CLOSE, kernel, borderValue=0)
    return np.asarray(closed[:, 0] > 0)


def _gray(picture: NDArray[np.uint8], wh: tuple[int, int]) -> Float32Array:
    gray = cv2.cvtColor(reduced(picture, wh), cv2.COLOR_RGB2GRAY)
    return cv2.GaussianBlur(gray, (0, 0), 1.0).astype(np.float32)


def _shares_across(grays: Sequence[Float32Array]) -> NDArray[np.float64] | None:
    """Return (n,): the share of the last picture in each (h, w), where it pushes the first one out across; else
    None."""
    width = grays[0].shape[1]
    unrelated = [float(np.abs(end - end[::-1, ::-1]).mean()) for end in (grays[0], grays[-1])]
    shares = np.full(len(grays), np.nan)
    directions = []
    for t, gray in enumerate(grays):
        earlier, later = (_moved_by(end, gray, far) for end, far in zip((grays[0], grays[-1]), unrelated, strict=True))
        if earlier is not None and abs(earlier) <= _STILL * width:
            shares[t] = 0.0
        elif later is not None and abs(later) <= _STILL * width:
            shares[t] = 1.0
        elif earlier is not None and later is not None and abs(abs(earlier - later) - width) <= _MEET * width:
            shares[t] = abs(earlier) / width
            directions.append(np.sign(earlier))
    inner = shares[(shares > 0) & (shares < 1)]
    is_push = len(inner) >= _LEAST_FRAMES - 1 and len(inner) >= _AGREEING * _frames_that_tell(shares)
    if not is_push or len(set(directions)) != 1 or shares[0] != 0 or shares[-1] != 1:
        return None
    known = np.flatnonzero(np.isfinite(shares))
    whole = np.interp(np.arange(len(shares)), known, shares[known])
    return whole if bool((np.diff(whole) >= -1e-9).all()) else None


def _frames_that_tell(shares: NDArray[np.float64]) -> int:
    """Return how many frames within a push show enough of both pictures; ``shares`` (n,) are NaN where unknown."""
    known = np.flatnonzero(np.isfinite(shares))
    whole = np.interp(np.arange(len(shares)), known, shares[known]) if len(known) else shares
    slim = (whole < _LEAST_OVERLAP) | (whole > 1 - _LEAST_OVERLAP)
    is_within = (shares != 0) & (shares != 1)
    return int(np.count_nonzero(is_within & ~(slim & np.isnan(shares))))


def _moved_by(end: Float32Array, gray: Float32Array, unrelated: float) -> int | None:
    """Return the columns by which a clear picture has moved to the right in a frame; None where it is not seen."""
    width = end.shape[1]
    reach = round((1 - _LEAST_OVERLAP) * width)
    best, found = np.inf, 0
    for shift in range(-reach, reach + 1):
        low, high = max(shift, 0), min(width + shift, width)
        difference = float(np.abs(gray[::2, low:high] - end[::2, low - shift : high - shift]).mean())
        if difference < best:
            best, found = difference, shift
    return found if best <= _UNLIKE * unrelated else None
