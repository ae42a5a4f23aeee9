"""Static occluders in front of the subject, recognized by the plate being visible inside the silhouette.

Evidence is accumulated in plate space from all frames near it in time: for each place, how often the plate was visible
where the subject is, and how often the subject was. It holds while the subject is behind the object, and reverses when
the subject is seen in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, those_of
from pipeline.runtime.compiled import njit
from pipeline.scene.covered import covered
from pipeline.scene.narrow import LINES, narrow_lines
from pipeline.scene.samples import Sample, surroundings, uncovered
from pipeline.scene.views import WORK_BODY_PX, Shown

_PRIOR = 0.35
"""Prior count of neutral observations: a single observation gives at most two thirds certainty."""
_HIDDEN_WEIGHT = 0.5
"""Weight of an observation at the position of an undetected subject: one alone is not enough."""
_HIDING_SHARE = 0.3
"""Fraction of the limbs from which on other people are why the subject was not detected."""
_SURE = 0.55
_LEAST_LOOKS = 0.9
_LEAST_WRONG = 3.0
_WRONG_SHARE = 0.5
"""A place that differs from the plate in more than half of its observations: moving objects leave sooner."""
_LEAST_AREA_PX = 120
"""Least size of an occluder, at ``WORK_BODY_PX``: smaller ones are a coincidence of colors."""
_LEAST_THIN_LOOKS = 0.8
_THIN_SURE = 0.65
"""The same along a line."""
_LEAST_LENGTH_PX = 20
"""Least length of a narrow object, at ``WORK_BODY_PX``."""
_BROAD = 0.015
"""Square body heights: a region this large inside the silhouette is no error of its outline."""
_LEG_SHARE = 0.3
"""Least share of that in each of two regions that count together."""
_LEAST_TRAVEL_BH = 0.03
"""How far the subject must have moved behind anything smaller: what is an error of the outline moves with it."""
_REACH_BH = 0.2
"""Distance beyond the evidence up to which an object is grown to its edge in the plate."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One frame's evidence, (h, w) of its view: the same for every plate near it."""

    covered: Mask
    uncovered: Mask
    looked: Mask
    """Where nothing but the plate should be visible."""
    differed: Mask
    broad: Mask
    """The large regions of ``covered``."""
    middle_rc: tuple[int, int]
    """Row and column of the subject's middle."""
    weight: float = 1.0

    @classmethod
    def of(cls, sample: Sample, likelihood: Float32Array) -> Evidence:
        """Evaluate one frame; ``likelihood`` (h, w) from ``likeness``."""
        free = surroundings(sample)
        differed = free & (sample.view.shown == Shown.OTHER)
        found = covered(sample, likelihood)
        return cls(found, uncovered(sample), free, differed, _broad(found, sample), _middle(sample))

    @classmethod
    def of_hidden(cls, sample: Sample, likelihood: Float32Array) -> Evidence:
        """Evaluate a frame in which the subject was not detected: something may hide the extrapolated limbs.

        Somebody who passes in front explains that as well, and then nothing is known about what stands there.
        """
        nothing = np.zeros(likelihood.shape, np.bool_)
        found = nothing if _is_behind_others(sample) else covered(sample, likelihood)
        return cls(found, nothing, nothing, nothing, _broad(found, sample), _middle(sample), _HIDDEN_WEIGHT)


