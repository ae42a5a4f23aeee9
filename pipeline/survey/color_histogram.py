"""A person's appearance in one frame: color histograms of head, torso and legs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.survey import BODY_PARTS, COLOR_BINS, Person
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.boxes import Box
from pipeline.maths.uneven_light import LightField, veil_strength

CHROMA_BINS = 8
LUMA_BINS = 6
assert CHROMA_BINS**2 + LUMA_BINS == COLOR_BINS
CHROMA_WEIGHT = 0.7
"""Chroma (Lab a, b) counts more than luma, which changes with exposure and shade."""
LONGEST_PX = 128
"""A person is reduced to about this height: colors need no more."""
MIN_PART_SHARE = 0.02
"""A part with fewer pixels is ignored."""
MIN_PART_PX = 20
MIN_CONFIDENCE = 0.3
HIDDEN, SATURATED = 0.5, 252
"""Strength of a veil and level of a channel from which a pixel's own color is not known in another light."""
BIN_BLUR = 0.7
"""In bins: a color between two bins must not jump from one to the other with the noise of a frame."""


def color_histogram_of(picture: Picture, person: Person, light: LightField | None = None) -> NDArray[np.uint8]:
    """Return (3, 70): for head, torso and legs the square roots of a color histogram's weights, times 255.

    The product of two such rows, over 255², is their Bhattacharyya coefficient. A part that is not visible is all zero.
    Parts are split across the line from the middle of the shoulders to that of the hips, or into thirds of the box
    where that line is unknown. The mask is eroded, so background colors at its border do not count. With a ``light``
    the colors are those without it, and parts that a veil hides are not visible.
    """
    x0, y0, x1, y1 = np.clip(person.box_xyxy.astype(int), 0, None)
    step = max(1, max(y1 - y0, x1 - x0) // LONGEST_PX)
    patch = np.ascontiguousarray(picture[y0:y1:step, x0:x1:step])
    inside = person.mask[y0:y1:step, x0:x1:step].astype(np.uint8)
    if light is not None:
        x, y = x0 // step, y0 // step
        box = x, y, x + patch.shape[1], y + patch.shape[0]
        patch, known = _without(light, patch, box, (picture.shape[1] // step, picture.shape[0] // step))
        inside &= known
    inner = cv2.erode(inside, np.ones((3, 3), np.uint8))
    inside = inner if np.count_nonzero(inner) > MIN_PART_PX else inside
    rows, columns = np.nonzero(inside)
    histograms = np.zeros((BODY_PARTS, COLOR_BINS), np.uint8)
    if not len(rows):
        return histograms
    lab = cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)[rows, columns].astype(np.float32)
    parts = _parts(person, np.column_stack([columns * step + x0, rows * step + y0]), float(y0), float(y1))
    needed = max(MIN_PART_PX, MIN_PART_SHARE * len(rows))
    for part in range(BODY_PARTS):
        of_part = lab[parts == part]
        if len(of_part) >= needed:
            histograms[part] = np.rint(255 * np.sqrt(_histogram(of_part)))
    return histograms


def _without(light: LightField, patch: Picture, box_xyxy: Box, size_wh: tuple[int, int]) -> tuple[Picture, Mask]:
    """Return the part ``box_xyxy`` (h, w, 3) of a picture of some size as it would be without a light; and (h, w) where
    that is known: not in a veil nor where the picture is saturated."""
    gain, offset = light.over(box_xyxy, size_wh)
    known = (veil_strength(gain, offset) < HIDDEN) & (patch.max(axis=2) < SATURATED)
    return np.asarray(np.clip(np.rint((patch - offset) / gain), 0, 255), np.uint8), np.asarray(known)


def _parts(person: Person, points: NDArray[np.int64], top: float, bottom: float) -> NDArray[np.int64]:
    """Return (N,) 0 head, 1 torso, 2 legs for pixels (N, 2) of the picture."""
    joints = person.joints[[*SHOULDERS, *HIPS]].astype(np.float64)
    shoulders = joints[:2, :2].mean(axis=0)
    hips = joints[2:, :2].mean(axis=0)
    axis = hips - shoulders
    length = float(axis @ axis)
    is_known = np.isfinite(joints).all() and bool((joints[:, 2] >= MIN_CONFIDENCE).all())
    if not is_known or length < (0.1 * (bottom - top)) ** 2:
        return np.clip(3 * (points[:, 1] - top) / max(bottom - top, 1), 0, 2).astype(np.int64)
    along = (points - shoulders) @ axis / length
    return np.digitize(along, [0.0, 1.0])


def _histogram(lab: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (70,) weights that sum to 1, of pixels (N, 3) in OpenCV's 8-bit Lab."""
    # Nearly all colors of clothes and skin lie within 32 of gray; the rest falls into the outer bins.
    chroma = np.clip((lab[:, 1:] - 96) * (CHROMA_BINS / 64), 0, CHROMA_BINS - 1).astype(np.int64)
    counts = np.bincount(chroma[:, 0] * CHROMA_BINS + chroma[:, 1], minlength=CHROMA_BINS**2)
    colors = cv2.GaussianBlur(counts.reshape(CHROMA_BINS, CHROMA_BINS).astype(np.float64), (3, 3), BIN_BLUR)
    luma = np.clip(lab[:, 0] * (LUMA_BINS / 256), 0, LUMA_BINS - 1).astype(np.int64)
    shades = cv2.GaussianBlur(np.bincount(luma, minlength=LUMA_BINS).astype(np.float64)[None], (3, 1), BIN_BLUR).ravel()
    return np.concatenate([CHROMA_WEIGHT * colors.ravel() / colors.sum(), (1 - CHROMA_WEIGHT) * shades / shades.sum()])
