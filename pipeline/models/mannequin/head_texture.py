"""The back of a head seen only from the front: hair, or skin where there is none."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import find_hair, head_mask, looks_like_hair
from pipeline.models.mannequin.sampling import sample_picture

_LEAST_HAIR = 0.12
"""Length of hair in a column of the picture below which the column shows a parting or skin, from eyes to chin."""
_SEAM = 0.6
"""Width over which the neck's two sides meet behind, in that unit."""


_LOCK = 0.035
"""Standard deviation of what is broader than a lock of hair, in that unit."""
_EVENED = 0.8
"""Fraction of the broad differences that is taken away."""


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
    seam_px: float
    """Width over which one side turns into the other there."""
    hair_color: NDArray[np.float32]
    """(3,) linear, usual; likewise the skin's."""
    skin_color: NDArray[np.float32]

    def at(self, x: NDArray[np.float32], y: NDArray[np.float32], is_hair: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(n, S, 3) for samples (n, S), of which rows ``is_hair`` lie on the hair's own surface."""
        hair = sample_picture(self.hair, x, y)
        row = np.clip(np.rint(y), 0, len(self.around) - 1).astype(np.int64)
        to_right = np.clip((x - self.middle) / self.seam_px + 0.5, 0, 1)[..., None]
        # Hair that hangs down beside the face continues around the neck, with the same brightness and with strands.
        of_side = [
            np.where(self.hangs[row, side][..., None], np.sqrt(hair * self.around[row, side]), self.around[row, side])
            for side in (0, 1)
        ]
        below = of_side[0] * (1 - to_right) + of_side[1] * to_right
        return np.where(is_hair[:, None, None], hair, below).astype(np.float32)


def head_colors(view: FittedView) -> HeadColors | None:
    """Separate hair from skin around the face of a picture; None where the head is not visible."""
    reference = view.reference
    hair = find_hair(reference)
    if hair is None:
        return None
    near = head_mask(reference, hair.middle, hair.unit_px)
    looks = looks_like_hair(reference.colors, hair.color, hair.skin)
    top = int(np.flatnonzero(near.any(1))[0])
    # Light from above overexposes the crown of white hair; all of it has the color that a back has.
    usual = np.median(reference.colors[hair.mask], axis=0) if hair.mask.any() else hair.color
    around = _outline_colors(reference.colors, near, float(hair.middle[0]), hair.unit_px)
    return HeadColors(
        _hair_everywhere(reference.colors, near, looks, top, hair.middle, hair.unit_px, usual),
        around,
        looks_like_hair(around, hair.color, hair.skin),
        float(hair.middle[0]),
        _SEAM * hair.unit_px,
        hair.color,
        hair.skin,
    )


def hair_in_picture(samples: NDArray[np.float32], view: FittedView, parts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T, S) which of the samples' colors (T, S, 3) are a head's hair; ``parts`` (T,) are the triangles' body parts."""
    head = parts == PARTS.index("head")
    hair = find_hair(view.reference)
    if hair is None:
        return np.broadcast_to(head[:, None] & (view.reference.view == "back"), samples.shape[:2])
    out = np.zeros(samples.shape[:2], bool)
    out[head] = looks_like_hair(samples[head], hair.color, hair.skin)
    return out


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
    seen = np.zeros(x1 - x0, bool)
    for n, x in enumerate(range(x0, x1)):
        rows = np.flatnonzero(near[:, x])
        if not len(rows):
            continue
        first[n] = rows[0]
        skin = np.flatnonzero(~looks[rows[0] + 2 : rows[-1] + 1, x])
        length[n] = (skin[0] if len(skin) else rows[-1] - rows[0]) - 1
        seen[n] = length[n] > _LEAST_HAIR * unit
    if not seen.any():
        return out
    # A column without hair, of a parting or beside it, is that of the nearest one with hair.
    known = np.flatnonzero(seen)
    nearest = known[np.abs(np.arange(len(seen))[:, None] - known).argmin(1)]
    length = length[nearest]
    first = np.interp(np.arange(len(first)), np.flatnonzero(seen), first[seen])
    # A stray pixel must not end a column's hair, nor a single lock extend it.
    usual = cv2.medianBlur(length.astype(np.float32)[None], 5)[0]
    smooth = cv2.GaussianBlur(usual[None], (0, 0), 0.12 * unit)[0]
    # Never longer than the column's own, beside which the face starts.
    length = np.maximum(np.minimum(smooth, usual), 0.1 * unit)
    for n, x in enumerate(range(x0, x1)):
        y = np.arange(len(colors))
        below = np.maximum(y - first[n], 0)
        span = length[n]
        folded = span - np.abs(np.mod(below, 2 * span) - span)
        source = np.clip(np.rint(first[nearest[n]] + folded), 0, len(colors) - 1).astype(np.int64)
        out[:, x] = colors[source, x0 + nearest[n]]
    out[:, :x0], out[:, x1:] = out[:, x0 : x0 + 1], out[:, x1 - 1 : x1]
    # Mirrored rows show bars, so they are blurred, more horizontally than vertically.
    return _evened(cv2.GaussianBlur(out, (0, 0), sigmaX=1.0, sigmaY=max(0.08 * unit, 0.6)), fallback, unit)


def _evened(hair: NDArray[np.float32], usual: NDArray[np.float32], unit: float) -> NDArray[np.float32]:
    """Return hair (h, w, 3) whose broad differences of color are reduced towards the ``usual`` color (3,).

    The front's parting, its highlights and its dark outlines would be broad stripes down the back of the head; locks
    and strands stay.
    """
    logs = np.log(np.maximum(hair, 2e-3))
    broad = cv2.GaussianBlur(logs, (0, 0), _LOCK * unit)
    return np.exp(logs + _EVENED * (np.log(np.maximum(usual, 2e-3)) - broad)).astype(np.float32)


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
