"""The shaft of a long thing in a hand: a stick, a racket, an umbrella, a broom, a crutch, a fishing rod.

It crosses trunk, sleeve and background, is a few pixels wide, and often has a color of each of them, so that regions of
a frame break it into pieces. As a line through the hand it is seen whole: it differs from both its sides in the same
way all along it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.masks import grow
from pipeline.scene.body import FOREARM
from pipeline.scene.samples import Sample
from pipeline.scene.views import Shown

_WIDEST_BH = 0.016
"""Half the width of the widest shaft."""
_MOST_WIDTH = 2.5
"""Of a piece, over half the width: it is measured with its mixed edges."""
_EDGE_PX = 2
_LEAST_PX = 20
_NEAR_HAND_BH = 0.12
_LEAST_LENGTH_BH = 0.07
_SLENDER = 4.0
"""Length over width of a shaft's visible piece."""
OFF_LINE_BH = 0.05
"""Distance of the middle of a hand from the line: joints are located with an error, and a fist has a width."""
_ALONG_FOREARM_DEG = 15.0
_REACH_BH = 0.45
_ACROSS_BH = 0.08
_TURN_DEG = 1.5
_WEIGHTS = np.array([0.5, 1.5, 1.5], np.float32)
"""Of the channels of 8-bit Lab: a shaft lies in the sun and in the shade."""
_ALIKE = 22.0
"""Largest distance of the shaft's color from the expected one."""
_STANDS_OUT = 5.0
"""By how much both sides must be farther from the expected color."""
_COUNTED = 15.0
"""More of a difference is no better evidence: a white shirt beside a stick is not more of a side than blue jeans."""
_SMOOTHED_BH = 0.015
_FIST_BH = 0.1
"""Gap in the visible shaft where the hand holds it."""
_GAP_BH = 0.06
_LEAST_SEEN_BH = 0.1
_OWN_SHARE = 0.4
"""A pixel nearer to the shaft's color than this, of the way to what is beside it, is the shaft's: in the rest too much
of the subject would stay."""
_SURELY_ALIKE = 12.0
"""Distance from its color where it does not stand out: a sleeve before it is none of it."""
_GRIP_BH = 0.03
"""Within the fist it is hidden."""
AIMED_DEG = 14.0
"""Error of the line from a hand to the middle of what is at the end of a shaft: an angle known better stays."""
_HEAD_BH = (0.06, 0.5)
"""Distance of the head of a racket, a canopy or a net from the hand."""
ANY_DEG = 90.0
"""Tolerance of an angle of which nothing is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Shaft:
    """A straight thin thing in a hand, as it is seen in one frame."""

    side: int
    """The hand that holds it: 0 for the left one, 1 for the right one."""
    angle_deg: float
    """Of its line against the x axis, clockwise in the picture, 0 to 180."""
    width_bh: float
    lab: Float32Array
    """(3,) its color in 8-bit Lab."""


def shafts_in(carried: Mask, sample: Sample) -> list[Shaft]:
    """Return the longest thin straight piece of what is ``carried`` (h, w) through each hand, where there is one."""
    height = sample.body.height_px
    if not carried.any():
        return []
    narrow = carried & ~grow(_wide(carried, height), _EDGE_PX)
    count, labeled, stats, _ = cv2.connectedComponentsWithStats(narrow.view(np.uint8), connectivity=8)
    pieces = []
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= _LEAST_PX:
            rows, columns = np.nonzero(labeled == number)
            pieces.append(np.column_stack([columns, rows]))
    lab = cv2.cvtColor(sample.view.picture, cv2.COLOR_RGB2LAB)
    found = []
    for hand_xy, side in zip(sample.body.hands.astype(np.float64), sample.body.hand_sides.tolist(), strict=True):
        measured = [_measured(piece, hand_xy, side, lab, sample) for piece in pieces]
        lengths = [(length, shaft) for length, shaft in measured if shaft is not None]
        if lengths:
            found.append(max(lengths, key=lambda each: each[0])[1])
    return found


def _measured(
    piece: NDArray[np.int64], hand_xy: NDArray[np.float64], side: int, lab: NDArray[np.uint8], sample: Sample
) -> tuple[float, Shaft | None]:
    """Return the length of a piece, pixels (N, 2), and it as a shaft in a hand; None where it is none."""
    height = sample.body.height_px
    points = piece - hand_xy
    if float(np.hypot(*points.T).min()) > _NEAR_HAND_BH * height:
        return 0.0, None
    middle = points.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov((points - middle).T))
    along = axes[:, 1]
    # Of a uniform bar.
    width, length = np.sqrt(12 * np.maximum(variances, 0.05))
    aside = np.array([-along[1], along[0]])
    if width > _MOST_WIDTH * _WIDEST_BH * height:
        return 0.0, None
    if length < max(_LEAST_LENGTH_BH * height, _SLENDER * width) or abs(aside @ middle) > OFF_LINE_BH * height:
        return 0.0, None
    if lies_on_forearm(middle, along, hand_xy, sample):
        return 0.0, None
    # Its edges are mixed with what is behind it.
    core = piece[np.abs((points - middle) @ aside) <= max(0.25 * width, 0.7)]
    color = np.median(lab[core[:, 1], core[:, 0]], axis=0).astype(np.float32)
    angle = float(np.rad2deg(np.arctan2(along[1], along[0]))) % 180
    return float(length), Shaft(side, angle, float(width) / height, color)


def lies_on_forearm(
    middle: NDArray[np.float64], along: NDArray[np.float64], hand_xy: NDArray[np.float64], sample: Sample
) -> bool:
    """Return whether a piece with this middle (2,), px from the hand, goes back along the forearm: it may be the edge
    of a sleeve."""
    forearms = sample.body.segments[sample.body.segments[:, 5] == FOREARM]
    if not len(forearms):
        return False
    nearest = forearms[np.hypot(*(forearms[:, 2:4] - hand_xy).T).argmin()]
    back = nearest[:2] - hand_xy
    length = max(float(np.hypot(*back)), 1e-6)
    cosine = abs(float(along @ back)) / length
    return float(middle @ back) > 0 and cosine > np.cos(np.deg2rad(_ALONG_FOREARM_DEG))


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """The clearest line through a hand at one angle, in a strip of the picture turned onto it."""

    view_from_strip: NDArray[np.float64]
    """(2, 3)."""
    row: int
    """Of the strip, the middle of the shaft."""
    is_seen: NDArray[np.bool_]
    """(along,) where a shaft stands out from both sides."""
    clarity: float


def aimed(expected: Shaft, tolerance_deg: float, kept: Mask, sample: Sample) -> tuple[Shaft, float] | None:
    """Return a shaft to look for and the tolerance of its angle, which points at what is at its end where little is
    known of it: at the largest wide part of what is ``kept`` (h, w); None where nothing tells the angle."""
    if tolerance_deg <= AIMED_DEG:
        return expected, tolerance_deg
    angle = _angle_to_head(expected.side, kept, sample)
    if angle is not None:
        turned = abs((angle - expected.angle_deg + 90.0) % 180.0 - 90.0)
        if turned <= tolerance_deg:
            return replace(expected, angle_deg=angle), AIMED_DEG
    return None if tolerance_deg >= ANY_DEG else (expected, tolerance_deg)


def _angle_to_head(side: int, kept: Mask, sample: Sample) -> float | None:
    """Return the angle of the line from a hand to the largest wide part of what is ``kept`` (h, w) near it, degrees."""
    head = head_at(side, kept, sample)
    return None if head is None else float(np.rad2deg(np.arctan2(head.away_xy[1], head.away_xy[0]))) % 180


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What is at the end of a shaft."""

    away_xy: NDArray[np.float64]
    """(2,) its middle from the hand, px."""
    mask: Mask
    """(h, w)."""