class PlateEvidence:
    """Counts for one plate; a bin of the plate is as large as a pixel of a work view."""

    def __init__(self, size_wh: tuple[int, int], body_height_px: float) -> None:
        """``size_wh`` of the plate, px."""
        self.bin_px = max(1.0, body_height_px / WORK_BODY_PX)
        self._reach_px = _REACH_BH * body_height_px / self.bin_px
        shape = int(np.ceil(size_wh[1] / self.bin_px)), int(np.ceil(size_wh[0] / self.bin_px))
        self._covered = np.zeros(shape, np.float32)
        self._uncovered = np.zeros(shape, np.float32)
        self._looked = np.zeros(shape, np.float32)
        self._differed = np.zeros(shape, np.float32)
        self._least_travel = np.float32(_LEAST_TRAVEL_BH * body_height_px / self.bin_px)
        self._places = np.full((*shape, 4), np.nan, np.float32)
        """Least and largest x and y of the subject's middle, bins, while a place was covered."""

    def add(self, positions: Float32Array, evidence: Evidence) -> None:
        """Add one frame; ``positions`` (h, w, 2) are the plate px of each pixel of its view."""
        at = positions / np.float32(self.bin_px)
        for mask, counts in (
            (evidence.covered, self._covered),
            (evidence.uncovered, self._uncovered),
            (evidence.looked, self._looked),
            (evidence.differed, self._differed),
        ):
            _count(at, mask, counts, np.float32(evidence.weight))
        _widen(at, evidence.covered, evidence.broad, at[evidence.middle_rc], self._places)

    @property
    def doubt(self) -> float:
        """Return the share of what was looked at beside people that differs from the plate."""
        return float(self._differed.sum()) / max(float(self._looked.sum()), 1.0)

    def wrong(self) -> Mask:
        """Return the (h, w) bins in which the plate itself is wrong: it differs whether or not anybody is there."""
        return (self._differed >= _LEAST_WRONG) & (self._differed > _WRONG_SHARE * self._looked)

    def front(self, plate: Picture) -> Mask:
        """Return the (h, w) bins of the plate (H, W, 3) that stand in front of the subject.

        Evidence has the shape of the limbs; the object itself ends at an edge of the plate. So the certain places are
        grown to the edges by a watershed (Meyer 1994), against those where the subject was seen and everything far
        away.
        """
        # An error of the outline moves with the subject, an object in front of them does not.
        travel = np.maximum(self._places[..., 1] - self._places[..., 0], self._places[..., 3] - self._places[..., 2])
        # The edge of an object is seen to cover less often than its middle.
        has_moved = grow(travel >= self._least_travel, 2)
        for_it = cv2.blur(np.where(has_moved, self._covered, np.float32(0)), (3, 3))
        against = cv2.blur(self._uncovered, (3, 3))
        probability = for_it / (for_it + against + _PRIOR)
        sure = _large((probability > _SURE) & (for_it >= _LEAST_LOOKS))
        sure |= self._narrow(plate, has_moved)
        if not sure.any():
            return sure
        behind = (against >= 0.6) & (probability < 0.4)
        far = cv2.distanceTransform((~sure).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3) > self._reach_px
        markers = np.zeros(sure.shape, np.int32)
        markers[behind | far] = 2
        markers[sure] = 1
        small = cv2.resize(plate, sure.shape[::-1], interpolation=cv2.INTER_AREA)
        flooded = cv2.watershed(np.asarray(cv2.GaussianBlur(small, (0, 0), 0.7), np.uint8), markers)
        front = (flooded == 1) | sure
        # The line between two basins belongs to neither.
        return front | ((flooded == -1) & grow(front, 1))

    def _narrow(self, plate: Picture, has_moved: Mask) -> Mask:
        """Return the bins of bars and wires: evidence is gathered along lines, the subject is seen beside them.

        ``has_moved`` is where the subject moved behind what covers it.
        """
        covered_by = np.where(has_moved, self._covered, np.float32(0))
        found = np.zeros(self._covered.shape, np.bool_)
        for line in LINES:
            kernel = line.astype(np.float32) / np.float32(line.sum())
            for_it, against = (cv2.filter2D(counts, -1, kernel) for counts in (covered_by, self._uncovered))
            found |= (for_it >= _LEAST_THIN_LOOKS) & (for_it > _THIN_SURE * (for_it + against + _PRIOR))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(found.view(np.uint8), connectivity=8)
        kept = np.maximum(stats[:count, cv2.CC_STAT_WIDTH], stats[:count, cv2.CC_STAT_HEIGHT]) >= _LEAST_LENGTH_PX
        kept[0] = False
        narrow = those_of(labels, kept)
        if not narrow.any():
            return narrow
        # Evidence lies in the middle of a bar, whose edges are mixed with what is beside it.
        small = cv2.resize(plate, found.shape[::-1], interpolation=cv2.INTER_AREA)
        return narrow | (grow(narrow, 2) & narrow_lines(small, WORK_BODY_PX))


@njit(cache=True, nogil=True)
def _count(at: Float32Array, mask: Mask, counts: Float32Array, weight: np.float32) -> None:
    """Add a weight to the bins nearest to the mask's positions ``at`` (h, w, 2); those outside do not count."""
    height, width = counts.shape
    for r in range(mask.shape[0]):
        for c in range(mask.shape[1]):
            if mask[r, c]:
                x, y = np.rint(at[r, c, 0]), np.rint(at[r, c, 1])
                if 0 <= x < width and 0 <= y < height:
                    counts[int(y), int(x)] += weight


@njit(cache=True, nogil=True)
def _widen(
    at: Float32Array, covered_mask: Mask, broad: Mask, middle_xy: NDArray[np.float32], places: Float32Array
) -> None:
    """Extend the bounds ``places`` (H, W, 4) of the mask's bins by ``middle_xy``; those of ``broad`` are open."""
    height, width = places.shape[:2]
    for r in range(covered_mask.shape[0]):
        for c in range(covered_mask.shape[1]):
            if covered_mask[r, c]:
                x, y = np.rint(at[r, c, 0]), np.rint(at[r, c, 1])
                if 0 <= x < width and 0 <= y < height:
                    bounds = places[int(y), int(x)]
                    for axis in range(2):
                        low, high = middle_xy[axis], middle_xy[axis]
                        if broad[r, c]:
                            low, high = np.float32(-1e9), np.float32(1e9)
                        if not bounds[2 * axis] <= low:
                            bounds[2 * axis] = low
                        if not bounds[2 * axis + 1] >= high:
                            bounds[2 * axis + 1] = high


def _is_behind_others(sample: Sample) -> bool:
    """Return whether others cover a good part of where the subject's limbs are supposed to be."""
    limbs = sample.outside < 0
    return bool(np.count_nonzero(limbs & sample.others_mask) > _HIDING_SHARE * np.count_nonzero(limbs))


def _broad(found: Mask, sample: Sample) -> Mask:
    """Return the large components of the evidence, or all that are not small where several of them together are as
    large: both legs behind a low object."""
    count, labels = cv2.connectedComponents(found.view(np.uint8), connectivity=4)
    areas = areas_of(labels, count)
    areas[0] = 0
    least = _BROAD * sample.body.height_px**2
    parts = areas >= _LEG_SHARE * least
    # One leg may have been located wrongly; two that are hidden at once are behind something.
    kept = parts if np.count_nonzero(parts) > 1 and areas[parts].sum() >= least else areas >= least
    return those_of(labels, kept)


def _middle(sample: Sample) -> tuple[int, int]:
    """Return row and column of the subject's middle, inside the view."""
    height, width = sample.outside.shape
    if not len(sample.body.segments):
        return height // 2, width // 2
    x, y = sample.body.segments[:, :4].reshape(-1, 2).mean(axis=0)
    return int(np.clip(round(float(y)), 0, height - 1)), int(np.clip(round(float(x)), 0, width - 1))


def _large(mask: Mask) -> Mask:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    kept = stats[:count, cv2.CC_STAT_AREA] >= _LEAST_AREA_PX
    kept[0] = False
    return those_of(labels, kept)
