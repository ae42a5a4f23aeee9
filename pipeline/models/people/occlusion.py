"""Which of two people is in front, and whose a pixel is: by the colors that it should have.

Two bodies that overlap were both seen before. Moved on along its own course, each says what the pixels would be that it
should cover now; the picture tells which is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import Box, clipped, grown

MIN_SHARE = 0.004
"""Of the smaller mask: fewer common pixels are the noise of two outlines that touch."""
FULL_SHARE = 0.05
"""From so many common pixels on, a frame's word counts whole."""
NOISE_LEVELS = 6.0
BLUR = 0.02
"""Of the height of the smaller box: limbs do not keep exactly to the course of the hips."""
MEMORY = 0.8
"""What a frame later is left of the evidence."""
SURE = 0.12
"""Evidence from which it overrules how far down the picture two people reach."""
SAME_LEVELS = 30.0
"""Gray levels, mean of the channels: a pixel farther from what a person's would be is not theirs."""
SURE_OF_COURSE_FRAMES = 15
"""Who was not seen for longer is somewhere else by now; their colors alone tell."""
CLEARLY_BETTER = 0.8
"""Of two who should both cover a pixel, the one behind has it only where they fit it so much better."""
RING = 0.025
"""Of a person's height: the limbs may be so far from where the hips' course would have them."""
COLOR_BITS = 4
"""Of each channel: colors are told apart this finely."""
COLOR_FLOOR = 1e-4
COLOR_ODDS = 1.0
"""Mean log odds of colors, from which a pixel is more the one's than the other's."""
COLOR_BLUR = 0.04
"""Of the height: a patch of clothes, over which the odds are averaged."""
COLOR_MEMORY = 0.9
MAX_ALIKE = 0.75
"""Bhattacharyya coefficient of the colors of two people, up to which they tell them apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A person as seen in the frame before, and how they move; px of the source."""

    follow_id: int
    picture: Picture
    """RGB, (h, w, 3): the picture that the person was seen in, perhaps smaller than the source."""
    mask: Mask
    box_xyxy: NDArray[np.float64]
    moved: NDArray[np.float64]
    """(2,) px that the person has moved by their course from that picture to the present one."""
    frames: int
    """So many frames lie between."""
    colors: NDArray[np.float32] | None
    """(4096,) how frequent colors are on the person, ``colors_of``; None where that is not known."""
    lowest: float
    """How far down the picture the person reaches: who stands nearer on the same ground reaches farther down."""


class OcclusionOrder:
    """Remembers over frames who covers whom."""

    def __init__(self) -> None:
        self._evidence: dict[tuple[int, int], float] = {}

    def nearest_first(self, now: Picture, people: Sequence[Seen], size_wh: tuple[int, int]) -> list[int]:
        """Return the rows of ``people`` from the nearest to the farthest in the picture ``now``.

        All pictures are of one size, perhaps smaller than the source of ``size_wh``.
        """
        scale = now.shape[1] / size_wh[0], now.shape[0] / size_wh[1]
        kept: dict[tuple[int, int], float] = {}
        for one, other in combinations(sorted(people, key=lambda person: person.follow_id), 2):
            pair = one.follow_id, other.follow_id
            evidence = MEMORY * self._evidence.get(pair, 0.0) + _evidence(now, one, other, scale)
            if abs(evidence) > 1e-3:
                kept[pair] = evidence
        self._evidence = kept
        order = sorted(range(len(people)), key=lambda row: (-people[row].lowest, row))
        # Few people: neighbors change places where the pixels say so, as often as there are people (no endless loop).
        for _ in people:
            for at in range(len(order) - 1):
                if self._covers(people[order[at + 1]], people[order[at]]):
                    order[at], order[at + 1] = order[at + 1], order[at]
        return order

    def _covers(self, one: Seen, other: Seen) -> bool:
        """Whether the pixels say that ``one`` is in front of ``other``."""
        if one.follow_id < other.follow_id:
            return self._evidence.get((one.follow_id, other.follow_id), 0.0) > SURE
        return self._evidence.get((other.follow_id, one.follow_id), 0.0) < -SURE


