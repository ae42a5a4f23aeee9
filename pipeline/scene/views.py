"""A frame around the subject and its clean background, at a size at which pictures are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import Box, part_of
from pipeline.maths.channels import largest_channel
from pipeline.maths.masks import resized_mask
from pipeline.maths.reduce import reduced
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

WORK_BODY_PX = 300
"""Body height at which pictures are compared."""


class Shown(IntEnum):
    """What a pixel shows, judged by its difference from the plate in the frame's light."""

    UNKNOWN = 0
    """Ambiguous, or the plate is unknown there."""
    PLATE = 1
    OTHER = 2
    """Something that is not the background."""
    SHADOW = 3
    """The background in another light: darkened, all channels alike; see also ``other_light``."""


_ALIKE = (4.0, 9.0)
"""Bounds in gray levels: grain and codec noise after smoothing. In the dark levels lie closer together."""
_ALIKE_NOISE = 3.5
"""Times the usual difference of a place that shows the plate."""
_DIFFERENT_ALIKE = 1.55
"""Factor between the thresholds of different and equal: more than uneven light changes the plate."""
_NOISE_PERCENTILE = 35
"""Quantile of the differences in a view: more than a third of it is background."""
_SHIFT_PX = 0.7
"""Misregistration of the plate, px of the reduced picture, that is tolerated."""
_SHADOW_GAIN = (0.4, 0.97)
_SHADOW_ALIKE = 1.33
"""A shadow darkens all channels alike: largest residual after that, relative to the threshold of equality."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class View(Shaped):
    """The part of a frame in ``box_xyxy``, ``factor`` times smaller."""

    SHAPES: ClassVar[Shapes] = {
        "picture": ("h", "w", 3), "plate": ("h", "w", 3), "shown": ("h", "w"), "darker": ("h", "w"),
        "known": ("h", "w"),
    }  # fmt: skip

    box_xyxy: Box
    factor: float
    picture: Picture
    """(h, w, 3) the source."""
    plate: Picture
    """(h, w, 3) in the source's light."""
    shown: NDArray[np.uint8]
    """(h, w) of ``Shown``."""
    darker: Mask
    """(h, w) where no channel is brighter than the plate's: possibly an uneven shadow."""
    known: Mask
    """(h, w) where some frame shows the background."""

    @property
    def size_wh(self) -> tuple[int, int]:
        return self.picture.shape[1], self.picture.shape[0]

    def with_plate(self, plate: Picture) -> View:
        """Return the view compared with another plate (h, w, 3)."""
        return _view(self.box_xyxy, self.factor, self.picture, plate, self.known)

    def within(self, box: Box) -> View:
        """Return the part of the view in a box of its pixels; ``box_xyxy`` stays that of the whole view."""
        return replace(
            self,
            picture=part_of(self.picture, box),
            plate=part_of(self.plate, box),
            shown=part_of(self.shown, box),
            darker=part_of(self.darker, box),
            known=part_of(self.known, box),
        )

    def reduced(self, mask: Mask) -> Mask:
        """Resample a mask of the box to the view."""
        return resized_mask(mask, self.size_wh)

    def enlarged(self, mask: Mask) -> Mask:
        """Resample a mask of the view to the box, with a smooth edge."""
        x0, y0, x1, y1 = self.box_xyxy
        if mask.shape == (y1 - y0, x1 - x0):
            return mask
        large = cv2.resize(mask.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        return large > 0.5

    def enlarged_labels(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resample labels (h, w) of the view to the box, with smooth edges; 0 where no label has the most weight."""
        x0, y0, x1, y1 = self.box_xyxy
        if labels.shape == (y1 - y0, x1 - x0):
            return labels
        large = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for label in np.unique(labels[labels > 0]):
            large[self.enlarged(labels == label)] = label
        return large


def view_size(box_xyxy: Box, body_height_px: float) -> tuple[int, int]:
    """Return width and height of a box's view."""
    x0, y0, x1, y1 = box_xyxy
    factor = _factor(body_height_px)
    return max(1, round((x1 - x0) / factor)), max(1, round((y1 - y0) / factor))


def _factor(body_height_px: float) -> float:
    return max(1.0, body_height_px / WORK_BODY_PX)


def view_of(box_xyxy: Box, source: Picture, plate: Picture, seen: Mask, body_height_px: float) -> View:
    """Compare source and plate (in the source's light), both (h, w, 3) of one box, or of ``view_size`` already."""
    size_wh = view_size(box_xyxy, body_height_px)
    known = resized_mask(seen, size_wh)
    return _view(box_xyxy, _factor(body_height_px), reduced(source, size_wh), reduced(plate, size_wh), known)


def _view(box_xyxy: Box, factor: float, picture: Picture, plate: Picture, known: Mask) -> View:
    now, clean = (_calm(each) for each in (picture, plate))
    gray = np.asarray(cv2.transform(clean, np.full((1, 3), 1 / 3)), np.float32)
    slope = cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 8
    slope = np.asarray(cv2.dilate(slope, np.ones((3, 3), np.uint8)), np.float32)
    shown = np.empty(gray.shape, np.uint8)
    darker = np.empty(gray.shape, np.bool_)
    _compare(now, clean, slope, known, _alike_levels(now, clean), shown, darker)
    return View(box_xyxy, factor, picture, plate, shown, darker, known)


def _alike_levels(now: Float32Array, clean: Float32Array) -> float:
    """Return how far a pixel that shows the plate may differ from it, gray levels."""
    apart = largest_channel(np.abs(now[::3, ::3] - clean[::3, ::3]))
    return float(np.clip(_ALIKE_NOISE * np.percentile(apart, _NOISE_PERCENTILE), *_ALIKE))


def _calm(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 0.8)


@njit(cache=True, nogil=True)
def _compare(
    now: NDArray[np.float32],
    clean: NDArray[np.float32],
    slope: NDArray[np.float32],
    known: Mask,
    alike: float,
    shown: NDArray[np.uint8],
    darker: Mask,
) -> None:
    height, width = slope.shape
    for r in range(height):
        for c in range(width):
            shown[r, c] = 0
            is_darker = True
            for channel in range(3):
                is_darker &= now[r, c, channel] <= clean[r, c, channel]
            darker[r, c] = is_darker
            if not known[r, c]:
                continue
            apart = 0.0
            product = 0.0
            square = 1.0
            for channel in range(3):
                a, b = now[r, c, channel], clean[r, c, channel]
                apart = max(apart, abs(a - b))
                product += a * b
                square += b * b
            room = _SHIFT_PX * slope[r, c]
            if apart <= alike + 0.5 * room:
                shown[r, c] = 1
                continue
            if apart <= _DIFFERENT_ALIKE * alike + room:
                continue
            gain = product / square
            left = 0.0
            for channel in range(3):
                left = max(left, abs(now[r, c, channel] - gain * clean[r, c, channel]))
            is_shadow = _SHADOW_GAIN[0] < gain < _SHADOW_GAIN[1] and left < _SHADOW_ALIKE * alike
            shown[r, c] = 3 if is_shadow else 2
