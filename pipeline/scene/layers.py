"""Label each pixel around the subject in one frame: the subject, or something that stays."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.scene.body import HAND, HEAD, NUM_PARTS
from pipeline.scene.colors import FLOOR
from pipeline.scene.samples import FEET, UNLIKELY, Sample, likeness, on_ground, opened
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.sticks import other_end
from pipeline.scene.views import Shown

REACH_BH = 0.10
"""Distance from the mask within which missed parts are searched for, body heights: a hand."""
_ON_LIMB = np.float32(0.4)
"""Log odds that a pixel of the mask on a limb is the subject's, before its color is looked at."""
_ODDS = 2.0
"""Least log odds of a color for a foreign object against the subject."""
_LEAST_AREA_PX = 30
_LEAST_END_PX = 6
_OTHERS_REACH_BH = 0.05
_OFF_LIMBS_BH = 0.03
"""Mask pixels this far from every limb may belong to somebody whose own mask is lost."""
_PERSON_BH = 0.015
"""Least radius of a part of somebody without a mask."""
_SPILL_BH = 0.03
_CORE_BH = 0.005
_HAND_REACH_BH = 0.08
_LEAST_THING_PX = 200
"""Size of an object that nobody holds, at ``WORK_BODY_PX``: half a football."""
_LARGEST_HOLE_PX = 2700
"""At ``WORK_BODY_PX``: the face of a racket, not the loop of an arm around the waist."""
_PAINTED = 0.0018
"""Square body heights: smaller holes in an object are its pattern, even in the subject's colors; larger ones may show
the subject through it."""
_HAND_BH = 0.075
"""A region that does not extend farther from the middle of a hand is taken as part of the hand."""
_RIM_BH = 0.05
_RIM_SHARE = 0.5
_RIM_DEPTH_BH = 0.015
"""Largest mean distance of a rim's pixels from its edge: that of a strip of 6 % of body height."""
_STRIP_DEPTH_BH = 0.02
_STRIP_SHARE = 0.85
"""Fraction of a strip's pixels that lie on the edge of the body; an object in the hand extends away from it."""
_MANY_PARTS = 4
_PART_SHARE = 0.05
"""A strip along so many parts of the body, each with this fraction of its pixels, is the blurred outline of a fast
movement, whatever hand it touches."""
_CAP_BH = 0.12
"""Distance from the surface of the head: hats and high hair."""
_THIN_BH = 0.01
_EDGE_BH = (-0.02, 0.05)
"""Distance from the surface of a limb at which its edge lies."""
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
"""Fraction of an object's usual width: narrower parts that look like a shoe are one."""
_GAP_PX = 5
"""Lettering on an object and highlights are narrower."""


class Label(IntEnum):
    """What a pixel belongs to."""

    NOBODY = 0
    """Background, as far as is known."""
    SUBJECT = 1
    """The visible part of the subject."""
    FRONT = 2
    """Something static in front of the subject."""
    OTHERS = 3
    """Other people."""
    CARRIED = 4
    """An object that moves with a hand."""
    THING = 5
    """An object that moves on its own."""


LABEL_COLORS = np.array(
    [(0, 0, 0), (255, 0, 0), (255, 255, 0), (0, 0, 255), (0, 255, 0), (255, 0, 255)], np.uint8
)  # fmt: skip
"""RGB of each ``Label``, for visualization."""


