"""Color models: smoothed histograms in Lab of the subject by body part, of other people, and of everything else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.runtime.compiled import njit

L_BINS = 12
AB_BINS = 20
NUM_BINS = L_BINS * AB_BINS * AB_BINS
_AB_LOW, _AB_HIGH = 68, 188
"""8-bit Lab: larger chroma does not occur on cloth and skin in a video."""
_SMOOTHING_BINS = 0.7
_CALM_PX = 0.8
FLOOR = 1.0 / NUM_BINS
"""Probability of a color that was never seen: that of a uniform distribution."""


def bins_of(picture: Picture, gain: float) -> NDArray[np.int32]:
    """Return (h, w) the histogram bin of each pixel, brightened by ``gain``: in the dark all colors fall into few
    bins."""
    if gain > 1.0:
        # Brightening amplifies noise.
        picture = cv2.convertScaleAbs(cv2.GaussianBlur(picture, (0, 0), _CALM_PX), alpha=gain)
    return _bins(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB))


@njit(cache=True, nogil=True)
def _bins(lab: NDArray[np.uint8]) -> NDArray[np.int32]:
    height, width = lab.shape[:2]
    chroma = np.empty(256, np.int32)
    for level in range(256):
        chroma[level] = (min(max(level, _AB_LOW), _AB_HIGH - 1) - _AB_LOW) * AB_BINS // (_AB_HIGH - _AB_LOW)
    bins = np.empty((height, width), np.int32)
    for r in range(height):
        for c in range(width):
            luma = np.int32(lab[r, c, 0]) * L_BINS // 256
            bins[r, c] = (luma * AB_BINS + chroma[lab[r, c, 1]]) * AB_BINS + chroma[lab[r, c, 2]]
    return bins


def counted(bins: NDArray[np.int32], mask: Mask) -> NDArray[np.float64]:
    """Return (NUM_BINS,) the number of the mask's pixels in each bin."""
    return np.bincount(bins[mask], minlength=NUM_BINS).astype(np.float64)


def density(counts: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return probabilities (..., NUM_BINS) from counts, smoothed over neighboring colors; floored, so that the ratio of
    two of them is neutral where neither was seen."""
    smooth = smoothed(counts)
    # A few hundred pixels are not a reliable model: the floor acts as a prior.
    total = smooth.sum(axis=-1, keepdims=True)
    return np.asarray((smooth + 200 * FLOOR) / (total + 200), np.float32)


def smoothed(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts (..., NUM_BINS) spread over neighboring colors."""
    cube = counts.reshape(*counts.shape[:-1], L_BINS, AB_BINS, AB_BINS)
    sigma = (*[0.0] * (counts.ndim - 1), *[_SMOOTHING_BINS] * 3)
    return gaussian_filter(cube, sigma).reshape(counts.shape)


@njit(cache=True, nogil=True)
def subject_likelihood(
    bins: NDArray[np.int32], distances: NDArray[np.float32], models: NDArray[np.float32], reach: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (h, w): the probability of each pixel's color on the best of the parts within reach; 0 where there is
    none. ``distances`` (parts, h, w) are those of ``part_distances``, ``reach`` (parts,) the range of each, in the same
    unit.
    """
    parts, height, width = distances.shape
    result = np.zeros((height, width), np.float32)
    for r in range(height):
        for c in range(width):
            best = np.float32(0)
            for k in range(parts):
                if distances[k, r, c] <= reach[k]:
                    best = max(best, models[k, bins[r, c]])
            result[r, c] = best
    return result
