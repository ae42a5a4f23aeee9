"""What editors put around a clip, drawn with known coverage: bars, blurred copies of the clip, a picture in a picture.

The clip keeps its place and size; what lies outside of the frame is covered. As in ``burnt_in`` there are two styles.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Alpha = NDArray[np.float32]
Layer = tuple[Picture, Alpha]
"""Colors (H, W, 3) and coverage (H, W)."""


def _outside(shape: tuple[int, ...], x0: float, y0: float, x1: float, y1: float) -> Alpha:
    """Return the coverage of all but a box; in fractions of the picture, rounded to even px."""
    height, width = shape[:2]
    alpha = np.ones((height, width), np.float32)
    left, right = (2 * round(x * width / 2) for x in (x0, x1))
    top, bottom = (2 * round(y * height / 2) for y in (y0, y1))
    alpha[top:bottom, left:right] = 0
    return alpha


def _flat(shape: tuple[int, ...], color: tuple[int, int, int]) -> Picture:
    return np.full((*shape[:2], 3), color, np.uint8)


def pillarbox(picture: Picture, t: int, style: int) -> Layer:
    """Bars at the left and the right."""
    return _flat(picture.shape, ((0, 0, 0), (236, 232, 224))[style]), _outside(
        picture.shape, *((0.24, 0, 0.76, 1), (0.19, 0, 0.81, 1))[style]
    )


def title_bars(picture: Picture, t: int, style: int) -> Layer:
    """Bars above and below; a title on the upper one."""
    colors = _flat(picture.shape, ((255, 255, 255), (0, 0, 0))[style])
    box = ((0, 0.25, 1, 0.93), (0, 0.3, 1, 0.86))[style]
    words = ("POV: you go out", "nobody: / me at 3 pm")[style]
    height, width = picture.shape[:2]
    ink = ((0, 0, 0), (255, 255, 255))[style]
    place = (round(0.12 * width), round((box[1] - 0.06) * height))
    cv2.putText(colors, words, place, cv2.FONT_HERSHEY_SIMPLEX, height / 300, ink, 3, cv2.LINE_AA)
    return colors, _outside(picture.shape, *box)


def blurred_sides(picture: Picture, t: int, style: int) -> Layer:
    """The clip's middle, with an enlarged, blurred and darkened copy at both sides."""
    x0, x1 = ((0.28, 0.72), (0.2, 0.8))[style]
    return _blurred_copy(picture, (x0, 0, x1, 1), (0.03, 0.02)[style], (0.6, 0.9)[style])


def blurred_top(picture: Picture, t: int, style: int) -> Layer:
    """The same above and below."""
    y0, y1 = ((0.2, 0.8), (0.24, 0.76))[style]
    return _blurred_copy(picture, (0, y0, 1, y1), (0.025, 0.04)[style], (0.8, 1.0)[style])


def _blurred_copy(picture: Picture, box: tuple[float, float, float, float], sigma: float, light: float) -> Layer:
    height, width = picture.shape[:2]
    alpha = _outside(picture.shape, *box)
    rows, columns = np.nonzero(alpha == 0)
    content = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    factor = max(width / content.shape[1], height / content.shape[0])
    size_wh = round(content.shape[1] * factor), round(content.shape[0] * factor)
    large = cv2.resize(content, size_wh, interpolation=cv2.INTER_CUBIC)
    left, top = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
    blurred = cv2.GaussianBlur(large[top : top + height, left : left + width], (0, 0), sigma * max(height, width))
    return np.clip(np.rint(blurred * np.float32(light)), 0, 255).astype(np.uint8), alpha


Frame = Callable[[Picture, int, int], Layer]
FRAMES: dict[str, Frame] = {each.__name__: each for each in (pillarbox, title_bars, blurred_sides, blurred_top)}
"""Each maps a picture (H, W, 3), the frame's number and the style's to what is laid on it."""