def head_at(side: int, kept: Mask, sample: Sample) -> Head | None:
    """Return the largest wide part of what is ``kept`` (h, w) near a hand, but not in it."""
    where = np.flatnonzero(sample.body.hand_sides == side)
    wide = _wide(kept, sample.body.height_px)
    if not len(where) or not wide.any():
        return None
    _, labeled, stats, middles = cv2.connectedComponentsWithStats(wide.view(np.uint8), connectivity=8)
    away = middles[1:] - sample.body.hands[where[0]].astype(np.float64)
    distances = np.hypot(*away.T) / sample.body.height_px
    sizes = np.where((distances > _HEAD_BH[0]) & (distances < _HEAD_BH[1]), stats[1:, cv2.CC_STAT_AREA], 0)
    largest = int(sizes.argmax())
    return Head(away[largest], labeled == largest + 1) if sizes[largest] else None


def _wide(kept: Mask, height_px: float) -> Mask:
    """Return the parts of a mask (h, w) that are wider than any shaft."""
    radius = max(2, round(_WIDEST_BH * height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.morphologyEx(kept.view(np.uint8), cv2.MORPH_OPEN, kernel) > 0


def shaft_pixels(expected: Shaft, tolerance_deg: float, sample: Sample) -> Mask:
    """Return the pixels (h, w) of a shaft whose angle is ``expected`` within a tolerance; none where it is not seen.

    The line is the one along which a narrow strip differs most from both its sides, towards the expected color.
    """
    nothing = np.zeros(sample.outside.shape, np.bool_)
    where = np.flatnonzero(sample.body.hand_sides == expected.side)
    height = sample.body.height_px
    half = max(1, round(0.5 * expected.width_bh * height))
    if not len(where) or strip_px(height)[1] <= side_px(half):
        return nothing
    hand_xy = sample.body.hands[where[0]].astype(np.float64)
    lab = cv2.cvtColor(sample.view.picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    apart = apart_from(lab, expected.lab)
    turns = np.arange(-tolerance_deg, tolerance_deg + 0.1, _TURN_DEG)
    lines = [_line(apart, hand_xy, float(np.deg2rad(expected.angle_deg + turn)), half, height) for turn in turns]
    best = max(lines, key=lambda line: line.clarity)
    seen = _joined(best.is_seen, height)
    if np.count_nonzero(seen & best.is_seen) < _LEAST_SEEN_BH * height:
        return nothing
    mask = _pixels(_turned(lab, best.view_from_strip, height), best, seen, half, height)
    found = cv2.warpAffine(mask.astype(np.float32), best.view_from_strip, nothing.shape[::-1], flags=cv2.INTER_LINEAR)
    return np.asarray((found > 0.5) & (sample.view.shown != Shown.PLATE), np.bool_)


def apart_from(lab: Float32Array, color: Float32Array) -> Float32Array:
    """Return (...) the distance of colors (..., 3) in 8-bit Lab from one."""
    return np.asarray(np.sqrt(((lab - color) ** 2) @ _WEIGHTS**2), np.float32)


def strip_px(height_px: float) -> tuple[int, int]:
    """Return how far a strip extends from the hand, along and across, px."""
    return int(_REACH_BH * height_px), int(_ACROSS_BH * height_px)


def side_px(half_px: int) -> int:
    """Return the distance from the middle of a shaft at which its sides are looked at, px."""
    return half_px + 2 + half_px // 2


def _turned(values: Float32Array, view_from_strip: NDArray[np.float64], height_px: float) -> Float32Array:
    """Return values of the view (h, w, ...) in a strip (across, along, ...)."""
    along, across = strip_px(height_px)
    turned = cv2.warpAffine(
        values,
        view_from_strip,
        (2 * along + 1, 2 * across + 1),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(turned, np.float32)


def strip_of(
    values: Float32Array, hand_xy: NDArray[np.float64], along: NDArray[np.float64], height_px: float
) -> Float32Array:
    """Return values of the view (h, w, ...) in a strip (across, along, ...) whose middle row is the line through a hand
    in a direction, a unit vector (2,)."""
    return _turned(values, _view_from_strip(hand_xy, along, height_px), height_px)


def _view_from_strip(hand_xy: NDArray[np.float64], along: NDArray[np.float64], height_px: float) -> NDArray[np.float64]:
    long_px, across_px = strip_px(height_px)
    aside = np.array([-along[1], along[0]])
    return np.column_stack([along, aside, hand_xy - long_px * along - across_px * aside])


def smoothed_px(height_px: float) -> int:
    """Return over how many px along a line its color is averaged."""
    return max(1, round(_SMOOTHED_BH * height_px))


def is_line(core: Float32Array, sides: Float32Array) -> tuple[NDArray[np.bool_], Float32Array]:
    """Return where (...) a strip stands out from both sides, and by how much, 0 elsewhere.

    ``core`` (...) are the distances of its color from the expected one, ``sides`` (...) those of its nearer side.
    """
    seen = (sides - core > _STANDS_OUT) & (core < _ALIKE)
    return seen, np.where(seen, np.minimum(sides - core, _COUNTED), np.float32(0.0))


def _line(apart: Float32Array, hand_xy: NDArray[np.float64], angle: float, half_px: int, height_px: float) -> _Line:
    """Return the clearest line through a hand at an angle, radians; ``apart`` (h, w) is the distance of each pixel's
    color from that of the shaft."""
    across_px = strip_px(height_px)[1]
    along = np.array([np.cos(angle), np.sin(angle)])
    view_from_strip = _view_from_strip(hand_xy, along, height_px)
    size = (smoothed_px(height_px), 2 * half_px - 1)
    smooth = cv2.blur(_turned(apart, view_from_strip, height_px), size)
    side = side_px(half_px)
    reach = min(int(OFF_LINE_BH * height_px), across_px - side)
    first = across_px - reach
    rows = 2 * reach + 1
    middle = smooth[first : first + rows]
    sides = np.minimum(smooth[first - side : first - side + rows], smooth[first + side : first + side + rows])
    is_seen, clear = is_line(middle, sides)
    clarity = clear.sum(axis=1)
    best = int(clarity.argmax())
    return _Line(view_from_strip, first + best, is_seen[best], float(clarity[best]))


def _joined(is_seen: NDArray[np.bool_], height_px: float) -> NDArray[np.bool_]:
    """Return (along,) where the shaft is: from the fist to both sides, as far as it is seen with small gaps."""
    middle = len(is_seen) // 2
    joined = np.zeros(len(is_seen), np.bool_)
    for step in (1, -1):
        last = -1
        distances = np.flatnonzero(is_seen[middle::step])
        for distance in distances.tolist():
            if distance - last > (_FIST_BH if last < 0 else _GAP_BH) * height_px:
                break
            last = distance
        if last >= 0:
            first = int(distances[0])
            ends = sorted((middle + step * first, middle + step * last))
            joined[ends[0] : ends[1] + 1] = True
    return joined


def _pixels(lab: Float32Array, line: _Line, is_joined: NDArray[np.bool_], half_px: int, height_px: float) -> Mask:
    """Return the pixels (across, along) of the shaft in its strip ``lab`` (across, along, 3): nearer to its color than
    to what is beside it."""
    across, along = lab.shape[:2]
    # The expected color is that of other moments.
    color = np.median(lab[line.row, is_joined & line.is_seen], axis=0).astype(np.float32)
    apart = apart_from(lab, color)
    smooth = cv2.blur(apart, (smoothed_px(height_px), 1))
    core = smooth[line.row]
    outer = half_px + 3
    beside = np.minimum(smooth[max(line.row - outer, 0)], smooth[min(line.row + outer, across - 1)])
    near = np.abs(np.arange(across) - line.row)[:, None] <= half_px + 1
    limit = np.where(line.is_seen, core + _OWN_SHARE * (beside - core), _SURELY_ALIKE)
    from_hand = np.abs(np.arange(along) - along // 2)
    is_shaft = is_joined & (from_hand > _GRIP_BH * height_px)
    is_shaft &= line.is_seen | (from_hand > 0.5 * _FIST_BH * height_px)
    return np.asarray(near & is_shaft & (apart < limit), np.bool_)
