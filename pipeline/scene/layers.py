"""Whose each pixel around the subject is, in one frame: the subject's, or something's that stays."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.scene.body import HAND, HEAD
from pipeline.scene.colors import FLOOR
from pipeline.scene.samples import FEET, UNLIKELY, Sample, likeness, on_ground, opened
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.sticks import other_end
from pipeline.scene.views import Shown

REACH_BH = 0.10
"""How far from the mask parts are looked for that it misses, body heights: a hand."""
_ON_LIMB = np.float32(0.4)
"""Log odds that a pixel of the mask on a limb is the subject's, before its color is looked at."""
_ODDS = 2.0
"""A color must be so much more likely on a foreign thing than on the subject."""
_LEAST_AREA_PX = 30
_LEAST_END_PX = 6
_OTHERS_REACH_BH = 0.05
_SPILL_BH = 0.03
_CORE_BH = 0.005
_HAND_REACH_BH = 0.08
_LEAST_THING_PX = 200
"""Of a thing that nobody holds, at ``WORK_BODY_PX``: half a football."""
_LARGEST_HOLE_PX = 2700
"""At ``WORK_BODY_PX``: the face of a racket, not the loop of an arm around the waist."""
_PAINTED = 0.0018
"""Square body heights: a pattern on a thing, however like the subject's colors; what is larger may be the subject, seen
through it."""
_HAND_BH = 0.075
"""What does not reach farther from the middle of a hand is taken for the hand."""
_RIM_BH = 0.05
_RIM_SHARE = 0.5
_RIM_DEPTH_BH = 0.015
"""Mean distance of a rim's pixels from its edge, at most: that of a strip of 6 % of body height."""
_CAP_BH = 0.12
"""From the surface of the head: hats and high hair."""
_THIN_BH = 0.01
_EDGE_BH = (-0.02, 0.05)
"""Where an edge lies, distance from the surface of a limb."""
_HAND_ROOM_BH = 0.03
_RIM_LENGTH_BH = 0.09
_ALONG_BH = 0.012
"""Standard deviation of the distance from the limb, along a line that does not cross its edge."""
_RIM_AREA = 0.03
"""Square body heights: a rim of 2 % of body height along a fifth of the outline."""
_FOOT_REACH_BH = 0.16
_SHOE_ODDS = np.float32(4.0)
_HALF = 0.5
_BROAD = 0.7
"""Of a thing's usual breadth: narrower parts that look like a shoe are one."""
_GAP_PX = 5
"""Writing on a thing and highlights are less wide."""


class Label(IntEnum):
    """Whose a pixel is."""

    NOBODY = 0
    """Background, for all that is known."""
    HIS = 1
    """The visible part of the subject."""
    FRONT = 2
    """Something static in front of the subject."""
    OTHERS = 3
    """Other people."""
    CARRIED = 4
    """What moves with a hand."""
    THING = 5
    """What moves on its own."""


LABEL_COLORS = np.array(
    [(0, 0, 0), (255, 0, 0), (255, 255, 0), (0, 0, 255), (0, 255, 0), (255, 0, 255)], np.uint8
)  # fmt: skip
"""RGB of each ``Label``, for pictures of them."""


