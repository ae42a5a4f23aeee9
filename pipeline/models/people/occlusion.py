"""Depth order of two people, and attribution of pixels, from the expected colors.

Two overlapping bodies were both seen before. Moved along its own path, each predicts the pixels that it should cover
now; the picture shows which is right.
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
from pipeline.maths.masks import grow

MIN_SHARE = 0.004
"""Fraction of the smaller mask: fewer common pixels are noise of two touching outlines."""
FULL_SHARE = 0.05
"""Number of common pixels from which a frame's evidence has full weight."""
NOISE_LEVELS = 6.0
BLUR = 0.02
"""Fraction of the smaller box's height: limbs do not follow the hips exactly."""
MEMORY = 0.8
"""Decay of the evidence per frame."""
SURE = 0.12
"""Evidence above which it overrules how far down the picture two people reach."""
SAME_LEVELS = 30.0
"""Gray levels, mean of the channels: a pixel that differs more from a person's prediction is not theirs."""
SURE_LEVELS = 15.0
"""One that differs less from it shows this person where they are expected."""
OWN_COLOR = 0.004
"""Share of a person's pixels from which a color is one of theirs."""
SURE_OF_COURSE_FRAMES = 15
"""A person not visible for longer is somewhere else by now; only their colors count."""
CLEARLY_BETTER = 0.8
"""Of two people who should both cover a pixel, the one behind gets it only with a fit better by this factor."""
RING = 0.025
"""Distance of the limbs from their position predicted by the hips' path, relative to the person's height."""
COLOR_BITS = 4
"""Bins per channel of the color histograms."""
COLOR_FLOOR = 1e-4
COLOR_ODDS = 1.0
"""Mean log odds of colors above which a pixel is attributed to the other person."""
COLOR_BLUR = 0.04
"""Size of the patch over which the odds are averaged, relative to the height."""
COLOR_MEMORY = 0.9
BRIGHT_PERCENT = 90
LEAST_BRIGHT = 150.0
USUAL_BRIGHT = 178.0
"""Percentile of the largest channel, its least value by day, and the usual one."""
MOST_GAIN = 4.0
MAX_ALIKE = 0.75
"""Bhattacharyya coefficient of the colors of two people below which colors distinguish them."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A person as seen in the previous frame, and their motion; px of the source."""

    follow_id: int
    picture: Picture
    """RGB, (h, w, 3): the picture in which the person was seen, possibly downscaled."""
    mask: Mask
    box_xyxy: NDArray[np.float64]
    moved: NDArray[np.float64]
    """(2,) px of predicted motion from that picture to the current one."""
    frames: int
    """Number of frames in between."""
    colors: NDArray[np.float32] | None
    """(4096,) color histogram of the person, ``colors_of``; None where unknown."""
    lowest: float
    """How far down the picture the person reaches: a nearer person on the same ground reaches farther down."""


class OcclusionOrder:
    """Accumulates over frames who occludes whom."""

    def __init__(self) -> None:
        self._evidence: dict[tuple[int, int], float] = {}

    def nearest_first(self, now: Picture, people: Sequence[Seen], size_wh: tuple[int, int]) -> list[int]:
        """Return the rows of ``people`` from the nearest to the farthest in the picture ``now``.

        All pictures have one size, possibly smaller than the source of ``size_wh``.
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
        # Few people: neighbors are swapped where the pixels say so, at most as often as there are people (no endless
        # loop).
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
    """Return -1..1: above 0 where ``one`` is in front of ``other``; 0 where they do not overlap."""
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
    """Return where people behind ``person``, or beside them, are visible in ``now``, (H, W) of the source.

    A pixel belongs to another person where it has their predicted color, and ``person`` is predicted elsewhere or fits
    it clearly worse; and beside them, where ``person`` cannot be. None where nobody is near.
    """
    scale = now.shape[1] / size_wh[0], now.shape[0] / size_wh[1]
    own_box = person.box_xyxy + np.tile(person.moved, 2)
    ring = RING * float(own_box[3] - own_box[1]) * scale[1]
    whole: Mask | None = None
    for other in others:
        their_box = other.box_xyxy + np.tile(other.moved, 2)
        # As far around as this person's mask may have spread, and the others' may reappear.
        reach = round(4 * ring) + 1
        area = _common(grown(_on_picture(own_box, scale), reach), grown(_on_picture(their_box, scale), reach), now)
        if area is None:
            continue
        theirs = _mask_patch(other, area, scale)
        own = _mask_patch(person, area, scale)
        if not theirs.any():
            continue
        blur = _blur_px(scale[1] * float(min(own_box[3] - own_box[1], their_box[3] - their_box[1])))
        shown = _blurred(now, area, blur)
        their_misfit = _misfit(other, shown, area, scale, blur)
        own_misfit = _misfit(person, shown, area, scale, blur)
        owned = theirs & (their_misfit < SAME_LEVELS) & (~own | (their_misfit < CLEARLY_BETTER * own_misfit))
        owned &= other.frames <= SURE_OF_COURSE_FRAMES
        # Parts that reappear from behind were not seen before.
        owned |= _grown(owned, 2 * ring) & ~_grown(own, ring)
        if person.colors is not None and other.colors is not None and _are_unlike(person.colors, other.colors):
            odds = _color_odds(now, area, other.colors, person.colors, scale[1] * float(own_box[3] - own_box[1]))
            # Their colors do not overrule that this person is seen where expected, in colors of their own: both may be
            # in dark clothes.
            x0, y0, x1, y1 = area
            fits = own & (own_misfit < SURE_LEVELS) & (person.colors[_color_bins(now[y0:y1, x0:x1])] > OWN_COLOR)
            fits &= ~theirs | (their_misfit >= CLEARLY_BETTER * own_misfit)
            owned = (owned & (odds > -COLOR_ODDS)) | ((odds > COLOR_ODDS) & ~fits)
        if whole is None:
            whole = np.zeros((size_wh[1], size_wh[0]), np.bool_)
        _lay(whole, owned, area, scale)
    return whole


def gain_of(picture: Picture) -> float:
    """Return by how much to multiply a picture so that people in it differ by as many gray levels as by day."""
    bright = max(float(np.percentile(picture[::4, ::4].max(axis=-1), BRIGHT_PERCENT)), 1.0)
    return 1.0 if bright >= LEAST_BRIGHT else min(USUAL_BRIGHT / bright, MOST_GAIN)


def colors_of(picture: Picture, mask: Mask, before: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Return the (4096,) color histogram of a person's pixels, averaged with the frames ``before``.

    ``mask`` (H, W) is of the source, ``picture`` possibly smaller.
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
    """Return the intersection of two boxes inside the picture; None where it is tiny."""
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
    """(h, w) difference in gray levels between the picture in an area and its prediction from a person's motion."""
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
    return grow(mask, max(1, round(reach_px)))


def _lay(whole: Mask, patch: NDArray[np.bool_], area: Box, scale: tuple[float, float]) -> None:
    """Write an area of a smaller picture into the source's mask, in place."""
    height, width = whole.shape
    x0, y0 = round(area[0] / scale[0]), round(area[1] / scale[1])
    x1, y1 = min(round(area[2] / scale[0]), width), min(round(area[3] / scale[1]), height)
    if x1 > x0 and y1 > y0:
        large = cv2.resize(patch.astype(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        whole[y0:y1, x0:x1] |= large > 0
