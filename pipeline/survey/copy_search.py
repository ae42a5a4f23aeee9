"""Find the blurred copy of a picture that fills the frame around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.datatypes.blurred_copy import BlurredCopy
from pipeline.maths.blurred_copy import change_of_copy, fit_blurred_copy
from pipeline.maths.boxes import Box

Luma = NDArray[np.uint8]
THUMB_PX = 128
"""Long side of the pictures in which copies are searched."""
_FITTED = 4
"""Pictures by which a copy is fitted."""
_MOST_FITS = {"early": 4, "final": 16}
"""Boxes for which that is done, those whose rough shapes are most alike: the windows of a symmetric facade give
hundreds of boxes, and a fit takes a fifth of a second."""
_ZOOMS = (1.0, 1.1, 1.25, 1.5)
_LEAST_CORRELATION = 0.75
"""Of the rough shapes, letters on the copy included."""
_ALIKE = 0.85
"""The same where the fit fails."""
_LEAST_SCALE = 1.25
"""Of the picture enlarged, where the fit fails: the windows of a facade repeat at scales of up to 1.16."""
_LEAST_BLUR = 0.5
"""Largest ratio of fine detail in a blurred copy to that of the picture enlarged."""
_SHARP_PX = 0.1
_LEAST_CONTRAST = 2.0
"""Gray levels: standard deviation of a copy that can be compared."""
_LEAST_SIDE_PX = 8
_ROUGH_PX = 0.04 * THUMB_PX
_FIRST_BLUR_PX = 2.5


def find_copy(
    thumbs: Sequence[Luma],
    boxes_xyxy: Sequence[Box],
    size_wh: tuple[int, int],
    effort: Literal["early", "final"] = "final",
) -> tuple[Box, BlurredCopy] | None:
    """Return the first of some boxes outside of which a blurred copy fills frames of a size (all in px of the frames),
    and the copy; None where something else does. ``thumbs`` (h, w) are some of the frames, small. An ``early`` search
    tries fewer boxes.

    The copy's gain is 0 where it is one, but not known well enough to be changed.
    """
    if not thumbs:
        return None
    height, width = thumbs[0].shape
    x, y = width / size_wh[0], height / size_wh[1]
    frames = np.dstack([thumbs[number] for number in np.linspace(0, len(thumbs) - 1, _FITTED).round().astype(int)])
    guesses: list[tuple[Box, _Guess]] = []
    for box in boxes_xyxy:
        left, top, right, bottom = box
        small_box = int(np.ceil(left * x)), int(np.ceil(top * y)), int(right * x), int(bottom * y)
        guess = _rough_copy(frames, small_box)
        if guess is not None:
            guesses.append((box, guess))
    likest = sorted((guess.likeness for _, guess in guesses), reverse=True)[: _MOST_FITS[effort]]
    for box, guess in guesses:
        found = _fitted(frames, guess) if guess.likeness >= likest[-1] else None
        if found is not None:
            return box, found.scaled((1 / x, 1 / y))
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Guess:
    """A copy whose blur and gain are not known, in small frames."""

    box_xyxy: Box
    outside: Mask
    """(h, w) what it fills."""
    likeness: float
    """Correlation of the rough shapes."""
    copy: BlurredCopy


def _fitted(frames: NDArray[np.uint8], guess: _Guess) -> BlurredCopy | None:
    """Return the copy that ``frames`` (h, w, n) show, with a gain of 0 where it is hardly known; None where there is
    none."""
    found = fit_blurred_copy(frames, guess.box_xyxy, guess.outside, guess.copy)
    is_alike = guess.likeness >= _ALIKE and max(guess.copy.scale_xy) >= _LEAST_SCALE
    if found is None and is_alike and _is_blurred(frames, guess):
        return replace(guess.copy, gain=0.0)
    return found


def _rough_copy(frames: NDArray[np.uint8], box_xyxy: Box) -> _Guess | None:
    """Return the centered copy whose rough shapes are most like those outside of the box; ``frames`` (h, w, n)."""
    x0, y0, x1, y1 = box_xyxy
    if x1 - x0 < _LEAST_SIDE_PX or y1 - y0 < _LEAST_SIDE_PX:
        return None
    height, width = frames.shape[:2]
    outside = np.ones((height, width), np.bool_)
    # The line itself is in neither.
    outside[max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2] = False
    if np.count_nonzero(outside) < THUMB_PX:
        return None
    shown = _rough(frames)[outside]
    inside = frames[y0:y1, x0:x1].astype(np.float32)
    if min(shown.std(), inside.std()) < _LEAST_CONTRAST:
        return None
    covering = width / (x1 - x0), height / (y1 - y0)
    best: _Guess | None = None
    for zoom in _ZOOMS:
        for across, down in ((max(covering),) * 2, covering):
            scale = zoom * across, zoom * down
            offset = (width - scale[0] * (x0 + x1)) / 2, (height - scale[1] * (y0 + y1)) / 2
            copy = BlurredCopy(scale, offset, _FIRST_BLUR_PX, 1.0)
            expected = _rough(change_of_copy(copy, inside, box_xyxy, (width, height)))[outside]
            likeness = float(np.corrcoef(shown.ravel(), expected.ravel())[0, 1])
            if best is None or likeness > best.likeness:
                best = _Guess(box_xyxy, outside, likeness, copy)
    return best if best is not None and best.likeness >= _LEAST_CORRELATION else None


def _is_blurred(frames: NDArray[np.uint8], guess: _Guess) -> bool:
    """Whether frames (h, w, n) have less fine detail outside of a guess's box than the picture enlarged."""
    x0, y0, x1, y1 = guess.box_xyxy
    inside = frames[y0:y1, x0:x1].astype(np.float32)
    copy = replace(guess.copy, sigma_px=_SHARP_PX)
    sharp = change_of_copy(copy, inside, guess.box_xyxy, guess.outside.shape[::-1])
    return _detail(frames.astype(np.float32), guess.outside) <= _LEAST_BLUR * _detail(sharp, guess.outside)


def _detail(frames: Float32Array, where: Mask) -> float:
    return float(np.abs(frames - cv2.GaussianBlur(frames, (0, 0), 1.0))[where].mean())


def _rough(frames: NDArray[np.uint8] | Float32Array) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(frames.astype(np.float32), (0, 0), _ROUGH_PX), np.float32)