def labels_of(sample: Sample, row: SceneRow, places: tuple[Mask, Mask], is_completed: bool) -> NDArray[np.uint8]:
    """Return (h, w) of ``Label``. ``places`` are the model's, as the frame sees them.

    ``is_completed``: what the mask misses of the subject is looked for beside it.
    """
    shown, height = sample.view.shown, sample.body.height_px
    front, wrong = places
    likelihood = likeness(sample, row.his)
    near_others = grow(sample.others_mask, max(1, round(_OTHERS_REACH_BH * height)))
    other_people = np.where(near_others, row.others[sample.bins], np.float32(0))
    foreign = row.foreign[sample.bins]
    odds = _log_odds(np.maximum(foreign, other_people), likelihood)
    odds = odds - np.where(sample.subject_mask & (sample.outside < 0), _ON_LIMB, np.float32(0))
    differs = ((shown == Shown.OTHER) | (shown == Shown.UNKNOWN)) & ~on_ground(sample)
    differs &= sample.subject_mask | sample.others_mask | ~wrong
    surely_his = (odds < -np.log(_ODDS)) & (likelihood > UNLIKELY)
    sure = (odds > np.log(_ODDS)) & differs
    strange = _coherent((odds > 0) & differs, sure, surely_his, _PAINTED * height**2)
    # Its edge is mixed with what is behind it.
    front = grow(front & ((shown == Shown.PLATE) | (shown == Shown.UNKNOWN)), 1) & front
    # Masks of two who touch spill over each other: on a limb of the subject, what has their color is theirs.
    alike = (odds < 0) & (likelihood > UNLIKELY)
    beside = (sample.outside < _SPILL_BH) & (odds < -np.log(_ODDS))
    people = sample.others_mask & ~(alike & (sample.subject_mask | (sample.outside < 0) | beside))
    shoes = _his_feet(sample, strange, row)
    outline = _outline(sample, strange)
    strange &= ~shoes & ~outline
    # Where the mask is wide enough for them, they are in it.
    strange &= ~_rims(strange, sample)
    limbs = alike & (sample.outside < -_CORE_BH) & ((shown == Shown.OTHER) | (shown == Shown.SHADOW))
    people |= strange & near_others & (other_people >= foreign)
    his = sample.subject_mask | (sample.others_mask & ~people) | ((limbs | shoes | outline) & ~people)
    labels = np.where(his, np.uint8(Label.HIS), np.uint8(Label.NOBODY))
    held, hand = _held(strange & ~people, sample)
    held |= _other_ends(held, odds, differs & ~people, sample)
    loose = _large(strange & ~held & ~hand, _HALF * row.breadth_bh * height)
    # A passer-by at his head has colors that the others have.
    worn = _worn(loose, sample, row.others[sample.bins] > UNLIKELY)
    labels[loose & ~worn] = Label.THING
    labels[worn & ~people] = Label.HIS
    labels[hand] = Label.HIS
    labels[held] = Label.CARRIED
    labels[people] = Label.OTHERS
    labels[front] = Label.FRONT
    if is_completed:
        # A limb that was not found lies far from all others: there its color counts wherever on the body it was seen.
        like = np.maximum(likelihood, np.float32(0.3) * row.his.max(axis=0)[sample.bins])
        labels[_missed(sample, labels, like > UNLIKELY)] = Label.HIS
    return labels


def _log_odds(foreign: Float32Array, his: Float32Array) -> Float32Array:
    odds = np.log(np.maximum(foreign, FLOOR / 10)) - np.log(np.maximum(his, FLOOR / 10))
    return cv2.blur(odds.astype(np.float32), (3, 3))


def _coherent(likely: Mask, sure: Mask, surely_his: Mask, painted_px: float) -> Mask:
    """Return the parts of ``likely`` that hold enough of what is ``sure``, with their small holes filled."""
    count, labeled = cv2.connectedComponents(likely.view(np.uint8), connectivity=8)
    kept = np.bincount(labeled[sure], minlength=count) >= _LEAST_AREA_PX
    kept[0] = False
    return _filled(closed(np.asarray(kept[labeled], np.bool_), _GAP_PX), surely_his, painted_px)


def _large(mask: Mask, radius_px: float) -> Mask:
    """Return the mask's parts that are large and broad enough for a thing that nobody holds: no rim of a shoe."""
    if not mask.any():
        return mask
    count, labeled = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    core = opened(mask, max(3, round(radius_px)))
    kept = np.bincount(labeled.ravel(), minlength=count) >= _LEAST_THING_PX
    kept &= np.bincount(labeled[core], minlength=count) > 0
    kept[0] = False
    return kept[labeled]


