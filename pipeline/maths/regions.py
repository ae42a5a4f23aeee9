"""Connected regions of a mask: how many pixels of each lie where, and the mask of some of them.

Compiled: numpy converts the labels to 64 bits for each count and each look-up, which takes three times as long.

Convention: ``labeled`` (h, w) is what ``cv2.connectedComponents`` returns, 0 for what is in no region, and ``count``
the number of its labels, with the 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.runtime.compiled import njit

Labeled = NDArray[np.int32]


def areas_of(labeled: Labeled, count: int) -> NDArray[np.int64]:
    """Return (count,) the number of pixels of each label."""
    areas = _areas(labeled, count)
    areas[0] = labeled.size - areas[1:].sum()
    return areas


def counts_in(labeled: Labeled, where: Mask, count: int) -> NDArray[np.int64]:
    """Return (count,) the number of pixels of each label in a mask (h, w)."""
    return _counts(labeled, np.ascontiguousarray(where), count)


def sums_in(labeled: Labeled, values: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return (count,) the sum of ``values`` (h, w) over each region; 0 for the label 0."""
    return _sums(labeled, values, np.zeros(count), 1)


def square_sums_in(
    labeled: Labeled, values: NDArray[np.float32], means: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Return (count,) the sum of the squared differences of ``values`` (h, w) from each region's mean (count,); 0 for
    the label 0."""
    return _sums(labeled, values, means, 2)


def those_of(labeled: Labeled, is_chosen: NDArray[np.bool_]) -> Mask:
    """Return the pixels (h, w) of the chosen ones (count,) among the labels."""
    return _chosen(labeled, np.ascontiguousarray(is_chosen))


@njit(cache=True, nogil=True)
def _areas(labeled: Labeled, count: int) -> NDArray[np.int64]:
    """Count the pixels of each label but 0, which most have: it would be one chain of additions."""
    areas = np.zeros(count, np.int64)
    for r in range(labeled.shape[0]):
        for c in range(labeled.shape[1]):
            if labeled[r, c] > 0:
                areas[labeled[r, c]] += 1
    return areas


@njit(cache=True, nogil=True)
def _counts(labeled: Labeled, where: Mask, count: int) -> NDArray[np.int64]:
    counts = np.zeros(count, np.int64)
    for r in range(labeled.shape[0]):
        for c in range(labeled.shape[1]):
            if where[r, c]:
                counts[labeled[r, c]] += 1
    return counts


@njit(cache=True, nogil=True)
def _sums(labeled: Labeled, values: NDArray[np.float32], means: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    sums = np.zeros(len(means), np.float64)
    for r in range(labeled.shape[0]):
        for c in range(labeled.shape[1]):
            label = labeled[r, c]
            if label > 0:
                apart = np.float64(values[r, c]) - means[label]
                sums[label] += apart if power == 1 else apart * apart
    return sums


@njit(cache=True, nogil=True)
def _chosen(labeled: Labeled, is_chosen: NDArray[np.bool_]) -> Mask:
    result = np.empty(labeled.shape, np.bool_)
    for r in range(labeled.shape[0]):
        for c in range(labeled.shape[1]):
            result[r, c] = is_chosen[labeled[r, c]]
    return result
