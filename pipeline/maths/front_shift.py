"""How far what stands in front of somebody is from its place in the clean background.

A post near the camera moves against the ground behind it. A plate is registered by the ground beside the people, so
inside their outline the plate's post stands beside itself. But it is seen there: they are behind it. So where a shift
of the plate by a few pixels makes far more of it agree with the frame inside the outline, that part of it belongs
there. What is not in front never agrees, shifted or not: there the frame shows the people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Matte, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import close, grow
from pipeline.maths.optical_flow import Flow, warp_by_flow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

WORK_BODY_PX = 300
"""Body height at which pictures should be compared: the lengths in px below are for it."""
_MOST_PX = 6
"""Largest shift that is tried, along rows and along columns: an edge tells no more than the shift across it."""
_EDGE_PX = 3
_WINDOW_BH = 0.16
"""Side of the square in which pixels that agree are counted, body heights."""
_GAIN = 0.5
"""Pixels that must agree more, as a share of those that an edge through the whole window sweeps."""
_CHANCE_PX = 0.25
"""And as many for each row of the window: along an object that is in place, some agree more by chance."""
_ALIKE_LEVELS = 6.0
_ALIKE_SLOPE = 0.35
"""Differences that are agreement, gray levels: noise, and half a pixel on an edge."""
_ALIKE_SPREAD = 1.5
"""More is allowed once the shift is known: pixels at the edge are mixed with people's."""
_BLUR_PX = 5
"""How far from a pixel others affect how it is compared."""
LEAST_PX = 120
"""Pixels that show the plate inside the outline, from which on something may be in front."""
_SPREAD_BH = 0.05
_COARSE = 4
_LEAST_SPREAD = 0.03
_LEAST_SURE = 0.25
_LEAST_NEW = 0.1
"""Shares of a region that must be sure of its own shift, and agree only by it."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrontShift(Shaped):
    """Where a plate is to be moved, (h, w) at the size at which it was compared."""

    SHAPES: ClassVar[Shapes] = {
        "shift": ("h", "w", 2), "front": ("h", "w"), "vacated": ("h", "w"), "around": ("h", "w"),
    }  # fmt: skip

    shift: Flow
    """(h, w, 2) px from the plate to the frame."""
    front: Mask
    """(h, w) the moved plate's place in the frame; empty where what is in front is in place."""
    vacated: Mask
    """(h, w) where it was, and what it hid is to be shown."""
    around: Matte
    """(h, w) 1 around all that is in front, moved or not, with a soft edge."""

    @property
    def is_moved(self) -> bool:
        """Whether anything is to be moved."""
        return bool(self.front.any())

    def of_moved(self) -> FrontShift:
        """Return it with ``around`` only around what is moved."""
        return replace(self, around=_around(self.front | self.vacated))

    def applied(self, plate: Picture) -> Picture:
        """Return the plate (H, W, 3) moved, at its own size, and inpainted where it was before."""
        if not self.is_moved:
            return plate
        height, width = plate.shape[:2]
        factor = width / self.front.shape[1]
        both = (self.front, self.vacated)
        front, vacated = (cv2.resize(each.astype(np.float32), (width, height)) > 0.5 for each in both)
        vacated &= ~front
        changed = front | vacated
        room = round(2 * _MOST_PX * factor)
        x0, y0, x1, y1 = clipped(grown(box_of_mask(changed), room), (width, height))
        area = np.s_[y0:y1, x0:x1]
        here, gone = front[area], vacated[area]
        shift = cv2.resize(self.shift, (width, height))[area] * np.float32(factor)
        before = np.ascontiguousarray(plate[area])
        # What is in front does not bleed into what it hid.
        hole = gone | (here & grow(gone, round(_MOST_PX * factor)))
        filled = cv2.inpaint(before, hole.view(np.uint8), 3, cv2.INPAINT_TELEA)
        result = plate.copy()
        part = result[area]
        part[gone] = filled[gone]
        part[here] = warp_by_flow(before, -shift)[here]
        return result

    def laid_over(self, blend: Picture, plate: Picture) -> Picture:
        """Return a blend of plates (H, W, 3) with the moved ``plate`` around what is in front, where two of them would
        show it twice."""
        height, width = plate.shape[:2]
        weight = cv2.resize(self.around, (width, height))[..., None]
        mixed = blend + (self.applied(plate).astype(np.float32) - blend) * weight
        return np.asarray(np.rint(mixed), np.uint8)


