"""The single warp of a layer: from crop space to the shaking source frame, including the foot lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.window import Layer
from pipeline.maths.boxes import Box
from pipeline.maths.geometry import apply_transform
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

_PADDING = 3
"""Transparent pixels around the support: the kernel needs no bounds checks, and edges at the support stay soft."""
_KERNEL = np.ones((4, 4), np.uint8)
_MARGIN_PX = 3
"""The cubic kernel extends two pixels beyond the support."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlacedLayer(Shaped):
    """A layer in source space, cut to a box; premultiplied."""

    SHAPES: ClassVar[Shapes] = {"premultiplied": ("h", "w", 3), "alpha": ("h", "w")}

    box_xyxy: Box
    """Half-open, source px, inside the picture."""
    premultiplied: NDArray[np.float32]
    """(h, w, 3) RGB 0..255 times alpha."""
    alpha: NDArray[np.float32]
    """(h, w) 0..1."""


def support_box(layer: Layer, source_from_crop: Transforms, size_wh: tuple[int, int], margin_px: float) -> Box | None:
    """Return the source box that the layer's support can touch, expanded by ``margin_px``; None if it is empty."""
    assert layer.alpha is not None
    x0, y0, x1, y1 = support_of(layer.alpha)
    if x1 == 0:
        return None
    corners = np.array([[x0, y0], [x1 - 1, y0], [x0, y1 - 1], [x1 - 1, y1 - 1]], np.float64)
    points = apply_transform(source_from_crop, corners)
    low = np.floor(points.min(axis=0) - margin_px - _MARGIN_PX).astype(int)
    high = np.ceil(points.max(axis=0) + margin_px + _MARGIN_PX).astype(int) + 1
    width, height = size_wh
    box = (max(int(low[0]), 0), max(int(low[1]), 0), min(int(high[0]), width), min(int(high[1]), height))
    return box if box[0] < box[2] and box[1] < box[3] else None


def support_of(alpha: NDArray[np.uint8]) -> Box:
    """Return the box of what is not transparent; all 0 where everything is."""
    x, y, width, height = cv2.boundingRect(alpha)
    return x, y, x + width, y + height


def place_layer(
    layer: Layer,
    crop_from_source: Transforms,
    box_xyxy: Box,
    displacement: NDArray[np.float32] | None = None,
) -> PlacedLayer:
    """Sample a layer at every source pixel p of the box: at ``crop_from_source(p - displacement(p))``.

    ``displacement`` is (h, w, 2) source px, or None. The premultiplied picture is resampled once, cubically: crop, foot
    lock and reshake are one map, so nothing is filtered twice. The kernel is Keys' with a = -0.5 (Catmull and Rom) at
    full position precision: its weights preserve the first moment, so a layer lands exactly where the map says.
    OpenCV's (a = -0.75, positions in 1/32 px) is up to 0.05 px off.
    """
    assert layer.alpha is not None
    x0, y0, x1, y1 = box_xyxy
    premultiplied = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    alpha = np.zeros((y1 - y0, x1 - x0), np.float32)
    support = support_of(layer.alpha)
    if support[2] > 0:
        padded, there = _premultiplied(np.ascontiguousarray(layer.picture), np.ascontiguousarray(layer.alpha), support)
        origin = np.array([x0, y0, support[0] - _PADDING, support[1] - _PADDING], np.float64)
        reached = cv2.dilate(there, _KERNEL, anchor=(1, 1)).view(np.bool_)
        shift = np.zeros((0, 0, 2), np.float32) if displacement is None else np.ascontiguousarray(displacement)
        transform = np.ascontiguousarray(crop_from_source, np.float64)
        _sample(padded, reached, transform, origin, shift.astype(np.float32, copy=False), premultiplied, alpha)
    return PlacedLayer(box_xyxy, premultiplied, alpha)


@njit(cache=True, nogil=True)
def _premultiplied(
    picture: NDArray[np.uint8], alpha: NDArray[np.uint8], box: Box
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the box (h, w) of a layer with a transparent border: (h + 6, w + 6, 4) RGB 0..255 times alpha, and alpha
    0..1, and where there is anything, (h + 6, w + 6) 0 or 1."""
    x0, y0, x1, y1 = box
    result = np.zeros((y1 - y0 + 2 * _PADDING, x1 - x0 + 2 * _PADDING, 4), np.float32)
    there = np.zeros(result.shape[:2], np.uint8)
    for r in range(y0, y1):
        for c in range(x0, x1):
            if alpha[r, c] == 0:
                continue
            share = np.float32(alpha[r, c]) * np.float32(1 / 255)
            pixel = result[r - y0 + _PADDING, c - x0 + _PADDING]
            for channel in range(3):
                pixel[channel] = np.float32(picture[r, c, channel]) * share
            pixel[3] = share
            there[r - y0 + _PADDING, c - x0 + _PADDING] = 1
    return result, there


@njit(inline="always")
def _weights(t: float, result: NDArray[np.float32]) -> None:
    """Fill the four weights of Keys' cubic (IEEE Trans. ASSP 1981, a = -0.5) at ``t`` in 0..1 past the second."""
    result[0] = ((-0.5 * t + 1.0) * t - 0.5) * t
    result[1] = (1.5 * t - 2.5) * t * t + 1.0
    result[2] = ((-1.5 * t + 2.0) * t + 0.5) * t
    result[3] = (0.5 * t - 0.5) * t * t


@njit(cache=True, nogil=True)
def _sample(
    source: NDArray[np.float32],
    reached: Mask,
    transform: NDArray[np.float64],
    origin: NDArray[np.float64],
    displacement: NDArray[np.float32],
    premultiplied: NDArray[np.float32],
    alpha: NDArray[np.float32],
) -> None:
    """Fill the placed picture; ``origin``: x, y of the box in the source and of the padded picture in the crop.

    ``reached`` (rows, columns) is where the kernel that starts one sample before meets anything: half of the box is
    beside the person.
    """
    height, width = alpha.shape
    rows, columns, _ = source.shape
    moved = displacement.shape[0] > 0
    across, down = np.empty(4, np.float32), np.empty(4, np.float32)
    t = transform
    for r in range(height):
        for c in range(width):
            x, y = origin[0] + c, origin[1] + r
            if moved:
                x, y = x - displacement[r, c, 0], y - displacement[r, c, 1]
            w = t[2, 0] * x + t[2, 1] * y + t[2, 2]
            u = (t[0, 0] * x + t[0, 1] * y + t[0, 2]) / w - origin[2]
            v = (t[1, 0] * x + t[1, 1] * y + t[1, 2]) / w - origin[3]
            if not (u >= 1 and v >= 1 and u < columns - 2 and v < rows - 2):
                continue
            left, top = int(u), int(v)
            if not reached[top, left]:
                continue
            _weights(u - left, across)
            _weights(v - top, down)
            red = green = blue = share = np.float32(0)
            for j in range(4):
                for i in range(4):
                    weight = down[j] * across[i]
                    pixel = source[top - 1 + j, left - 1 + i]
                    red += weight * pixel[0]
                    green += weight * pixel[1]
                    blue += weight * pixel[2]
                    share += weight * pixel[3]
            share = min(share, np.float32(1))
            # The cubic kernel rings: values below half a gray level are cleared, and color never exceeds its alpha.
            if share < np.float32(1 / 512):
                continue
            most = np.float32(255) * share
            alpha[r, c] = share
            premultiplied[r, c, 0] = min(max(red, np.float32(0)), most)
            premultiplied[r, c, 1] = min(max(green, np.float32(0)), most)
            premultiplied[r, c, 2] = min(max(blue, np.float32(0)), most)
