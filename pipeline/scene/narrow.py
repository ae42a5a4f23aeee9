"""Narrow straight things: bars of a railing, wires, poles, frames."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture

_NARROW_BH = 0.036
"""Width up to which a line counts as narrow: bars of 6 cm."""
_LONG_BH = 0.06
_LINE_CONTRAST = 0.12
_CONTRAST_LEVELS = (5.0, 12.0)
"""Bounds of a line's contrast with both its sides, gray levels."""
_LINE_PX = 7
_DIRECTION_DEG = 11.25
LINES = (
    np.ones((_LINE_PX, 1), np.uint8),
    np.ones((1, _LINE_PX), np.uint8),
    np.eye(_LINE_PX, dtype=np.uint8),
    np.ascontiguousarray(np.eye(_LINE_PX, dtype=np.uint8)[::-1]),
)


def opened_by_lines(mask: Mask) -> Mask:
    """Return the pixels of a mask that lie in it on a short straight line, or in a small square.

    A railing's bar is narrower than the square, a speckle is shorter than the line.
    """
    pixels = mask.view(np.uint8)
    kept = cv2.morphologyEx(pixels, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    for line in LINES:
        kept |= cv2.morphologyEx(pixels, cv2.MORPH_OPEN, line)
    return kept > 0


def opened_by_long_lines(mask: Mask, length_px: int) -> Mask:
    """Return the pixels of a mask (h, w) that lie in it on a straight line of a length, in any direction."""
    # OpenCV continues a mask beyond its edge.
    pixels = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    kept = np.zeros_like(pixels)
    reach = length_px // 2
    for angle in np.deg2rad(np.arange(0.0, 180.0, _DIRECTION_DEG)):
        end = round(reach * np.cos(angle)), round(reach * np.sin(angle))
        line = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
        cv2.line(line, (reach - end[0], reach - end[1]), (reach + end[0], reach + end[1]), 1)
        kept |= cv2.morphologyEx(pixels, cv2.MORPH_OPEN, line)
    return kept[1:-1, 1:-1] > 0


def narrow_lines(picture: Picture, body_height_px: float) -> Mask:
    """Return (h, w): the straight lines of a picture, upright or level, that differ from both their sides.

    Bars, wires, poles and frames; found by top-hat transforms (Meyer 1979).
    """
    gray = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 0.7)
    size = max(3, 2 * round(0.5 * _NARROW_BH * body_height_px) + 1)
    length = max(5, round(_LONG_BH * body_height_px))
    # In the dark levels lie closer together.
    contrast = float(np.clip(_LINE_CONTRAST * gray.mean(), *_CONTRAST_LEVELS))
    found = np.zeros(gray.shape, np.uint8)
    for across, along in (((1, size), (length, 1)), ((size, 1), (1, length))):
        for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
            stands_out = cv2.morphologyEx(gray, operation, np.ones(across, np.uint8)) > contrast
            found |= cv2.morphologyEx(stands_out.view(np.uint8), cv2.MORPH_OPEN, np.ones(along, np.uint8))
    return found > 0