def front_shift(picture: Picture, plate: Picture, seen: Mask, inside: Mask, height_px: float) -> FrontShift | None:
    """Return by how much what stands in front of people is beside its place; None where nothing is in front.

    ``picture`` and ``plate``, in its light, are (h, w, 3), ``seen`` (h, w) is where the plate is known, and ``inside``
    (h, w) the people's outline with what is in front of them. Bodies are ``height_px`` high.
    """
    size_wh = inside.shape[1], inside.shape[0]
    x0, y0, x1, y1 = clipped(grown(box_of_mask(inside), _MOST_PX + _BLUR_PX), size_wh)
    near = np.s_[y0:y1, x0:x1]
    asked, known = np.ascontiguousarray(inside[near]), np.ascontiguousarray(seen[near])
    compared = _Compared.of(picture[near], plate[near], known, asked)
    part_shown = _large(_opened(compared.agreeing(0, 0)))
    if not part_shown.any():
        return None
    shown = np.zeros(inside.shape, np.bool_)
    shown[near] = part_shown
    side = max(3, round(_WINDOW_BH * height_px)) | 1
    left, top, right, bottom = clipped(grown(box_of_mask(part_shown), side), (x1 - x0, y1 - y0))
    compared = compared.part(np.s_[top:bottom, left:right])
    area = np.s_[y0 + top : y0 + bottom, x0 + left : x0 + right]
    shift = np.zeros((*inside.shape, 2), np.float32)
    front = np.zeros(inside.shape, np.bool_)
    vacated = front.copy()
    chosen, sure = _shifts(compared, side)
    if sure.any():
        shift[area] = _spread(chosen, sure, _SPREAD_BH * height_px)
        front[area] = _front(compared, shift[area], sure)
        vacated[area] = _vacated(front[area], shift[area]) & compared.inside
    return FrontShift(shift, front, vacated, _around(shown | front | vacated))


def _around(mask: Mask) -> Matte:
    return np.asarray(cv2.blur(grow(mask, _EDGE_PX).astype(np.float32), (5, 5)), np.float32)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Compared(Shaped):
    """Two pictures without their noise, channels first."""

    SHAPES: ClassVar[Shapes] = {
        "now": (3, "h", "w"), "clean": (3, "h", "w"), "limit": ("h", "w"), "inside": ("h", "w"), "seen": ("h", "w"),
    }  # fmt: skip

    now: Float32Array
    clean: Float32Array
    limit: Float32Array
    """How far a pixel of the plate may differ from what shows the same, gray levels."""
    inside: Mask
    seen: Mask

    @classmethod
    def of(cls, picture: Picture, plate: Picture, seen: Mask, inside: Mask) -> _Compared:
        now, clean = (cv2.GaussianBlur(each.astype(np.float32), (0, 0), 0.8) for each in (picture, plate))
        gray = np.asarray(cv2.transform(clean, np.full((1, 3), 1 / 3)), np.float32)
        slope = cv2.magnitude(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) / 8
        limit = np.float32(_ALIKE_LEVELS) + np.float32(_ALIKE_SLOPE) * cv2.dilate(slope, np.ones((3, 3), np.uint8))
        return cls(np.stack(cv2.split(now)), np.stack(cv2.split(clean)), limit, inside, seen)

    def part(self, area: tuple[slice, slice]) -> _Compared:
        now, clean = (np.ascontiguousarray(each[:, *area]) for each in (self.now, self.clean))
        limit = np.ascontiguousarray(self.limit[area])
        inside, seen = (np.ascontiguousarray(each[area]) for each in (self.inside, self.seen))
        return _Compared(now, clean, limit, inside, seen)

    def agreeing(self, right: int, down: int) -> Mask:
        """Return where the plate, moved by whole pixels, shows inside the outline what the picture shows."""
        result = np.zeros(self.inside.shape, np.bool_)
        _fill_agreeing(self.now, self.clean, self.limit, self.inside, self.seen, right, down, result)
        return result


@njit(cache=True, nogil=True)
def _fill_agreeing(
    now: Float32Array,
    clean: Float32Array,
    limit: Float32Array,
    inside: Mask,
    seen: Mask,
    right: int,
    down: int,
    result: Mask,
) -> None:
    height, width = inside.shape
    first, last = max(right, 0), min(width, width + right)
    for r in range(max(down, 0), min(height, height + down)):
        here, there = slice(first, last), slice(first - right, last - right)
        # Rows of their own, and no branches: the compiler makes vector instructions of it.
        red, green, blue = now[0, r, here], now[1, r, here], now[2, r, here]
        red_there, green_there, blue_there = (
            clean[0, r - down, there], clean[1, r - down, there], clean[2, r - down, there],
        )  # fmt: skip
        most, asked, known, out = limit[r - down, there], inside[r, here], seen[r - down, there], result[r, here]
        for c in range(len(red)):
            alike = (abs(red[c] - red_there[c]) < most[c]) & (abs(green[c] - green_there[c]) < most[c])
            out[c] = alike & (abs(blue[c] - blue_there[c]) < most[c]) & asked[c] & known[c]


