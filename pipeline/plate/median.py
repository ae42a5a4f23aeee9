"""The median of registered pictures, where each shows the background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.compiled import njit

MIN_CLEAR_SAMPLES = 3
"""A median of fewer samples cannot outvote one wrong one."""
_INLIER_LEVELS = 6
"""Samples within this many gray levels of the median are averaged: less noise, and outliers stay out."""


@njit(cache=True, nogil=True)
def masked_median(
    stack: NDArray[np.uint8], grade: NDArray[np.uint8], max_samples: int, tiers: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Merge (K, h, w, C) pictures under their (K, h, w) grades.

    Grade 0 is not background, 1 is background that may be in shadow, 2 is clear. Samples of grade 2 are used alone
    where there are at least three. The first ``max_samples`` samples count: order them by preference. Samples of a
    later tier (``tiers`` (K,), ascending) only fill up to three: a blurred frame adds nothing to sharp ones. Returns
    (h, w, C), zeros where nothing is known, and the (h, w) number of samples used.
    """
    k, h, w, channels = stack.shape
    merged = np.zeros((h, w, channels), np.uint8)
    counts = np.zeros((h, w), np.uint8)
    values = np.empty(k, np.int64)
    for y in range(h):
        for x in range(w):
            best = 0
            for i in range(k):
                best += grade[i, y, x] == 2
            min_grade = 2 if best >= MIN_CLEAR_SAMPLES else 1
            for c in range(channels):
                n = 0
                tier = 0
                for i in range(k):
                    if grade[i, y, x] >= min_grade and n < max_samples:
                        if n == 0:
                            tier = tiers[i]
                        elif n >= MIN_CLEAR_SAMPLES and tiers[i] > tier:
                            break
                        value = np.int64(stack[i, y, x, c])
                        j = n
                        while j > 0 and values[j - 1] > value:
                            values[j] = values[j - 1]
                            j -= 1
                        values[j] = value
                        n += 1
                if n == 0:
                    break
                middle = (values[(n - 1) // 2] + values[n // 2]) / 2
                total = 0
                agreeing = 0
                for i in range(n):
                    if abs(values[i] - middle) <= _INLIER_LEVELS:
                        total += values[i]
                        agreeing += 1
                merged[y, x, c] = np.uint8(total / agreeing + 0.5) if agreeing else np.uint8(middle)
                counts[y, x] = n
    return merged, counts
