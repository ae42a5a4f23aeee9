"""A person's outline in a single photograph, refined by colors."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipeline.datatypes.arrays import Mask

_LINES = 480
"""Height of the mask's box at which colors are compared; the border comes out at that resolution."""
_INSIDE, _OUTSIDE = 0.006, 0.015
"""Distances from the border, in heights of the mask's box, beyond which a first mask is certain (of seven pairs the one
with the best overlap, .951 before and .967 after it, on 59 photographs of three characters on five backgrounds)."""
_ROUNDS = 3
_ROOM = 0.08
"""Margin around the box whose colors count as background, in its heights."""
_LEAST_LIKENESS = 0.8
"""Least overlap (IoU) with the first mask: below it the colors of person and background are too much alike, and the
first mask is kept."""
_BIN_SIZES = (16, 8, 8)
_NUM_BINS = (16, 32, 32)
"""Of lightness, a and b."""
_UNSEEN = 1e-4
"""Fraction below which a color counts as not seen at all."""
_GAP_SMOOTH = 0.006
"""Standard deviation over which the evidence of neighbors is averaged, in heights of the mask's box."""
_GAP_EVIDENCE = 0.6
"""Log of how much more frequent a color is around the person than on it."""


def without_gaps(picture: NDArray[np.uint8], mask: Mask, core: Mask, gaps: Mask) -> Mask:
    """Return a person's mask (H, W) without the background that a detector includes between an arm and the trunk.

    ``core`` (H, W) is the person for certain, ``gaps`` (H, W) where background may show through. A pixel there is
    background when its color in a picture (H, W, 3) is much more frequent around the person than on the core; a color
    that neither has (a bag's) stays the person's. Method: ratio of smoothed color histograms in CIELAB.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    asked = mask & gaps & ~core
    if not asked.any():
        return mask
    room = max(2, round(2 * _ROOM * (rows[-1] - rows[0] + 1)))
    box = (
        slice(max(rows[0] - room, 0), rows[-1] + room + 1),
        slice(max(columns[0] - room, 0), columns[-1] + room + 1),
    )
    lab = cv2.cvtColor(np.ascontiguousarray(picture[box][..., :3]), cv2.COLOR_RGB2LAB)
    bins = (lab // np.array(_BIN_SIZES, np.uint8)).astype(np.int64)
    codes = np.ravel_multi_index(tuple(np.moveaxis(bins, -1, 0)), _NUM_BINS)
    radius = max(1, round(_OUTSIDE * (rows[-1] - rows[0] + 1)))
    # Beside the border a first mask is not certain.
    outside = cv2.dilate(mask[box].astype(np.uint8), np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) == 0
    own = _frequencies(codes[core[box] & mask[box]])
    around = _frequencies(codes[outside])
    ratio = np.log((around + _UNSEEN) / (own + _UNSEEN))[codes].astype(np.float32)
    sigma = max(0.5, _GAP_SMOOTH * (rows[-1] - rows[0] + 1))
    asked_here = asked[box].astype(np.float32)
    mean = cv2.GaussianBlur(ratio * asked_here, (0, 0), sigma) / np.maximum(
        cv2.GaussianBlur(asked_here, (0, 0), sigma), 1e-6
    )
    out = mask.copy()
    out[box] &= ~(asked[box] & (mean > _GAP_EVIDENCE))
    return out


def _frequencies(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(bins,) smoothed fractions of colors."""
    counts = np.bincount(codes.ravel(), minlength=int(np.prod(_NUM_BINS))).reshape(_NUM_BINS).astype(np.float64)
    smooth = gaussian_filter(counts, 1.0)
    return np.asarray(smooth.ravel() / max(smooth.sum(), 1e-9))


def refined_mask(picture: NDArray[np.uint8], mask: Mask) -> Mask:
    """Return a person's mask (H, W) whose border follows the colors of a picture (H, W, 3).

    Only a band around the border of the first mask is decided anew, by GrabCut (Rother et al., 2004). A mask that
    would become quite another one, or a tiny one, is returned as it is.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return mask
    room = max(2, round(_ROOM * (rows[-1] - rows[0] + 1)))
    y0, y1 = max(rows[0] - room, 0), min(rows[-1] + room + 1, mask.shape[0])
    x0, x1 = max(columns[0] - room, 0), min(columns[-1] + room + 1, mask.shape[1])
    scale = min(1.0, _LINES / (y1 - y0))
    size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
    small = cv2.resize(np.ascontiguousarray(picture[y0:y1, x0:x1, :3]), size, interpolation=cv2.INTER_AREA)
    first = cv2.resize(mask[y0:y1, x0:x1].astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    labels = _band(first)
    if not all((labels == value).any() for value in (cv2.GC_BGD, cv2.GC_FGD)):
        return mask
    # Its clusters begin at random: the same picture has the same outline.
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = _largest(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    if (found & first).sum() < _LEAST_LIKENESS * (found | first).sum():
        return mask
    soft = cv2.GaussianBlur(found.astype(np.float32), (3, 3), 0)
    out = np.zeros_like(mask)
    out[y0:y1, x0:x1] = cv2.resize(soft, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR) > 0.5
    return out


def _band(mask: Mask) -> NDArray[np.uint8]:
    """Return GrabCut's labels: certain away from the border, the mask's own opinion in a band around it."""
    height = int(np.ptp(np.flatnonzero(mask.any(1)))) + 1 if mask.any() else 1
    inside = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    outside = cv2.distanceTransform(1 - mask.astype(np.uint8), cv2.DIST_L2, 5)
    labels = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[inside > _INSIDE * height] = cv2.GC_FGD
    labels[outside > _OUTSIDE * height] = cv2.GC_BGD
    return labels


def _largest(mask: NDArray[np.bool_]) -> Mask:
    """Return the largest connected part."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count < 2:
        return np.asarray(mask)
    return np.asarray(labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))