def _shifts(compared: _Compared, side: int) -> tuple[Flow, Mask]:
    """Return the best shift of the plate at each pixel (h, w, 2) px, and where it is sure (h, w)."""
    here = _counts(compared.agreeing(0, 0), side)
    best = here.copy()
    choice = np.zeros(here.shape, np.uint8)
    found = np.zeros(here.shape, np.bool_)
    steps = [(0, 0)]
    for size in range(1, _MOST_PX + 1):
        least = here + np.uint16(round(side * (_GAIN * size + _CHANCE_PX)))
        for step in ((-size, 0), (size, 0), (0, -size), (0, size)):
            agreeing = compared.agreeing(*step)
            _take_better(agreeing, _counts(agreeing, side), least, len(steps), best, choice, found)
            steps.append(step)
    return np.array(steps, np.float32)[choice], _large(_opened(found))


def _counts(agreeing: Mask, side: int) -> NDArray[np.uint16]:
    """Return how many pixels (h, w) agree in the square of so many px, at most 255, around each."""
    ones = agreeing.view(np.uint8)
    sums = cv2.boxFilter(ones, cv2.CV_16U, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(sums, np.uint16)


@njit(cache=True, nogil=True)
def _take_better(
    agreeing: Mask,
    counts: NDArray[np.uint16],
    least: NDArray[np.uint16],
    number: int,
    best: NDArray[np.uint16],
    choice: NDArray[np.uint8],
    found: Mask,
) -> None:
    """Where the ``counts`` (h, w) are more than the ``best`` so far, and at least ``least``, they are the best, the
    ``number`` is the choice, and ``found`` is whether the pixel itself agrees."""
    for r in range(len(counts)):
        for c in range(counts.shape[1]):
            if counts[r, c] > best[r, c] and counts[r, c] >= least[r, c]:
                best[r, c] = counts[r, c]
                choice[r, c] = number
                found[r, c] = agreeing[r, c]


def _spread(chosen: Flow, sure: Mask, sigma_px: float) -> Flow:
    """Return the ``chosen`` shift (h, w, 2) where it is ``sure`` (h, w), continued around; it is 0 far from that.

    It is smooth, so it is made on a smaller grid.
    """
    height, width = sure.shape
    small_wh = -(-width // _COARSE), -(-height // _COARSE)
    weighted = np.dstack([chosen * sure[..., None], sure.astype(np.float32)])
    # Cells at the right and lower edge reach outside.
    whole = ((0, small_wh[1] * _COARSE - height), (0, small_wh[0] * _COARSE - width), (0, 0))
    small = cv2.resize(np.pad(weighted, whole, mode="edge"), small_wh, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / _COARSE)
    large_wh = small_wh[0] * _COARSE, small_wh[1] * _COARSE
    blurred = cv2.resize(small, large_wh, interpolation=cv2.INTER_LINEAR)[:height, :width]
    total = blurred[..., 2:]
    return np.where(total > _LEAST_SPREAD, blurred[..., :2] / np.maximum(total, 1e-6), np.float32(0))


def _front(compared: _Compared, shift: Flow, sure: Mask) -> Mask:
    """Return where the plate is moved by the ``shift``, (h, w): the ``sure`` places, and what they are part of."""
    x, y = np.meshgrid(np.arange(shift.shape[1], dtype=np.float32), np.arange(shift.shape[0], dtype=np.float32))
    at = np.stack([x, y], axis=-1) - shift
    red, green, blue, limit, seen = (
        cv2.remap(each, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for each in (*compared.clean, compared.limit, compared.seen.astype(np.float32))
    )
    agreeing = compared.inside & (shift != 0).any(axis=2) & (seen > 0.9)
    for now, clean in zip(compared.now, (red, green, blue), strict=True):
        agreeing &= cv2.absdiff(now, clean) < np.float32(_ALIKE_SPREAD) * limit
    count, labeled = cv2.connectedComponents(_opened(agreeing).view(np.uint8), connectivity=4)
    areas = areas_of(labeled, count)
    newly = agreeing & ~compared.agreeing(0, 0)
    kept = counts_in(labeled, sure, count) >= _LEAST_SURE * areas
    kept &= counts_in(labeled, newly, count) >= _LEAST_NEW * areas
    kept[0] = False
    # With its edge: the moved plate's is free of people.
    return grow(close(those_of(labeled, kept), 2), 1) & compared.inside


def _vacated(front: Mask, shift: Flow) -> Mask:
    """Return where the ``front`` (h, w) was before the ``shift`` and is no longer, with its edge."""
    rows, columns = np.nonzero(front)
    back = np.rint(shift[rows, columns]).astype(np.int64)
    rows = np.clip(rows - back[:, 1], 0, front.shape[0] - 1)
    columns = np.clip(columns - back[:, 0], 0, front.shape[1] - 1)
    before = np.zeros(front.shape, np.bool_)
    before[rows, columns] = True
    return grow(close(before, 1), 1) & ~front


def _opened(mask: Mask) -> Mask:
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _large(mask: Mask) -> Mask:
    count, labeled = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    kept = areas_of(labeled, count) >= LEAST_PX
    kept[0] = False
    return those_of(labeled, kept)