def _evidence(now: Picture, one: Seen, other: Seen, scale: tuple[float, float]) -> float:
    """Return -1..1: above 0 where ``one`` is in front of ``other``; 0 where they do not meet."""
    boxes = [person.box_xyxy + np.tile(person.moved, 2) for person in (one, other)]
    area = _common(_on_picture(boxes[0], scale), _on_picture(boxes[1], scale), now)
    if area is None:
        return 0.0
    both = _mask_patch(one, area, scale) & _mask_patch(other, area, scale)
    common = np.count_nonzero(both)
    smaller = min(np.count_nonzero(person.mask) for person in (one, other)) * scale[0] * scale[1]
    if common < max(4.0, MIN_SHARE * smaller):
        return 0.0
    blur = _blur_px(scale[1] * min(float(box[3] - box[1]) for box in boxes))
    shown = _blurred(now, area, blur)
    misfits = [float(_misfit(person, shown, area, scale, blur)[both].mean()) for person in (one, other)]
    weight = min(1.0, common / (FULL_SHARE * smaller))
    return weight * (misfits[1] - misfits[0]) / (misfits[0] + misfits[1] + NOISE_LEVELS)


def pixels_of_others(now: Picture, person: Seen, others: Sequence[Seen], size_wh: tuple[int, int]) -> Mask | None:
    """Return where those behind ``person``, or beside them, are seen in ``now``, (H, W) of the source.

    A pixel is another one's where it has the color that they should have there, and ``person`` should be elsewhere or
    fits it clearly worse; and beside them, where ``person`` cannot be. None where nobody is near.
    """
    scale = now.shape[1] / size_wh[0], now.shape[0] / size_wh[1]
    own_box = person.box_xyxy + np.tile(person.moved, 2)
    ring = RING * float(own_box[3] - own_box[1]) * scale[1]
    whole: Mask | None = None
    for other in others:
        their_box = other.box_xyxy + np.tile(other.moved, 2)
        # As far around as this person's mask may have crept, and the others' come out.
        reach = round(4 * ring) + 1
        area = _common(grown(_on_picture(own_box, scale), reach), grown(_on_picture(their_box, scale), reach), now)
        if area is None:
            continue
        theirs, own = _mask_patch(other, area, scale), _mask_patch(person, area, scale)
        if not theirs.any():
            continue
        blur = _blur_px(scale[1] * float(min(own_box[3] - own_box[1], their_box[3] - their_box[1])))
        shown = _blurred(now, area, blur)
        their_misfit = _misfit(other, shown, area, scale, blur)
        own_misfit = _misfit(person, shown, area, scale, blur)
        owned = theirs & (their_misfit < SAME_LEVELS) & (~own | (their_misfit < CLEARLY_BETTER * own_misfit))
        owned &= other.frames <= SURE_OF_COURSE_FRAMES
        # What comes out from behind was not seen before.
        owned |= _grown(owned, 2 * ring) & ~_grown(own, ring)
        if person.colors is not None and other.colors is not None and _are_unlike(person.colors, other.colors):
            odds = _color_odds(now, area, other.colors, person.colors, scale[1] * float(own_box[3] - own_box[1]))
            owned = (owned & (odds > -COLOR_ODDS)) | (odds > COLOR_ODDS)
        if whole is None:
            whole = np.zeros((size_wh[1], size_wh[0]), np.bool_)
        _lay(whole, owned, area, scale)
    return whole