def _filled(mask: Mask, surely_his: Mask, painted_px: float) -> Mask:
    """Return the mask with the holes in it that are not too large: a thing is never kept by half.

    Through a bag's handle the subject is seen, but what is no larger than ``painted_px`` is a pattern.
    """
    count, labeled, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    is_hole = stats[:count, cv2.CC_STAT_AREA] <= _LARGEST_HOLE_PX
    x0, y0 = stats[:count, cv2.CC_STAT_LEFT], stats[:count, cv2.CC_STAT_TOP]
    x1, y1 = x0 + stats[:count, cv2.CC_STAT_WIDTH], y0 + stats[:count, cv2.CC_STAT_HEIGHT]
    is_hole &= (x0 > 0) & (y0 > 0) & (x1 < mask.shape[1]) & (y1 < mask.shape[0])
    shows_him = np.bincount(labeled[surely_his], minlength=count) >= _HALF * stats[:count, cv2.CC_STAT_AREA]
    is_hole &= ~shows_him | (stats[:count, cv2.CC_STAT_AREA] <= painted_px)
    return mask | is_hole[labeled]


def closed(mask: Mask, size_px: int) -> Mask:
    kernel = np.ones((size_px, size_px), np.uint8)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0


def _missed(sample: Sample, labels: NDArray[np.uint8], like: Mask) -> Mask:
    """Return parts of the subject beside the mask: different from the plate, alike in color, and joined to it."""
    his = labels == Label.HIS
    reach = round(REACH_BH * sample.body.height_px)
    if reach < 2 or not his.any():
        return np.zeros(his.shape, np.bool_)
    near = grow(his, reach) & (labels == Label.NOBODY) & (sample.view.shown == Shown.OTHER)
    # A line of one pixel is an edge that lies wrong; fingers are broader, and are won back by the mask's widening.
    found = opened(near & like, 1)
    if not found.any():
        return found
    _, labeled = cv2.connectedComponents((grow(found, 1) | his).astype(np.uint8))
    return np.isin(labeled, np.unique(labeled[his])) & found