def labels_of(
    sample: Sample, row: SceneRow, places: tuple[Mask, Mask], is_completed: bool, may_meet: bool = False
) -> NDArray[np.uint8]:
    """Return (h, w) of ``Label``. ``places`` are the model's masks in the frame's view.

    ``is_completed``: parts of the subject that the mask misses are searched for beside it. ``may_meet``: others may be
    close to the subject without a mask, and are recognized by their colors.
    """
    shown, height = sample.view.shown, sample.body.height_px
    front, wrong = places
    likelihood = likeness(sample, row.subject)
    near_others = grow(sample.others_mask, max(1, round(_OTHERS_REACH_BH * height)))
    unmasked = may_meet & (sample.outside > np.where(sample.subject_mask, _OFF_LIMBS_BH, 0.0))
    other_people = np.where(near_others | unmasked, row.others[sample.bins], np.float32(0))
    foreign = row.foreign[sample.bins]
    odds = _log_odds(np.maximum(foreign, other_people), likelihood)
    odds = odds - np.where(sample.subject_mask & (sample.outside < 0), _ON_LIMB, np.float32(0))
    differs = ((shown == Shown.OTHER) | (shown == Shown.UNKNOWN)) & ~on_ground(sample)
    differs &= sample.subject_mask | sample.others_mask | ~wrong
    surely_subject = (odds < -np.log(_ODDS)) & (likelihood > UNLIKELY)
    sure = (odds > np.log(_ODDS)) & differs
    unexplained = _coherent((odds > 0) & differs, sure, surely_subject, _PAINTED * height**2)
    # Edge pixels are mixed with what is behind them.
    front = grow(front & ((shown == Shown.PLATE) | (shown == Shown.UNKNOWN)), 1) & front
    # Masks of two people who touch spill over each other: on a limb of the subject, pixels with the subject's colors
    # are the subject's.
    alike = (odds < 0) & (likelihood > UNLIKELY)
    beside = (sample.outside < _SPILL_BH) & (odds < -np.log(_ODDS))
    people = sample.others_mask & ~(alike & (sample.subject_mask | (sample.outside < 0) | beside))
    shoes = _subject_shoes(sample, unexplained, row)
    outline = _outline(sample, unexplained)
    unexplained &= ~shoes & ~outline
    # Where the mask is wide enough, they are already in it.
    unexplained &= ~_rims(unexplained, sample)
    limbs = alike & (sample.outside < -_CORE_BH) & ((shown == Shown.OTHER) | (shown == Shown.SHADOW))
    theirs = unexplained & (other_people >= foreign)
    people |= (theirs & near_others) | _large(theirs & unmasked, _PERSON_BH * height)
    subject = sample.subject_mask | (sample.others_mask & ~people) | ((limbs | shoes | outline) & ~people)
    labels = np.where(subject, np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY))
    held, hand = _held(unexplained & ~people, sample)
    held |= _other_ends(held, odds, differs & ~people, sample)
    loose = _large(unexplained & ~held & ~hand, _HALF * row.breadth_bh * height)
    # A passer-by at the subject's head has colors that the others have.
    worn = _worn(loose, sample, row.others[sample.bins] > UNLIKELY)
    labels[loose & ~worn] = Label.THING
    labels[worn & ~people] = Label.SUBJECT
    labels[hand] = Label.SUBJECT
    labels[held] = Label.CARRIED
    labels[people] = Label.OTHERS
    labels[front] = Label.FRONT
    if is_completed:
        # A limb that was not detected lies far from all others: there its color counts wherever on the body it was
        # seen.
        like = np.maximum(likelihood, np.float32(0.3) * row.subject.max(axis=0)[sample.bins])
        labels[_missed(sample, labels, like > UNLIKELY)] = Label.SUBJECT
    return labels


def _log_odds(foreign: Float32Array, subject: Float32Array) -> Float32Array:
    odds = np.log(np.maximum(foreign, FLOOR / 10)) - np.log(np.maximum(subject, FLOOR / 10))
    return cv2.blur(odds.astype(np.float32), (3, 3))


