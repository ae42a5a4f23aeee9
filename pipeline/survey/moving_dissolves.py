"""Cross-fades while the cameras or the people in both pictures move much.

Where two unrelated pictures are mixed, the energy of their details falls to half of what the pictures before and after
have (Alattar, "Detecting and compressing dissolve regions in video sequences with a DVI multimedia image compression
algorithm", 1993, with the variance of the gray levels), however the cameras move. Motion blur does the same; therefore
the frames around such a dip have to be mixtures of the clear pictures beside it, each moved as its camera moves on
(``maths.mixtures``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array, Picture
from pipeline.datatypes.clip import FrameSource
from pipeline.maths.mixtures import Mixture, fit_mixtures, matrix_of, motion_of
from pipeline.maths.optical_flow import LEAST_SIDE_PX
from pipeline.maths.reduce import reduced
from pipeline.maths.smoothing import true_runs
from pipeline.media.pixels import rgb_of
from pipeline.runtime.callbacks import Check

_SHORT_SIDE_PX = 120
"""Of the pictures that are looked at."""
_LENGTHS_SECONDS = (0.27, 0.4, 0.55, 0.75, 1.0, 1.3, 1.6)
"""Windows: a cross-fade is found by the shortest one that holds it."""
_DETAIL_BLUR_PX = 1.0
_DIP = 0.75
"""Largest energy of the details in the middle of a window, relative to the mean of its ends."""
_LEAST_ENERGY = 0.1
"""Of the details at each end of a window: a plain picture has no dip, and fades from and to one are found without."""
_DIP_ROOM = 6
"""Frames around a dip in which there is no other one."""
_BESIDE = 4
"""Clear frames beside a window, from which the motion of both pictures is measured."""
_MIXED = (0.1, 0.9)
_LEAST_MIXED = 3
"""Frames with such weights; a cut has none, and a flow-blended one between two frame rates has one."""
_OFF, _TYPICALLY_OFF = 0.6, 0.5
"""Largest and median difference of such a frame from the mixture, relative to that of its two pictures."""
_OFF_IN_LONGER = 0.8
"""Largest difference in a longer window: pictures are known from farther away."""
_SURE = 0.35
"""Largest difference at the ends of a clip, where no longer window can confirm it."""
_LONGER_FRAMES = 4
"""By which the half of that window is longer."""
_REFUTED = 0.65
"""Median difference from which on a longer window needs not be looked at."""
_LEAST_OVERLAP = 0.3
"""Of the picture, in which both pictures are known."""
_BACK = 0.04
_LARGEST_STEP = 0.5
_STILL_STEP = 0.5
"""Largest step of the weight at the ends of a window that holds the whole of it, relative to the largest one."""
_ENDS = (0.015, 0.985)
_FLOW_STEP_PX = 6
_FLOW_NOISE_PX = 0.7


@dataclass(slots=True)
class DetailEnergy:
    """Takes a clip's small pictures in order and keeps a number of each."""

    values: list[float] = field(default_factory=list)

    def push(self, small: Picture) -> None:
        """Take the next frame, RGB at a small size."""
        gray = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), _DETAIL_BLUR_PX)
        gx, gy = (cv2.Sobel(gray, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
        self.values.append(float(np.mean(gx * gx + gy * gy)))


def with_moving_dissolves(
    clip: FrameSource, energy: Sequence[float], known: NDArray[np.float32] | None, check: Check
) -> NDArray[np.float32] | None:
    """Return (T,): in cross-fades the weight of the later picture, else NaN; None where there are none.

    ``energy`` (T,) are the values of ``DetailEnergy``. ``known`` are the cross-fades and fades found without motion;
    one that is found here as well has the weights found here. ``check`` is called for every window that is looked at
    and may raise.
    """
    found = _found(clip, energy, check)
    if known is not None:
        for first, stop in true_runs(np.isfinite(known)):
            if not np.isfinite(found[first:stop]).any():
                found[first:stop] = known[first:stop]
    return found if np.isfinite(found).any() else None


def _found(clip: FrameSource, energy: Sequence[float], check: Check) -> NDArray[np.float32]:
    found = np.full(len(energy), np.nan, np.float32)
    rate = float(clip.info.frame_rate) or 30.0
    halves = sorted({max(_BESIDE, round(seconds * rate / 2)) for seconds in _LENGTHS_SECONDS})
    frames = _SmallFrames(clip)
    refuted = np.zeros(len(energy), np.bool_)
    for half in halves:
        for middle in _dips(np.asarray(energy, np.float64), half):
            near = slice(max(middle - _DIP_ROOM, 0), middle + _DIP_ROOM + 1)
            if refuted[middle] or np.isfinite(found[near]).any():
                continue
            check()
            window = _Window.of(frames, middle, half)
            if window.is_dissolve():
                # In a longer one a pan is off by more, and the first and the last frames are told more exactly.
                longer = half + _LONGER_FRAMES
                if middle - longer >= _BESIDE and middle + longer + _BESIDE < len(energy):
                    window = _Window.of(frames, middle, longer)
                    is_sure = window.is_dissolve(_OFF_IN_LONGER)
                else:
                    is_sure = window.is_surely_mixed
                if is_sure:
                    mixed = np.flatnonzero((window.weights > _ENDS[0]) & (window.weights < _ENDS[1]))
                    part = slice(int(mixed[0]), int(mixed[-1]) + 1)
                    found[window.first + part.start : window.first + part.stop] = window.weights[part]
            elif window.is_refuted:
                refuted[near] = True
    return found


def _dips(energy: Float64Array, half: int) -> Iterator[int]:
    """Yield the frames around which details are fewer than ``half`` a window before and after."""
    count = len(energy)
    depth = np.full(count, np.inf)
    for middle in range(half + _BESIDE, count - half - _BESIDE):
        before = np.median(energy[middle - half - 2 : middle - half + 1])
        after = np.median(energy[middle + half : middle + half + 3])
        if min(before, after) >= _LEAST_ENERGY:
            depth[middle] = 2 * np.median(energy[middle - 1 : middle + 2]) / (before + after)
    for middle in np.flatnonzero(depth < _DIP).tolist():
        # Of frames that are alike, as in a second of black, one is enough.
        is_first = depth[middle] < depth[max(middle - _DIP_ROOM, 0) : middle].min(initial=np.inf)
        if is_first and depth[middle] <= depth[middle : middle + _DIP_ROOM + 1].min():
            yield middle


class _SmallFrames:
    """Gray pictures of a clip at a small size; those of the last request are kept."""

    def __init__(self, clip: FrameSource) -> None:
        self._clip = clip
        width, height = clip.info.size_wh
        ratio = min(1.0, _SHORT_SIDE_PX / min(width, height))
        self._small_wh = max(LEAST_SIDE_PX, round(width * ratio)), max(LEAST_SIDE_PX, round(height * ratio))
        self._kept: dict[int, NDArray[np.uint8]] = {}

    def between(self, first: int, last: int) -> list[NDArray[np.uint8]]:
        """Return the frames from ``first`` to ``last``, both included."""
        missing = [number for number in range(first, last + 1) if number not in self._kept]
        kept = {number: gray for number, gray in self._kept.items() if first <= number <= last}
        for frame in self._clip.frames_at(missing) if missing else ():
            gray = cv2.cvtColor(reduced(rgb_of(frame), self._small_wh), cv2.COLOR_RGB2GRAY)
            kept[frame.index] = np.asarray(gray, np.uint8)
        self._kept = kept
        return [kept[number] for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Frames between two clear pictures, as far as they are mixtures of both."""

    first: int
    weights: Float64Array
    """(n,) of the later picture."""
    off: Float64Array
    """(n,) mean difference from the mixture, relative to that of the two pictures."""

    @classmethod
    def of(cls, clip: _SmallFrames, middle: int, half: int) -> _Window:
        """Fit a window whose clear pictures are ``half`` a window before and after its middle."""
        grays = clip.between(middle - half - _BESIDE, middle + half + _BESIDE)
        earlier, *frames, later = grays[_BESIDE : len(grays) - _BESIDE]
        steps = _motion(earlier, grays[0]) / _BESIDE, _motion(later, grays[-1]) / _BESIDE
        everywhere = [np.ones(earlier.shape, np.bool_)] * len(frames)
        even = ((np.arange(len(frames)) + 1) / (len(frames) + 1)).tolist()
        mixtures = fit_mixtures(frames, (earlier, later), everywhere, steps, even)
        off = [_off(frame, (earlier, later), each) for frame, each in zip(frames, mixtures, strict=True)]
        return cls(middle - half + 1, np.array([each.weight for each in mixtures]), np.array(off))

    @property
    def _is_mixed(self) -> NDArray[np.bool_]:
        return (self.weights > _MIXED[0]) & (self.weights < _MIXED[1])

    def is_dissolve(self, most_off: float = _OFF) -> bool:
        """Return whether the window holds the whole of a cross-fade, off by ``most_off`` at most."""
        off = self.off[self._is_mixed]
        if len(off) < _LEAST_MIXED or off.max() > most_off or np.median(off) > _TYPICALLY_OFF:
            return False
        steps = np.diff([0.0, *self.weights, 1.0])
        is_whole = max(steps[0], steps[-1]) <= _STILL_STEP * steps.max()
        return bool(is_whole and steps.min() >= -_BACK and steps.max() <= _LARGEST_STEP)

    @property
    def is_surely_mixed(self) -> bool:
        return bool(self.off[self._is_mixed].max() <= _SURE)

    @property
    def is_refuted(self) -> bool:
        off = self.off[self._is_mixed]
        return len(off) > 0 and bool(np.median(off) > _REFUTED)


def _motion(now: NDArray[np.uint8], then: NDArray[np.uint8]) -> Float64Array:
    """Return (4,) the camera's motion from one gray picture (h, w) to another one near in time; 0 where it is unknown,
    as in a picture of a dozen lines."""
    height, width = now.shape
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(now, then, None)
    y, x = (axis.ravel() for axis in np.mgrid[_FLOW_STEP_PX:height:_FLOW_STEP_PX, _FLOW_STEP_PX:width:_FLOW_STEP_PX])
    places = np.stack([x, y], axis=1).astype(np.float32)
    if len(places) < 2:
        return np.zeros(4)
    matrix, _ = cv2.estimateAffinePartial2D(places, places + flow[y, x], ransacReprojThreshold=_FLOW_NOISE_PX)
    return np.zeros(4) if matrix is None else motion_of(np.vstack([matrix, [0, 0, 1]]), (width, height))


def _off(frame: NDArray[np.uint8], ends: tuple[NDArray[np.uint8], NDArray[np.uint8]], mixture: Mixture) -> float:
    """Return the mean difference of a frame (h, w) from its mixture, relative to that of the moved pictures; infinite
    where these hardly overlap."""
    size_wh = (frame.shape[1], frame.shape[0])
    both = np.ones(frame.shape, np.bool_)
    moved: list[Float32Array] = []
    for end, motion in zip(ends, (mixture.earlier, mixture.later), strict=True):
        matrix = matrix_of(motion, size_wh)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        both &= cv2.warpAffine(np.ones(frame.shape, np.uint8), matrix, size_wh, flags=flags) > 0
        moved.append(_blurred(cv2.warpAffine(end, matrix, size_wh, flags=flags)))
    if both.mean() < _LEAST_OVERLAP:
        return np.inf
    earlier, later = moved
    mixed = (1 - np.float32(mixture.weight)) * earlier + np.float32(mixture.weight) * later
    distance = float(np.abs(later - earlier)[both].mean())
    return float(np.abs(_blurred(frame) - mixed)[both].mean()) / max(distance, 1e-3)


def _blurred(gray: NDArray[np.generic]) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(gray.astype(np.float32), (0, 0), _DETAIL_BLUR_PX), np.float32)