def colors_of(picture: Picture, mask: Mask, before: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return (4096,) how frequent colors are on somebody's pixels, averaged with the frames ``before``.

    ``mask`` (H, W) is of the source, ``picture`` perhaps smaller.
    """
    height, width = picture.shape[:2]
    small = mask
    if mask.shape != (height, width):
        small = cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    counts = np.bincount(_color_bins(picture[small]), minlength=1 << 3 * COLOR_BITS).astype(np.float32)
    now = counts / max(float(counts.sum()), 1.0)
    return now if before is None else np.float32(COLOR_MEMORY) * before + np.float32(1 - COLOR_MEMORY) * now


def _color_bins(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    levels = (pixels >> (8 - COLOR_BITS)).astype(np.int64)
    return (levels[..., 0] << 2 * COLOR_BITS) | (levels[..., 1] << COLOR_BITS) | levels[..., 2]


def _are_unlike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    return float(np.sqrt(one * other).sum()) < MAX_ALIKE


def _color_odds(
    now: Picture, area: Box, theirs: NDArray[np.float32], own: NDArray[np.float32], height_px: float
) -> NDArray[np.float32]:
    """(h, w) mean log odds that colors are the others' and not the person's; 0 where neither has them."""
    x0, y0, x1, y1 = area
    floor = np.float32(COLOR_FLOOR)
    odds = (np.log(theirs + floor) - np.log(own + floor))[_color_bins(now[y0:y1, x0:x1])]
    side = 2 * max(1, round(COLOR_BLUR * height_px / 2)) + 1
    return cv2.blur(odds, (side, side))


def _on_picture(box_xyxy: NDArray[np.float64], scale: tuple[float, float]) -> Box:
    low = np.floor(box_xyxy[:2] * scale).astype(int)
    high = np.ceil(box_xyxy[2:] * scale).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _common(one: Box, other: Box, picture: Picture) -> Box | None:
    """Return the common part of two boxes inside the picture; None where there is hardly any."""
    height, width = picture.shape[:2]
    x0, y0 = max(one[0], other[0]), max(one[1], other[1])
    x1, y1 = min(one[2], other[2]), min(one[3], other[3])
    area = clipped((x0, y0, x1, y1), (width, height))
    return area if area[2] - area[0] >= 2 and area[3] - area[1] >= 2 else None


def _blur_px(height_px: float) -> int:
    return 2 * round(BLUR * height_px) + 1


def _blurred(picture: Picture, area: Box, blur: int) -> NDArray[np.float32]:
    x0, y0, x1, y1 = area
    return np.asarray(cv2.blur(picture[y0:y1, x0:x1], (blur, blur)), np.float32)


def _misfit(
    person: Seen, shown: NDArray[np.float32], area: Box, scale: tuple[float, float], blur: int
) -> NDArray[np.float32]:
    """(h, w) gray levels between what is shown in an area and what it would be if it moved with somebody."""
    start = np.array(area[:2]) - person.moved * scale
    matrix = np.array([[1.0, 0.0, start[0]], [0.0, 1.0, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = area[2] - area[0], area[3] - area[1]
    moved = cv2.warpAffine(person.picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.abs(cv2.blur(moved, (blur, blur)) - shown).mean(axis=2)


def _mask_patch(person: Seen, area: Box, scale: tuple[float, float]) -> NDArray[np.bool_]:
    # Pixel centers lie at integers on both scales.
    start = (np.array(area[:2]) + 0.5) / scale - 0.5 - person.moved
    matrix = np.array([[1 / scale[0], 0.0, start[0]], [0.0, 1 / scale[1], start[1]]])
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    size = area[2] - area[0], area[3] - area[1]
    return cv2.warpAffine(person.mask.view(np.uint8), matrix, size, flags=flags) > 0


def _grown(mask: NDArray[np.bool_], reach_px: float) -> NDArray[np.bool_]:
    side = 2 * max(1, round(reach_px)) + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _lay(whole: Mask, patch: NDArray[np.bool_], area: Box, scale: tuple[float, float]) -> None:
    """Lay an area of a smaller picture over the source's mask, in place."""
    height, width = whole.shape
    x0, y0 = round(area[0] / scale[0]), round(area[1] / scale[1])
    x1, y1 = min(round(area[2] / scale[0]), width), min(round(area[3] / scale[1]), height)
    if x1 > x0 and y1 > y0:
        large = cv2.resize(patch.astype(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        whole[y0:y1, x0:x1] |= large > 0