def _his_feet(sample: Sample, strange: Mask, row: SceneRow) -> Mask:
    """Return what of the strange pixels is a shoe: a foreign color that the subject's shoes have too, and no broad
    thing.

    A white ball at a white shoe is told by its breadth alone.
    """
    near = sample.distances[FEET] < _FOOT_REACH_BH
    like = row.his[FEET][sample.bins] * _SHOE_ODDS > row.foreign[sample.bins]
    doubtful: Mask = strange & near & like
    if not doubtful.any():
        return doubtful
    radius = max(1, round(_BROAD * row.breadth_bh * sample.body.height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # An opening looks no farther than twice its radius.
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), 2 * radius + 2), (strange.shape[1], strange.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    broad = cv2.morphologyEx(np.ascontiguousarray(strange[area]).view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    narrow = doubtful.copy()
    narrow[area] &= ~broad
    return narrow


def _outline(sample: Sample, strange: Mask) -> Mask:
    """Return the strange parts that lie along the edge of the mask: what it lacks, blurred into the background.

    A thing leaves the outline, or lies in front; a mask that is too tight leaves a rim all around.
    """
    rim = grow(sample.subject_mask, max(1, round(_RIM_BH * sample.body.height_px))) & ~sample.subject_mask
    count, labeled = cv2.connectedComponents(strange.view(np.uint8), connectivity=8)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_rim = np.bincount(labeled[rim], minlength=count) >= _RIM_SHARE * np.maximum(areas, 1)
    is_rim &= areas >= _RIM_AREA * sample.body.height_px**2
    inner = cv2.distanceTransform(strange.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    depth = np.bincount(labeled.ravel(), inner.ravel(), count)
    near = sample.distances[HAND] < _HAND_REACH_BH
    is_near_hand = np.bincount(labeled[near], minlength=count) > 0
    is_rim &= ~is_near_hand | (depth <= _RIM_DEPTH_BH * sample.body.height_px * areas)
    is_rim[0] = False
    outline: Mask = is_rim[labeled] & strange
    return outline


def _worn(loose: Mask, sample: Sample, like_others: Mask) -> Mask:
    """Return the things that lie on his head for the most part: a cap has no color of his, and is his all the same.

    What mostly has colors of other people (``like_others``) is somebody behind him.
    """
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    on_head = np.bincount(labeled[sample.distances[HEAD] < _CAP_BH], minlength=count)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_worn = on_head > _HALF * areas
    is_worn &= np.bincount(labeled[like_others], minlength=count) < _HALF * areas
    is_worn[0] = False
    return np.asarray(is_worn[labeled], np.bool_)


def _rims(strange: Mask, sample: Sample) -> Mask:
    """Return what of the strange pixels is a thin line that runs along a limb: its edge, blurred.

    A stick crosses the edge of a limb, and a thing in a hand is near the hand.
    """
    height = sample.body.height_px
    thin = strange & ~opened(strange, max(1, round(_THIN_BH * height)))
    low, high = _EDGE_BH
    edge = thin & (sample.outside > low) & (sample.outside < high) & (sample.distances[HAND] > _HAND_ROOM_BH)
    count, labeled, stats, _ = cv2.connectedComponentsWithStats(edge.view(np.uint8), connectivity=8)
    extent = np.maximum(stats[:count, cv2.CC_STAT_WIDTH], stats[:count, cv2.CC_STAT_HEIGHT])
    is_rim = extent > _RIM_LENGTH_BH * height
    depth = sample.outside[edge]
    mean = np.bincount(labeled[edge], depth, count) / np.maximum(stats[:count, cv2.CC_STAT_AREA], 1)
    spread = np.bincount(labeled[edge], (depth - mean[labeled[edge]]) ** 2, count)
    is_rim &= spread <= _ALONG_BH**2 * stats[:count, cv2.CC_STAT_AREA]
    is_rim[0] = False
    return np.asarray(is_rim[labeled], np.bool_)


def _held(strange: Mask, sample: Sample) -> tuple[Mask, Mask]:
    """Return the foreign things that come near a hand, and those that are no larger than the hand itself."""
    nothing = np.zeros(strange.shape, np.bool_)
    height = sample.body.height_px
    count, labeled = cv2.connectedComponents(closed(strange, _GAP_PX).view(np.uint8))
    if count < 2 or not len(sample.body.hands):
        return nothing, nothing
    is_held = np.zeros(count, np.bool_)
    is_hand = np.zeros(count, np.bool_)
    for hand_xy in sample.body.hands:
        distance = _distance_from(hand_xy, strange.shape)
        near = np.bincount(labeled[distance <= _HAND_REACH_BH * height], minlength=count) > 0
        beyond = np.bincount(labeled[distance > _HAND_BH * height], minlength=count)
        large = near & (beyond >= _LEAST_AREA_PX)
        large[0] = False
        if large.any():
            # The other end of a stick is seen beyond the fist.
            large |= near & (beyond >= _LEAST_END_PX)
        is_held |= large
        is_hand |= near & ~large
    is_held[0] = False
    is_hand &= ~is_held
    is_hand[0] = False
    return is_held[labeled] & strange, is_hand[labeled] & strange


def _other_ends(held: Mask, odds: Float32Array, differs: Mask, sample: Sample) -> Mask:
    """Return what long things in the hands show of themselves on the other side of the fist."""
    ends = np.zeros(held.shape, np.bool_)
    if not held.any():
        return ends
    height = sample.body.height_px
    _, labeled = cv2.connectedComponents(closed(held, _GAP_PX).view(np.uint8))
    for hand_xy in sample.body.hands:
        near = held & (_distance_from(hand_xy, held.shape) <= _HAND_REACH_BH * height)
        for number in np.unique(labeled[near]):
            ends |= other_end(held & (labeled == number), odds, differs, hand_xy, height)
    return ends


def _distance_from(point_xy: NDArray[np.float32], shape: tuple[int, ...]) -> Float32Array:
    rows, columns = (axis.astype(np.float32) for axis in np.ogrid[: shape[0], : shape[1]])
    return np.asarray(np.hypot(columns - point_xy[0], rows - point_xy[1]), np.float32)