def _coherent(likely: Mask, sure: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the components of ``likely`` that contain enough of ``sure``, with their small holes filled."""
    count, labeled = cv2.connectedComponents(likely.view(np.uint8), connectivity=8)
    kept = np.bincount(labeled[sure], minlength=count) >= _LEAST_AREA_PX
    kept[0] = False
    return _filled(closed(np.asarray(kept[labeled], np.bool_), _GAP_PX), surely_subject, painted_px)


def _large(mask: Mask, radius_px: float) -> Mask:
    """Return the mask's components that are large and wide enough for an object that nobody holds, unlike the rim of a
    shoe."""
    if not mask.any():
        return mask
    count, labeled = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    core = opened(mask, max(3, round(radius_px)))
    kept = np.bincount(labeled.ravel(), minlength=count) >= _LEAST_THING_PX
    kept &= np.bincount(labeled[core], minlength=count) > 0
    kept[0] = False
    return kept[labeled]


def _filled(mask: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the mask with its smaller holes filled: an object is never kept only partly.

    The subject is visible through a bag's handle, but a hole no larger than ``painted_px`` is a pattern.
    """
    count, labeled, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    is_hole = stats[:count, cv2.CC_STAT_AREA] <= _LARGEST_HOLE_PX
    x0, y0 = stats[:count, cv2.CC_STAT_LEFT], stats[:count, cv2.CC_STAT_TOP]
    x1, y1 = x0 + stats[:count, cv2.CC_STAT_WIDTH], y0 + stats[:count, cv2.CC_STAT_HEIGHT]
    is_hole &= (x0 > 0) & (y0 > 0) & (x1 < mask.shape[1]) & (y1 < mask.shape[0])
    shows_subject = np.bincount(labeled[surely_subject], minlength=count) >= _HALF * stats[:count, cv2.CC_STAT_AREA]
    is_hole &= ~shows_subject | (stats[:count, cv2.CC_STAT_AREA] <= painted_px)
    return mask | is_hole[labeled]


def closed(mask: Mask, size_px: int) -> Mask:
    kernel = np.ones((size_px, size_px), np.uint8)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0


def _missed(sample: Sample, labels: NDArray[np.uint8], like: Mask) -> Mask:
    """Return parts of the subject beside the mask: different from the plate, similar in color, and connected to it."""
    subject = labels == Label.SUBJECT
    reach = round(REACH_BH * sample.body.height_px)
    if reach < 2 or not subject.any():
        return np.zeros(subject.shape, np.bool_)
    near = grow(subject, reach) & (labels == Label.NOBODY) & (sample.view.shown == Shown.OTHER)
    # A line of one pixel is a misplaced edge; fingers are wider, and are recovered by dilating the mask.
    found = opened(near & like, 1)
    if not found.any():
        return found
    _, labeled = cv2.connectedComponents((grow(found, 1) | subject).astype(np.uint8))
    return np.isin(labeled, np.unique(labeled[subject])) & found


def _subject_shoes(sample: Sample, unexplained: Mask, row: SceneRow) -> Mask:
    """Return the shoes among the unexplained pixels: a foreign color that the subject's shoes share, and not a wide
    object.

    A white ball at a white shoe is distinguished by its width alone.
    """
    near = sample.distances[FEET] < _FOOT_REACH_BH
    like = row.subject[FEET][sample.bins] * _SHOE_ODDS > row.foreign[sample.bins]
    doubtful: Mask = unexplained & near & like
    if not doubtful.any():
        return doubtful
    radius = max(1, round(_BROAD * row.breadth_bh * sample.body.height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # A morphological opening depends on pixels up to twice its radius away.
    x0, y0, x1, y1 = clipped(grown(box_of_mask(doubtful), 2 * radius + 2), (unexplained.shape[1], unexplained.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    broad = cv2.morphologyEx(np.ascontiguousarray(unexplained[area]).view(np.uint8), cv2.MORPH_OPEN, kernel) > 0
    narrow = doubtful.copy()
    narrow[area] &= ~broad
    return narrow


def _outline(sample: Sample, unexplained: Mask) -> Mask:
    """Return the unexplained components along the edge of the mask: parts it misses, blurred into the background.

    An object extends away from the outline, or lies in front; a mask that is too tight leaves a rim all around.
    """
    rim = grow(sample.subject_mask, max(1, round(_RIM_BH * sample.body.height_px))) & ~sample.subject_mask
    count, labeled = cv2.connectedComponents(unexplained.view(np.uint8), connectivity=8)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_rim = np.bincount(labeled[rim], minlength=count) >= _RIM_SHARE * np.maximum(areas, 1)
    is_rim &= areas >= _RIM_AREA * sample.body.height_px**2
    inner = cv2.distanceTransform(unexplained.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    depth = np.bincount(labeled.ravel(), inner.ravel(), count)
    near = sample.distances[HAND] < _HAND_REACH_BH
    is_near_hand = np.bincount(labeled[near], minlength=count) > 0
    is_rim &= ~is_near_hand | (depth <= _RIM_DEPTH_BH * sample.body.height_px * areas)
    is_strip = depth <= _STRIP_DEPTH_BH * sample.body.height_px * areas
    close = np.bincount(labeled[sample.outside < _EDGE_BH[1]], minlength=count)
    is_rim |= is_strip & (close >= _STRIP_SHARE * areas) & (_num_parts(labeled, areas, sample) >= _MANY_PARTS)
    is_rim[0] = False
    outline: Mask = is_rim[labeled] & unexplained
    return outline


def _num_parts(labeled: NDArray[np.int32], areas: NDArray[np.int64], sample: Sample) -> NDArray[np.int64]:
    """Return, for each component, how many parts of the body it runs along."""
    pixels = (labeled > 0) & (sample.outside < _EDGE_BH[1])
    parts = sample.distances[:, pixels].argmin(axis=0)
    counts = np.bincount(labeled[pixels] * NUM_PARTS + parts, minlength=len(areas) * NUM_PARTS)
    return (counts.reshape(-1, NUM_PARTS) >= _PART_SHARE * np.maximum(areas, 1)[:, None]).sum(axis=1)


def _worn(loose: Mask, sample: Sample, like_others: Mask) -> Mask:
    """Return the objects that lie mostly on the subject's head: a cap has none of the subject's colors and is still
    theirs.

    An object mostly in the colors of other people (``like_others``) is somebody behind the subject.
    """
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    on_head = np.bincount(labeled[sample.distances[HEAD] < _CAP_BH], minlength=count)
    areas = np.bincount(labeled.ravel(), minlength=count)
    is_worn = on_head > _HALF * areas
    is_worn &= np.bincount(labeled[like_others], minlength=count) < _HALF * areas
    is_worn[0] = False
    return np.asarray(is_worn[labeled], np.bool_)


def _rims(unexplained: Mask, sample: Sample) -> Mask:
    """Return the thin lines among the unexplained pixels that run along a limb: its blurred edge.

    A stick crosses the edge of a limb, and an object in a hand is near the hand.
    """
    height = sample.body.height_px
    thin = unexplained & ~opened(unexplained, max(1, round(_THIN_BH * height)))
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


def _held(unexplained: Mask, sample: Sample) -> tuple[Mask, Mask]:
    """Return the foreign objects near a hand, and those no larger than the hand itself."""
    nothing = np.zeros(unexplained.shape, np.bool_)
    height = sample.body.height_px
    count, labeled = cv2.connectedComponents(closed(unexplained, _GAP_PX).view(np.uint8))
    if count < 2 or not len(sample.body.hands):
        return nothing, nothing
    is_held = np.zeros(count, np.bool_)
    is_hand = np.zeros(count, np.bool_)
    for hand_xy in sample.body.hands:
        distance = _distance_from(hand_xy, unexplained.shape)
        near = np.bincount(labeled[distance <= _HAND_REACH_BH * height], minlength=count) > 0
        beyond = np.bincount(labeled[distance > _HAND_BH * height], minlength=count)
        large = near & (beyond >= _LEAST_AREA_PX)
        large[0] = False
        if large.any():
            # The other end of a stick is visible beyond the fist.
            large |= near & (beyond >= _LEAST_END_PX)
        is_held |= large
        is_hand |= near & ~large
    is_held[0] = False
    is_hand &= ~is_held
    is_hand[0] = False
    return is_held[labeled] & unexplained, is_hand[labeled] & unexplained


def _other_ends(held: Mask, odds: Float32Array, differs: Mask, sample: Sample) -> Mask:
    """Return the parts of long held objects on the other side of the fist."""
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
