"""Where the subject meets what stays: the edge between two regions is settled by the colors on both of its sides."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.regions import counts_in, those_of
from pipeline.runtime.compiled import njit

_DOUBTFUL_PX = 2
"""Labels are smoothed over their neighbors, and lie so far beside an edge."""
_KEPT_CORE_PX = 1
"""From the other side; the middle of a stick is not farther from its edges."""
_SUBJECT_CORE_PX = 2
_WINDOW_PX = 4
_LEAST_PX = 2.0
"""Pixels of each side in a window."""
_VARIANCE = 100.0
"""Added to that of the colors, squared gray levels: grain and compression."""
_LEAST_APART = 4.0
"""Squared distance of the two colors, in deviations: cloth before cloth of its own color shows no edge."""
_BEYOND = 0.1
"""How far beyond the middle between them a color must lie to change sides."""
_LEAST_WEIGHT = 0.05
_PERSON_BH = 0.03
"""How far a person's mask may end inside their outline, where somebody else is beside them."""
_PERSON_ROOM_PX = 4
"""How far beyond that the colors of the subject are looked at."""
_SMOOTH_PX = 5
"""Side of the window in which most pixels decide: in grain single ones change sides."""
_HALF = 0.5


def settle_edges(labels: NDArray[np.uint8], picture: Picture, subject: int) -> NDArray[np.uint8]:
    """Return labels (h, w) with the pixels at the edges between the ``subject`` and larger labels on the side whose
    colors in the ``picture`` (h, w, 3) they have.

    A pixel goes to the nearer mean along the line on which the two sides differ most against their spread (Fisher's
    linear discriminant, 1936); in their middle it stays where it is. A stick is narrower than the error of its
    label: of its supposed pixels those that look like the subject hardly count.
    """
    kept = labels > subject
    own = labels == subject
    doubtful = (kept & _near(own, _DOUBTFUL_PX)) | (own & _near(kept, _DOUBTFUL_PX))
    if not doubtful.any():
        return labels
    size_wh = labels.shape[1], labels.shape[0]
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), _WINDOW_PX), size_wh)
    area = np.s_[y0:y1, x0:x1]
    cores = np.where(own & ~_near(kept, _SUBJECT_CORE_PX), labels, np.uint8(0))
    cores[kept & ~_near(own, _KEPT_CORE_PX)] = labels[kept & ~_near(own, _KEPT_CORE_PX)]
    settled = labels.copy()
    colors = picture[area].astype(np.float32)
    settled[area] = _settled(
        labels[area].copy(), cores[area].copy(), doubtful[area].copy(), colors, np.uint8(subject), _WINDOW_PX
    )
    return settled


