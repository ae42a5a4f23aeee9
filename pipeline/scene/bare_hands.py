"""Hands in the colors of what is held: told from it by their size, their hue and their place."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import HEAD
from pipeline.scene.narrow import opened_by_long_lines
from pipeline.scene.samples import Sample, hand_distances

_REACH_BH = 0.15
"""From the middle of a hand to the tips of its fingers, and the error of its place, body heights."""
_WIDTH_BH = 0.012
"""Half the width of a hand, at least: sticks and handles are narrower."""
_MOST_BH2 = 0.009
"""Area of an open hand with its wrist, square body heights."""
_LEAST_BH2 = 0.0004
_STICK_BH = 0.16
"""No straight line within a hand, its wrist and its halo is longer."""
_MASK_SHARE = 0.6
_ENCLOSED_SHARE = 0.6
_FIST_BH = 0.045
_EDGE_PX = 2
_EDGE_SHARE = 0.65
_BAR = 3.0
"""Length over width from which a region is no hand."""
_SKIN_HUES = (17, 170)
"""Hues of skin, from red to orange, of 180: below the first, or above the second."""
_SKIN_SATURATION = (25, 190)
_SKIN_SHARE = 0.45
_FACE_BH = -0.02
"""Inside the head: not the hair around it."""
_LEAST_FACE_PX = 60
_FACE_HUES = 8
"""How far the hues of skin lie from that of the face, of 180: it is redder in the shade, and paler in the sun."""
_HAND_HUES = 5
"""How far the hues of one hand lie from each other's median."""
_CIRCLE = 180
_HALF_CIRCLE = 90


@dataclass(frozen=True, slots=True, eq=False)
class _Surroundings:
    """What is near the hands of a view; masks (h, w) of a box in it."""

    area: tuple[slice, slice]
    unexplained: Mask
    skins: Mask
    hues: NDArray[np.int16]
    """(h, w) 0 to 179, with red in the middle."""
    distances: Float32Array
    """(hands, h, w) from the middle of each hand, body heights."""

    @classmethod
    def of(cls, unexplained: Mask, sample: Sample) -> _Surroundings | None:
        """None where nothing ``unexplained`` (h, w) is near a hand."""
        height = sample.body.height_px
        if not len(sample.body.hands):
            return None
        distances = hand_distances(sample) / np.float32(height)
        near = unexplained & (distances.min(axis=0) <= 2.0 * _REACH_BH)
        if not near.any():
            return None
        # Opened regions need room around them.
        room_px = 2 * round(_WIDTH_BH * height) + 2
        x0, y0, x1, y1 = clipped(grown(box_of_mask(near), room_px), (near.shape[1], near.shape[0]))
        area = np.s_[y0:y1, x0:x1]
        picture = sample.view.picture[area]
        hues = _turned(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 0])
        return cls(area, np.ascontiguousarray(near[area]), _skin(picture), hues, distances[:, y0:y1, x0:x1])

    def within_one(self, labeled: NDArray[np.int32], count: int) -> NDArray[np.bool_]:
        """Return (count,): which regions lie within the reach of one hand."""
        far = self.distances > _REACH_BH
        return np.any([counts_in(labeled, out_of_reach, count) == 0 for out_of_reach in far], axis=0)


