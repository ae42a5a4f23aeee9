"""Find footage that is black and white or toned (sepia, duotone, one colored light), and give its tones to a color.

In such a picture chroma is a function of luma; what is left beside that function is next to nothing. Everything that
is inserted must obey it, too: a blue jersey in an old film is the first thing that anybody sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.masks import grow
from pipeline.maths.reduce import reduced
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

_GRAY = 0.5
"""Chroma of gray in OpenCV's YCrCb of floats."""
_ROWS = 54
"""Height at which chroma is compared."""
_MOST, _LEAST = 0.045, 0.11
"""Chroma beside the tone, relative to luma, up to which a picture has none of its own, and from which it has all. Toned
pictures have 0.021 to 0.036, also under a vignette, an almost colorless bedroom at 45 % of its saturation 0.09, at all
of it 0.18, other natural pictures 0.24 and more."""
_DARK = 64.0
"""Levels; darker surfaces show less chroma than their share."""
_OF_PICTURE, _OF_SUBJECT = 0.98, 0.95
"""Quantiles that count: a caption may be colored, and a person in black in a white hall still has a face."""
_COLORED = 6.0
"""Levels of chroma from which a tone has a hue."""
_OF_STRENGTH = 0.25
"""Weight of a difference in the strength of the tone."""
_STEP = 8
"""Levels of luma that share one tone."""
_LEAST_STEPS = 4
"""A plain picture tells nothing about tones."""
_LEAST_PX = 7
_THIN = 3
"""Every third pixel is enough for the tone."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ColorGrade(Shaped):
    """How a toned picture colors its luma."""

    SHAPES: ClassVar[Shapes] = {"tint": (256, 2)}

    saturation: float
    """0..1: how much of its own chroma a color keeps; 0 in a picture that has none beside the tone."""
    tint: NDArray[np.float32]
    """(256, 2) Cr and Cb, levels from gray, by luma."""

    def of(self, colors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sRGB colors (h, w, 3), levels 0..255, as the picture would show them; their luma stays."""
        parts = cv2.cvtColor(colors, cv2.COLOR_RGB2YCrCb)
        luma = np.clip(parts[..., 0], 0, 255)
        for k in range(2):
            tone = np.interp(luma, np.arange(256), self.tint[:, k])
            parts[..., 1 + k] = _GRAY + self.saturation * (parts[..., 1 + k] - _GRAY) + (1 - self.saturation) * tone
        return np.clip(np.asarray(cv2.cvtColor(parts, cv2.COLOR_YCrCb2RGB), np.float32), 0, 255)

    def of_picture(self, picture: Picture) -> Picture:
        """Return an sRGB picture (h, w, 3) in the picture's tones."""
        return np.asarray(np.rint(self.of(picture.astype(np.float32))), np.uint8)


def find_grade(picture: Picture, subject_mask: Mask, graphics: Mask | None = None) -> ColorGrade | None:
    """Return the grade of an sRGB picture (H, W, 3); None where it has the usual colors.

    ``subject_mask`` (H, W) is the person to be replaced, who counts for themselves; ``graphics`` (H, W) are no part of
    the footage.
    """
    height, width = picture.shape[:2]
    step = max(height // _ROWS // 2, 1)
    # Every sixth pixel or so, pairwise averaged: chroma has half the resolution anyway.
    coarse = np.ascontiguousarray(picture[::step, ::step])
    size_wh = max(coarse.shape[1] // 2, 1), max(coarse.shape[0] // 2, 1)
    parts = cv2.cvtColor(reduced(coarse, size_wh).astype(np.float32), cv2.COLOR_RGB2YCrCb)
    at = np.ix_(*((np.arange(n) * size) // n for n, size in zip(size_wh[::-1], (height, width), strict=True)))
    counts = np.ones(size_wh[::-1], np.bool_) if graphics is None else ~grow(graphics[at], 1)
    luma, chroma = np.rint(parts[..., 0]).astype(np.uint8), parts[..., 1:] - np.float32(_GRAY)
    tint = _tint(luma[counts][::_THIN], chroma[counts][::_THIN])
    if tint is None:
        return None
    beside = _beside(luma, chroma, tint) / np.maximum(luma, np.float32(_DARK))
    found = float(np.quantile(beside[counts], _OF_PICTURE))
    of_subject = beside[counts & subject_mask[at]]
    if len(of_subject):
        found = max(found, float(np.quantile(of_subject, _OF_SUBJECT)))
    saturation = float(np.clip((found - _MOST) / (_LEAST - _MOST), 0, 1))
    return ColorGrade(saturation, tint) if saturation < 1 else None


def _beside(luma: NDArray[np.uint8], chroma: NDArray[np.float32], tint: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (h, w) how far the chroma (h, w, 2) is from the tone of its luma, levels.

    A vignette or haze over a toned picture changes the strength of the tone, not its hue.
    """
    across, down = cv2.split(tint[luma])
    strength = np.hypot(across, down)
    x, y = chroma[..., 0] - across, chroma[..., 1] - down
    along = (x * across + y * down) / np.maximum(strength, 1e-6)
    aside = (x * down - y * across) / np.maximum(strength, 1e-6)
    is_strength = (strength > _COLORED) & (np.abs(along) < strength)
    return np.where(is_strength, np.hypot(aside, _OF_STRENGTH * along), np.hypot(x, y))


def _tint(luma: NDArray[np.uint8], chroma: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the usual chroma (256, 2) by luma, from pixels (N,) with chroma (N, 2); None where they are too few."""
    order = np.argsort(luma, kind="stable")
    bounds = np.searchsorted(luma[order], np.arange(0, 256 + _STEP, _STEP))
    is_used = np.diff(bounds) >= _LEAST_PX
    if np.count_nonzero(is_used) < _LEAST_STEPS:
        return None
    places, usual = _usual_by_step(luma[order], chroma[order], bounds[:-1][is_used], bounds[1:][is_used])
    return np.stack([np.interp(np.arange(256), places, usual[:, k]) for k in range(2)], axis=1).astype(np.float32)


@njit(cache=True, nogil=True)
def _usual_by_step(
    luma: NDArray[np.uint8], chroma: NDArray[np.float32], starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return the mean luma (S,) and the median chroma (S, 2) of runs of pixels (N,) and (N, 2): numpy's own median
    takes ten times as long for its arguments as for so few values."""
    places = np.empty(len(starts), np.float64)
    usual = np.empty((len(starts), 2), np.float32)
    for k in range(len(starts)):
        low, high = starts[k], stops[k]
        total = 0
        for i in range(low, high):
            total += luma[i]
        places[k] = total / (high - low)
        middle = (high - low) // 2
        for channel in range(2):
            ascending = np.sort(chroma[low:high, channel])
            below = ascending[middle] if (high - low) % 2 else ascending[middle - 1]
            usual[k, channel] = (below + ascending[middle]) / np.float32(2)
    return places, usual