def others_beside(
    labels: NDArray[np.uint8], doubted: Mask, picture: Picture, subject_others: tuple[int, int], height_px: float
) -> Mask:
    """Return the ``doubted`` pixels (h, w) of the subject that are others': beside them, and in the colors that they
    have there rather than in those of the subject.

    The mask of somebody large in front may end well inside their outline, and that of the subject fills the rest. What
    is the subject's for certain is looked at farther away than by ``settle_edges``.
    """
    subject, others = subject_others
    own, theirs = labels == subject, labels == others
    found = np.zeros(labels.shape, np.bool_)
    if not theirs.any():
        return found
    reach_px = max(_DOUBTFUL_PX, round(_PERSON_BH * height_px))
    near = _near(theirs, reach_px)
    doubtful = own & doubted & near
    if not doubtful.any():
        return found
    window_px = reach_px + _PERSON_ROOM_PX
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), window_px), (labels.shape[1], labels.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    cores = np.where(own & ~near, np.uint8(subject), np.uint8(0))
    cores[theirs & ~_near(own, _KEPT_CORE_PX)] = others
    colors = picture[area].astype(np.float32)
    settled = _settled(
        labels[area].copy(), cores[area].copy(), doubtful[area].copy(), colors, np.uint8(subject), window_px
    )
    found[area] = doubtful[area] & (settled == others)
    found = doubtful & (cv2.medianBlur((found | theirs).view(np.uint8), _SMOOTH_PX) > 0)
    # A fold of the subject's clothes may have their color.
    count, labeled = cv2.connectedComponents((found | theirs).view(np.uint8), connectivity=4)
    joined = counts_in(labeled, theirs, count) > 0
    joined[0] = False
    return found & those_of(labeled, joined)


def _near(mask: Mask, distance_px: int) -> Mask:
    kernel = np.ones((2 * distance_px + 1, 2 * distance_px + 1), np.uint8)
    return cv2.dilate(mask.view(np.uint8), kernel) > 0


@njit(cache=True, nogil=True)
def _settled(
    labels: NDArray[np.uint8],
    cores: NDArray[np.uint8],
    doubtful: Mask,
    colors: Float32Array,
    subject: np.uint8,
    window_px: int,
) -> NDArray[np.uint8]:
    """Decide the ``doubtful`` pixels; ``cores`` (h, w) are the labels where they are certain, else 0. Those up to
    ``window_px`` away are looked at."""
    height, width = labels.shape
    result = labels.copy()
    sums = np.zeros((2, 7), np.float64)
    axis = np.zeros(3, np.float64)
    votes = np.zeros(256, np.int64)
    for r in range(height):
        for c in range(width):
            if not doubtful[r, c]:
                continue
            rows = max(r - window_px, 0), min(r + window_px + 1, height)
            columns = max(c - window_px, 0), min(c + window_px + 1, width)
            votes[:] = 0
            middle = 0.0
            apart = 0.0
            for again in range(2):
                sums[:] = 0.0
                for y in range(rows[0], rows[1]):
                    for x in range(columns[0], columns[1]):
                        label = cores[y, x]
                        if label == 0:
                            continue
                        side = 0 if label == subject else 1
                        weight = 1.0
                        if again and side == 1:
                            place = -middle
                            for k in range(3):
                                place += axis[k] * colors[y, x, k]
                            weight = min(max(2.0 * place, _LEAST_WEIGHT), 1.0)
                        votes[label] += 1
                        sums[side, 0] += weight
                        for k in range(3):
                            value = weight * colors[y, x, k]
                            sums[side, 1 + k] += value
                            sums[side, 4 + k] += value * colors[y, x, k]
                if sums[0, 0] < _LEAST_PX or sums[1, 0] < _LEAST_PX:
                    break
                apart, middle = axis_between(sums, axis)
            if sums[0, 0] < _LEAST_PX or sums[1, 0] < _LEAST_PX:
                continue
            if apart < _LEAST_APART:
                continue
            place = -middle
            for k in range(3):
                place += axis[k] * colors[r, c, k]
            if place < -_BEYOND:
                result[r, c] = subject
            elif place > _BEYOND and labels[r, c] == subject:
                votes[: subject + 1] = 0
                result[r, c] = votes.argmax()
    return result


@njit(cache=True, nogil=True)
def axis_between(sums: NDArray[np.float64], axis: NDArray[np.float64]) -> tuple[float, float]:
    """Fill ``axis`` (3,) so that the means of the two sides lie one apart on it; return their squared distance in
    deviations, and the place of their middle.

    ``sums`` (2, 7): of weights, colors, and squared colors.
    """
    apart = 0.0
    for k in range(3):
        first, second = sums[0, 1 + k] / sums[0, 0], sums[1, 1 + k] / sums[1, 0]
        spread = sums[0, 4 + k] / sums[0, 0] - first**2 + sums[1, 4 + k] / sums[1, 0] - second**2
        axis[k] = (second - first) / (0.5 * spread + _VARIANCE)
        apart += axis[k] * (second - first)
    middle = 0.0
    for k in range(3):
        axis[k] /= max(apart, 1e-6)
        middle += axis[k] * _HALF * (sums[0, 1 + k] / sums[0, 0] + sums[1, 1 + k] / sums[1, 0])
    return apart, middle
