"""Where the background is only brighter or darker than in the plate: a sheen on a floor, a colored shadow, a patch of
the plate that was taken in other light.

It keeps the background's color, as a gray thing on gray ground does; but it has no outline in the frame.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.channels import largest_channel
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, boxes_of, those_of
from pipeline.runtime.compiled import njit
from pipeline.scene.views import Shown, View

_PEOPLE_PX = 2
"""Around the people's masks, whose edges are blurred."""
_SOLID_PX = 2
_LEAST_PX = 60
_AROUND_PX = 8
"""Around a region, for the blurs and slopes on its border."""
_GAIN = (0.4, 2.0)
_ALIKE = (9.0, 0.3)
"""How far all channels alike may be missed: gray levels, and fraction of the difference from the plate."""
_ALIKE_SHARE = 0.75
_STEP = 0.12
"""Slope at an outline, per px of the view, relative to the difference inside. Measured in one px around regions on two
clips: sheens and soft shadows mostly 0.08 to 0.16, limbs and things 0.2 to 0.5."""
_NOISE_STEP = 2.0
"""Gray levels per px: slopes of grain and compression."""
_OPEN_SHARE = 0.3
"""Of a region's border so much is no outline; measured: 0.32 to 0.85, of limbs and things up to 0.2, rarely 0.35."""


def in_other_light(view: View, people: Mask) -> Mask:
    """Return the regions (h, w) beside ``people`` (h, w) that differ from the plate as the background does in another
    light: all channels alike, and along much of their border without an edge in the frame that the plate lacks."""
    differs = view.shown == Shown.OTHER
    beside = grow(people, _PEOPLE_PX)
    kernel = np.ones((2 * _SOLID_PX + 1, 2 * _SOLID_PX + 1), np.uint8)
    solid = cv2.morphologyEx((differs & ~beside).view(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labeled = cv2.connectedComponents(solid, connectivity=8)
    large = areas_of(labeled, count) >= _LEAST_PX
    large[0] = False
    if not large.any():
        return np.zeros(differs.shape, np.bool_)
    boxes = boxes_of(labeled, count)
    border = view.known & ~beside & ~differs
    for number in np.flatnonzero(large):
        x0, y0, x1, y1 = boxes[number].tolist()
        part = np.s_[max(0, y0 - _AROUND_PX) : y1 + _AROUND_PX, max(0, x0 - _AROUND_PX) : x1 + _AROUND_PX]
        large[number] = _is_lit(view.picture[part], view.plate[part], labeled[part] == number, border[part])
    if not large.any():
        return np.zeros(differs.shape, np.bool_)
    return differs & ~beside & grow(those_of(labeled, large), _SOLID_PX + 1)


def _is_lit(picture: Picture, plate: Picture, region: Mask, border: Mask) -> bool:
    """Whether a region (h, w) of a picture (h, w, 3) is the plate (h, w, 3) in another light; ``border`` (h, w) is
    background in plain sight."""
    now, clean = (cv2.GaussianBlur(each, (0, 0), 0.8) for each in (picture, plate))
    if np.count_nonzero(_keeps_color(now, clean) & region) < _ALIKE_SHARE * np.count_nonzero(region):
        return False
    apart = np.asarray(largest_channel(cv2.absdiff(now, clean)), np.float32)
    around = grow(region, _SOLID_PX) & border
    least = max(_NOISE_STEP, _STEP * float(np.median(apart[region])))
    is_open = _new_edges(picture, plate)[around] < least
    return bool(is_open.size and np.count_nonzero(is_open) >= _OPEN_SHARE * is_open.size)


def _new_edges(picture: Picture, plate: Picture) -> Float32Array:
    """Return (h, w): the slope of the frame where it is not that of the plate, gray levels per px."""
    (across, down), (clean_across, clean_down) = (_slopes(each) for each in (picture, plate))
    own = cv2.magnitude(across, down)
    new = cv2.magnitude(across - clean_across, down - clean_down)
    lesser = np.asarray(cv2.min(own, new), np.float32).reshape(picture.shape)
    return np.asarray(cv2.dilate(largest_channel(lesser), np.ones((3, 3), np.uint8)), np.float32)


def _slopes(picture: Picture) -> tuple[Float32Array, Float32Array]:
    calm = cv2.GaussianBlur(picture, (0, 0), 1.0)
    across, down = (cv2.Sobel(calm, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


@njit(cache=True, nogil=True)
def _keeps_color(now: Picture, clean: Picture) -> Mask:
    """Return (h, w) where one gain brings all channels of ``clean`` (h, w, 3) near those of ``now``."""
    height, width = now.shape[:2]
    found = np.zeros((height, width), np.bool_)
    for r in range(height):
        for c in range(width):
            product, square, apart = 0.0, 1.0, 0.0
            for k in range(3):
                a, b = float(now[r, c, k]), float(clean[r, c, k])
                product += a * b
                square += b * b
                apart = max(apart, abs(a - b))
            gain = product / square
            left = 0.0
            for k in range(3):
                left = max(left, abs(now[r, c, k] - gain * clean[r, c, k]))
            found[r, c] = _GAIN[0] < gain < _GAIN[1] and left < max(_ALIKE[0], _ALIKE[1] * apart)
    return found
