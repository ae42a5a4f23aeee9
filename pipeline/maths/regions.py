"""Connected regions of a mask: how many pixels of each lie where, and the mask of some of them.

Compiled: numpy converts the labels to 64 bits for each count and each look-up, which takes three times as long. Most
pixels are in no region, and most masks are mostly empty: eight bytes at a time are passed over.

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
    flat = labeled.reshape(-1)
    areas = _areas(flat, _words(flat), count)
    areas[0] = labeled.size - areas[1:].sum()
    return areas


def extents_of(labeled: Labeled, count: int) -> NDArray[np.int64]:
    """Return (count,) the longer side of the box around each region."""
    boxes = boxes_of(labeled, count)
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1), np.int64)


def counts_in(labeled: Labeled, where: Mask, count: int) -> NDArray[np.int64]:
    """Return (count,) the number of pixels of each label in a mask (h, w)."""
    flat = np.ascontiguousarray(where).reshape(-1)
    return _counts(labeled.reshape(-1), flat, _words(flat), count)


@njit(cache=True, nogil=True)
def boxes_of(labeled: Labeled, count: int) -> NDArray[np.int64]:
    """Return (count, 4) the half-open box x0, y0, x1, y1 around each region; all 0 for the label 0."""
    boxes = np.zeros((count, 4), np.int64)
    height, width = labeled.shape
    for r in range(height):
        for c in range(width):
            if labeled[r, c] == 0:
                continue
            box = boxes[labeled[r, c]]
            if box[3] == 0:
                box[0], box[1] = c, r
            box[0] = min(box[0], c)
            box[2] = max(box[2], c + 1)
            box[3] = r + 1
    return boxes


def sums_in(labeled: Labeled, values: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    """Return (count,) the sum of ``values`` (h, w) over each region; 0 for the label 0."""
    return _sums_of(labeled, values, np.zeros(count), 1)


def square_sums_in(
    labeled: Labeled, values: NDArray[np.float32], means: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Return (count,) the sum of the squared differences of ``values`` (h, w) from each region's mean (count,); 0 for
    the label 0."""
    return _sums_of(labeled, values, means, 2)


def those_of(labeled: Labeled, is_chosen: NDArray[np.bool_]) -> Mask:
    """Return the pixels (h, w) of the chosen ones (count,) among the labels."""
    flat = labeled.reshape(-1)
    chosen = np.full(len(flat), is_chosen[0], np.bool_)
    _choose(flat, _words(flat), np.ascontiguousarray(is_chosen), chosen)
    return chosen.reshape(labeled.shape)


def _words(flat: NDArray[np.generic]) -> NDArray[np.uint64]:
    """Return contiguous values (N,) as words of eight bytes, without the last ones that fill none."""
    whole = len(flat) - len(flat) % (8 // flat.itemsize)
    words = flat[:whole].view(np.uint64)
    # Code is compiled once more for what is not aligned.
    return words if words.flags.aligned else words.copy()


@njit(cache=True, nogil=True)
def _areas(labeled: Labeled, pairs: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Count the pixels of each label but 0, which is not counted right."""
    areas = np.zeros(count, np.int64)
    for i in range(len(pairs)):
        if pairs[i]:
            areas[labeled[2 * i]] += 1
            areas[labeled[2 * i + 1]] += 1
    for i in range(2 * len(pairs), len(labeled)):
        areas[labeled[i]] += 1
    return areas


@njit(cache=True, nogil=True)
def _counts(labeled: Labeled, where: NDArray[np.bool_], eights: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    counts = np.zeros(count, np.int64)
    for word in range(len(eights)):
        if eights[word]:
            for i in range(8 * word, 8 * word + 8):
                if where[i]:
                    counts[labeled[i]] += 1
    for i in range(8 * len(eights), len(where)):
        if where[i]:
            counts[labeled[i]] += 1
    return counts


def _sums_of(
    labeled: Labeled, values: NDArray[np.float32], means: NDArray[np.float64], power: int
) -> NDArray[np.float64]:
    flat = labeled.reshape(-1)
    sums = _sums(flat, _words(flat), np.ascontiguousarray(values).reshape(-1), means, power)
    sums[0] = 0.0
    return sums


@njit(cache=True, nogil=True)
def _sums(
    labeled: Labeled, pairs: NDArray[np.uint64], values: NDArray[np.float32], means: NDArray[np.float64], power: int
) -> NDArray[np.float64]:
    """Add up each label but 0, which is not added up right."""
    sums = np.zeros(len(means), np.float64)
    for pair in range(len(pairs) + 1):
        if pair < len(pairs) and not pairs[pair]:
            continue
        for i in range(2 * pair, min(2 * pair + 2, len(labeled))):
            apart = np.float64(values[i]) - means[labeled[i]]
            sums[labeled[i]] += apart if power == 1 else apart * apart
    return sums


@njit(cache=True, nogil=True)
def _choose(
    labeled: Labeled, pairs: NDArray[np.uint64], is_chosen: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> None:
    """Fill in what ``is_chosen`` says of each label but 0."""
    for i in range(len(pairs)):
        if pairs[i]:
            chosen[2 * i] = is_chosen[labeled[2 * i]]
            chosen[2 * i + 1] = is_chosen[labeled[2 * i + 1]]
    for i in range(2 * len(pairs), len(labeled)):
        chosen[i] = is_chosen[labeled[i]]
