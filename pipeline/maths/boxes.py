"""Boxes of whole pixels: ``(x0, y0, x1, y1)``, the end exclusive."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Points

Box = tuple[int, int, int, int]
_Value = TypeVar("_Value", bound=np.generic)


def grown(box: Box, by: int) -> Box:
    """Expand a box on all sides."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def union_of(boxes: list[Box]) -> Box:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)


def clipped(box: Box, size_wh: tuple[int, int]) -> Box:
    """Clip a box to the picture."""
    return max(box[0], 0), max(box[1], 0), min(box[2], size_wh[0]), min(box[3], size_wh[1])


def overlap_slices(inner: Box, outer: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of two boxes' intersection: into an array over ``outer``, and into one over ``inner``."""
    x0, y0 = max(inner[0], outer[0]), max(inner[1], outer[1])
    x1, y1 = max(min(inner[2], outer[2]), x0), max(min(inner[3], outer[3]), y0)
    return (
        (slice(y0 - outer[1], y1 - outer[1]), slice(x0 - outer[0], x1 - outer[0])),
        (slice(y0 - inner[1], y1 - inner[1]), slice(x0 - inner[0], x1 - inner[0])),
    )


def box_union(*boxes_xyxy: NDArray[Any]) -> NDArray[np.float64]:
    """Return the smallest box around boxes (..., 4); NaN boxes are ignored."""
    stack = np.stack([np.asarray(box, np.float64) for box in boxes_xyxy])
    low = np.fmin.reduce(stack[..., :2], axis=0)
    high = np.fmax.reduce(stack[..., 2:], axis=0)
    return np.concatenate([low, high], axis=-1)


def overlap_of_smaller(a_xyxy: NDArray[np.float64], b_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (...,) the intersection area of boxes (..., 4), as a fraction of the smaller one."""
    wh = np.clip(np.minimum(a_xyxy[..., 2:], b_xyxy[..., 2:]) - np.maximum(a_xyxy[..., :2], b_xyxy[..., :2]), 0, None)
    areas = [np.prod(box[..., 2:] - box[..., :2], axis=-1) for box in (a_xyxy, b_xyxy)]
    return np.prod(wh, axis=-1) / np.maximum(np.minimum(*areas), 1e-9)


def box_iou(a_xyxy: NDArray[Any], b_xyxy: NDArray[Any]) -> float:
    """Return the intersection over the union of two boxes (4,); 0 where both are empty."""
    sides = np.minimum(a_xyxy[2:], b_xyxy[2:]) - np.maximum(a_xyxy[:2], b_xyxy[:2])
    both = float(np.prod(np.maximum(sides, 0)))
    areas = sum(float(np.prod(box[2:] - box[:2])) for box in (a_xyxy, b_xyxy))
    return both / max(areas - both, 1e-9)


def box_of_points(points: NDArray[Any]) -> NDArray[np.float64]:
    """Return (..., 4) boxes around points (..., N, 2); NaN points are ignored; all NaN gives NaN."""
    points = np.asarray(points, np.float64)
    return np.concatenate([np.fmin.reduce(points, axis=-2), np.fmax.reduce(points, axis=-2)], axis=-1)


def box_corners(boxes_xyxy: NDArray[Any]) -> Points:
    """Return the four corners (..., 4, 2) of boxes (..., 4)."""
    boxes = np.asarray(boxes_xyxy, np.float64)
    return boxes[..., [[0, 1], [2, 1], [2, 3], [0, 3]]]


def box_of_mask(mask: Mask) -> Box:
    """Return the half-open box x0, y0, x1, y1 around the mask's True pixels; all 0 where there are none."""
    if mask.size == 0:
        return 0, 0, 0, 0
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return x, y, x + width, y + height


def part_of(picture: NDArray[_Value], box: Box) -> NDArray[_Value]:
    """Return the part of a picture or mask (h, w, ...) in a box inside it, contiguous: compiled code is compiled once
    more for what is not."""
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(picture[y0:y1, x0:x1])


def box_area(box: Box) -> int:
    """Return how many pixels a box has."""
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)