def bare_hands(unexplained: Mask, sample: Sample) -> Mask:
    """Return the unexplained pixels (h, w) that are the subject's own hands.

    A hand in the sun is brighter than the face in the shade, and may have the colors of the wooden thing in the other
    hand. It has one of the hues of skin, it is wider than a stick, and it ends where a hand does: a region that extends
    farther is a thing, and so is one that is red here and yellow there.
    """
    hands = np.zeros(unexplained.shape, np.bool_)
    around = _Surroundings.of(unexplained, sample)
    if around is None:
        return hands
    height = sample.body.height_px
    size = 2 * max(1, round(_WIDTH_BH * height)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    wide = cv2.morphologyEx(around.unexplained.view(np.uint8), cv2.MORPH_OPEN, kernel)
    count, labeled = cv2.connectedComponents(wide, connectivity=4)
    areas = areas_of(labeled, count)
    is_hand = around.within_one(labeled, count) & (areas <= _MOST_BH2 * height**2)
    is_hand &= counts_in(labeled, around.skins, count) > _SKIN_SHARE * areas
    is_hand[0] = False
    for number in np.flatnonzero(is_hand):
        region = labeled == number
        skin_hues = around.hues[region & around.skins]
        of_one_hue = np.abs(skin_hues - np.median(skin_hues)) <= _HAND_HUES
        is_hand[number] = np.count_nonzero(of_one_hue) > _SKIN_SHARE * areas[number]
    # What was opened away from its edge are fingers.
    hands[around.area] = cv2.dilate(those_of(labeled, is_hand).view(np.uint8), kernel) > 0
    return hands & unexplained


def open_hands(unexplained: Mask, not_hands: Mask, sample: Sample) -> Mask:
    """Return the unexplained pixels (h, w) of hands whose fingers are no wider than a stick.

    The person's mask contains most of such a hand, it ends where a hand does, and no straight line in it is longer than
    a hand, while a stick goes on through the fist that holds it. ``not_hands`` (h, w): where a thing is known to be.
    """
    hands = np.zeros(unexplained.shape, np.bool_)
    around = _Surroundings.of(unexplained, sample)
    if around is None:
        return hands
    height = sample.body.height_px
    skins = around.unexplained & around.skins & ~not_hands[around.area]
    least_px = _LEAST_BH2 * height**2
    if np.count_nonzero(skins) < least_px:
        return hands
    fists = around.skins & (around.distances.min(axis=0) < _FIST_BH)
    straight = opened_by_long_lines(around.unexplained | fists, max(5, round(_STICK_BH * height)))
    count, labeled = cv2.connectedComponents((skins & ~straight).view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    is_hand = around.within_one(labeled, count) & (areas <= _MOST_BH2 * height**2)
    is_hand &= areas >= least_px
    is_hand &= counts_in(labeled, sample.subject_mask[around.area], count) > _MASK_SHARE * areas
    # The edges of a stick lie beside its line, and a thing in several colors is on all sides of each of them.
    is_hand &= counts_in(labeled, grow(straight, _EDGE_PX), count) < _EDGE_SHARE * areas
    is_hand[0] = False
    is_hand[is_hand] = [not _is_bar(labeled == number) for number in np.flatnonzero(is_hand)]
    found = _without_enclosed(those_of(labeled, is_hand), around.unexplained)
    hands[around.area] = grow(found, _EDGE_PX) & ~grow(straight, 1) & ~not_hands[around.area]
    return hands & unexplained


def _is_bar(region: Mask) -> bool:
    """Return whether a region (h, w) is long and narrow: the end of a stick that the fist hides the rest of."""
    points = cv2.findNonZero(region.view(np.uint8))
    short, long = sorted(cv2.minAreaRect(points)[1])
    return bool(long + 1.0 > _BAR * (short + 1.0))


def _without_enclosed(found: Mask, unexplained: Mask) -> Mask:
    """Return the regions of ``found`` (h, w) but for those that something ``unexplained`` mostly surrounds."""
    around = grow(found, 1)
    count, labeled = cv2.connectedComponents(around.view(np.uint8), connectivity=8)
    rings = around & ~found
    kept = counts_in(labeled, rings & unexplained, count) <= _ENCLOSED_SHARE * counts_in(labeled, rings, count)
    kept[0] = False
    return those_of(labeled, kept) & found


def own_skin(sample: Sample) -> Mask:
    """Return the pixels of a view (h, w) in the hue of the subject's face; in any hue of skin where it is not seen."""
    picture = sample.view.picture
    skins = _skin(picture)
    face = face_skin(sample)
    if np.count_nonzero(face) < _LEAST_FACE_PX:
        return skins
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    turned = _turned(hue)
    apart = np.abs(turned - np.median(turned[face]))
    return np.asarray((apart <= _FACE_HUES) & (saturation >= _SKIN_SATURATION[0]), np.bool_)


def face_skin(sample: Sample) -> Mask:
    """Return the pixels of a view (h, w) in any hue of skin on the subject's face."""
    return np.asarray(_skin(sample.view.picture) & sample.subject_mask & (sample.distances[HEAD] < _FACE_BH), np.bool_)


def _turned(hue: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return hues in which red, which lies at both ends of the circle, is in the middle."""
    return np.asarray((hue.astype(np.int16) + _HALF_CIRCLE) % _CIRCLE, np.int16)


def _skin(picture: Picture) -> Mask:
    """Return the pixels of a picture (h, w, 3) in the hues of skin."""
    hue, saturation, _ = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV))
    is_hue = (hue < _SKIN_HUES[0]) | (hue > _SKIN_HUES[1])
    return np.asarray(is_hue & (saturation >= _SKIN_SATURATION[0]) & (saturation <= _SKIN_SATURATION[1]), np.bool_)
