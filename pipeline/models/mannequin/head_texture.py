"""The back of a head seen only from the front: hair, or skin where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.sampling import sample_picture

_MIN_PIXELS = 30
_EYES_TO_CHIN = 0.065
"""Standing heights; the unit of lengths on the head."""
_CHEEKS = 0.45
"""Radius around the nose that is always skin, in that unit."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadColors:
    """Hair for the back of the head, and the colors at its outline in each row."""

    hair: NDArray[np.float32]
    """(h, w, 3) linear, hair everywhere: the picture's own, mirrored downwards below the hairline."""
    around: NDArray[np.float32]
    """(h, 2, 3) linear: color at the head's left and right outline in each row."""
    hangs: NDArray[np.bool_]
    """(h, 2) where that color is hair."""
    middle: float
    """Column midway between the two."""

    def at(self, x: NDArray[np.float32], y: NDArray[np.float32], is_hair: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(n, S, 3) for samples (n, S), of which rows ``is_hair`` lie on the hair's own surface."""
        hair = sample_picture(self.hair, x, y)
        row = np.clip(np.rint(y), 0, len(self.around) - 1).astype(np.int64)
        side = (x > self.middle).astype(np.int64)
        around = self.around[row, side]
        # Hair that hangs down beside the face continues around the neck, with the same brightness and with strands.
        below = np.where(self.hangs[row, side][..., None], np.sqrt(hair * around), around)
        return np.where(is_hair[:, None, None], hair, below).astype(np.float32)


def skin_color(view: FittedView) -> NDArray[np.float32] | None:
    """(3,) median color around the nose, linear; None where the face is not visible."""
    reference = view.reference
    nose = reference.joints[JOINT["nose"]]
    if reference.view == "back" or not np.isfinite(nose[:2]).all():
        return None
    radius = _CHEEKS * _EYES_TO_CHIN * reference.height_px
    rows, columns = np.mgrid[: reference.mask.shape[0], : reference.mask.shape[1]]
    cheeks = reference.mask & ((rows - nose[1]) ** 2 + (columns - nose[0]) ** 2 < radius**2)
    if np.count_nonzero(cheeks) < _MIN_PIXELS:
        return None
    return np.median(reference.colors[cheeks], axis=0)


def head_colors(view: FittedView) -> HeadColors | None:
    """Separate hair from skin around the face of a picture; None where the head is not visible."""
    reference = view.reference
    eyes = reference.joints[[JOINT["left_eye"], JOINT["right_eye"]], :2]
    if not np.isfinite(eyes).all():
        return None
    middle = eyes.mean(0)
    unit = _EYES_TO_CHIN * reference.height_px
    height, width = reference.mask.shape
    rows, columns = np.mgrid[:height, :width]
    near = reference.mask & (np.abs(columns - middle[0]) < 1.6 * unit) & (rows < middle[1] + 1.3 * unit)
    skin = skin_color(view)
    top = np.flatnonzero(near.any(1))
    if skin is None or not len(top):
        return None
    crown = near & (rows < top[0] + 0.35 * max(middle[1] - top[0], 4))
    if np.count_nonzero(crown) < _MIN_PIXELS:
        return None
    hair_color = np.median(reference.colors[crown], axis=0)
    looks = _likeness(reference.colors, hair_color, skin)
    around = _outline_colors(reference.colors, near, float(middle[0]), unit)
    return HeadColors(
        _hair_everywhere(reference.colors, near, looks, int(top[0]), middle, unit, hair_color),
        around,
        _likeness(around, hair_color, skin),
        float(middle[0]),
    )


def _likeness(colors: NDArray[np.float32], hair: NDArray[np.float32], skin: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Nearer to the hair's color than to the skin's, in log light so that shadows count little."""
    logs = np.log(np.maximum(colors, 1e-3))
    to_hair = np.linalg.norm(logs - np.log(np.maximum(hair, 1e-3)), axis=2)
    to_skin = np.linalg.norm(logs - np.log(np.maximum(skin, 1e-3)), axis=2)
    return to_hair < to_skin


def _hair_everywhere(
    colors: NDArray[np.float32],
    near: NDArray[np.bool_],
    looks: NDArray[np.bool_],
    top: int,
    middle: NDArray[np.float64],
    unit: float,
    fallback: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Each column's hair, from its top down to where skin starts, mirrored back and forth down to the neck."""
    out = np.empty_like(colors)
    out[:] = fallback
    x0, x1 = max(0, int(middle[0] - 1.6 * unit)), min(colors.shape[1], int(middle[0] + 1.6 * unit) + 1)
    first = np.full(x1 - x0, -1)
    length = np.zeros(x1 - x0)
    for n, x in enumerate(range(x0, x1)):
        rows = np.flatnonzero(near[:, x])
        if not len(rows):
            continue
        first[n] = rows[0]
        skin = np.flatnonzero(~looks[rows[0] + 2 : rows[-1] + 1, x])
        length[n] = (skin[0] if len(skin) else rows[-1] - rows[0]) - 1
    seen = first >= 0
    if not seen.any():
        return out
    first = np.interp(np.arange(len(first)), np.flatnonzero(seen), first[seen])
    # A stray pixel must not end a column's hair, nor a single lock extend it.
    smooth = cv2.medianBlur(length.astype(np.float32)[None], 5)[0]
    smooth = cv2.GaussianBlur(smooth[None], (0, 0), 0.12 * unit)[0]
    length = np.maximum(smooth, 0.1 * unit)
    for n, x in enumerate(range(x0, x1)):
        y = np.arange(len(colors))
        below = np.maximum(y - first[n], 0)
        span = length[n]
        folded = span - np.abs(np.mod(below, 2 * span) - span)
        source = np.clip(np.rint(first[n] + folded), 0, len(colors) - 1).astype(np.int64)
        out[:, x] = colors[source, x]
    out[:, :x0], out[:, x1:] = out[:, x0 : x0 + 1], out[:, x1 - 1 : x1]
    # Mirrored rows show bars, so they are blurred, more horizontally than vertically.
    return cv2.GaussianBlur(out, (0, 0), sigmaX=1.0, sigmaY=max(0.08 * unit, 0.6))


def _outline_colors(
    colors: NDArray[np.float32], near: NDArray[np.bool_], middle: float, unit: float
) -> NDArray[np.float32]:
    """(h, 2, 3) mean of a narrow strip inside the head's outline, smooth down the rows."""
    height = len(colors)
    out = np.full((height, 2, 3), np.nan, np.float32)
    strip = max(2, round(0.12 * unit))
    for y in range(height):
        row = np.flatnonzero(near[y])
        if not len(row):
            continue
        out[y, 0] = colors[y, row[0] : row[0] + strip].mean(0)
        out[y, 1] = colors[y, row[-1] + 1 - strip : row[-1] + 1].mean(0)
    known = np.flatnonzero(np.isfinite(out[:, 0, 0]))
    for side in range(2):
        for k in range(3):
            out[:, side, k] = np.interp(np.arange(height), known, out[known, side, k])
    return cv2.GaussianBlur(out, (0, 0), sigmaX=1e-3, sigmaY=max(0.1 * unit, 0.8))
