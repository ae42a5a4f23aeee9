"""Label each pixel around the subject in one frame: the subject, or something that stays."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.bare_hands import bare_hands, open_hands
from pipeline.scene.body import HEAD, TORSO
from pipeline.scene.clinging import clinging
from pipeline.scene.color_edges import settle_edges
from pipeline.scene.displaced import displaced_background, displaced_parts, folds_of_background
from pipeline.scene.edges import blurred_outline, rims_of_limbs, subject_shoes
from pipeline.scene.frame_evidence import CAP_BH, FrameEvidence, frame_evidence
from pipeline.scene.front_edges import front_to_edges, stands_out
from pipeline.scene.guessed_arms import guessed_arms
from pipeline.scene.hair import hair
from pipeline.scene.hands_at_things import hands_at_things
from pipeline.scene.held import GAP_PX, LEAST_AREA_PX, closed, held_objects, other_ends
from pipeline.scene.held_places import placed_things, whole_things
from pipeline.scene.known_things import LEAST_IN_HAND_PX, known_things
from pipeline.scene.missed import missed_parts
from pipeline.scene.mixed_edges import mixed_edges
from pipeline.scene.never_seen import never_seen
from pipeline.scene.samples import FEET, UNLIKELY, Sample, opened
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.touching import edges_of_others, own_under_others, without_small_holes
from pipeline.scene.views import Shown

_ODDS = 2.0
"""Least log odds of a color for a foreign object against the subject."""
_TELLING_ODDS = 10.0
"""Least odds of a color for a foreign object where a difference from the plate says little: in the shadow at the feet,
and where the plate is wrong."""
_CONTINUED_SHARE = 0.3
"""Fraction of an object that must be seen where a difference does say something."""
_PERSON_BH = 0.008
"""Least radius of a part of somebody without a mask."""
_CORE_BH = 0.005
_LEAST_THING_PX = 200
"""Size of an object that nobody holds, at ``WORK_BODY_PX``: half a football."""
_LEAST_STRIP_PX = 80
"""Size of what an arm leaves visible of an object at its usual place; less is a blurred edge of the arm."""
_LARGEST_HOLE_PX = 2700
"""At ``WORK_BODY_PX``: the face of a racket, not the loop of an arm around the waist."""
_PAINTED = 0.0018
"""Square body heights: smaller holes in an object are its pattern, even in the subject's colors; larger ones may show
the subject through it."""
_EDGE_PX = 2
_LONG_HAIR_BH = 0.2
_ON_TRUNK_BH = 0.15
"""A backpack or a bag at the hip; a dog on a leash is farther away."""
_WORN_SHARE = 0.9
"""Fraction of a cap's pixels that lie that near; an umbrella extends farther."""
_HALF = 0.5
_COMMON = 0.008
"""A color as frequent as this on a part of the subject is one of its main colors."""


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
    sample: Sample,
    row: SceneRow,
    places: tuple[Mask, Mask],
    is_completed: bool,
    may_meet: bool = False,
    near: Mask | None = None,
) -> NDArray[np.uint8]:
    """Return (h, w) of ``Label``. ``places`` are the model's masks in the frame's view.

    ``is_completed``: parts of the subject that the mask misses are searched for beside it. ``may_meet``: others may be
    close to the subject without a mask, and are recognized by their colors. ``near`` (h, w): where something is seen in
    front of the subject that moves against the plate.
    """
    front, wrong = places
    evidence = frame_evidence(sample, row, wrong, may_meet)
    unexplained = _unexplained(evidence, sample)
    known = known_things(unexplained, evidence.in_hand)
    own_hair = hair(unexplained & ~evidence.near_others & ~known, evidence.worn, sample, row)
    unexplained &= ~own_hair
    in_place = placed_things(unexplained, evidence.there)
    of_known_color = known
    known = known | in_place
    shoes = subject_shoes(sample, unexplained, row)
    like_others = (evidence.other_people > UNLIKELY) & (evidence.other_people >= evidence.foreign)
    outline = blurred_outline(sample, unexplained, like_others, evidence.unmasked) & ~known
    unexplained &= ~shoes & ~outline
    # Where the mask is wide enough, they are already in it.
    rims = rims_of_limbs(unexplained, sample, like_others) & ~known
    unexplained &= ~displaced_parts(unexplained, sample) | known
    mixed = mixed_edges(unexplained, sample.subject_mask & evidence.alike, sample) & ~known
    unexplained &= ~rims & ~mixed
    # A free hand is often where the thing in the other one is.
    hands = bare_hands(unexplained, sample) & ~of_known_color
    # A thing whose place is known is only there, whatever colors it has.
    not_hands = evidence.there if evidence.there.any() else of_known_color
    fingers = open_hands(unexplained, not_hands, sample)
    hands |= guessed_arms(unexplained, sample, row)
    unexplained &= ~hands
    outline |= mixed | hands | own_hair
    people = _people(evidence, sample, unexplained)
    labels = np.where(
        _subject(evidence, sample, people, shoes | outline), np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY)
    )
    held, hand = held_objects(unexplained & ~people, sample, known)
    clings = clinging(held, known, like_others, sample)
    held &= ~clings
    hand |= clings
    held |= other_ends(held, evidence.odds, evidence.differs & ~people, sample)
    loose = _large(unexplained & ~held & ~hand, _HALF * row.breadth_bh * sample.body.height_px)
    # What lies where something is usually carried may be small: the strip of it that an arm leaves visible.
    loose |= _beside_mask(unexplained & ~held & ~hand & in_place, sample)
    loose &= ~folds_of_background(loose, sample) | in_place
    loose &= ~never_seen(loose, evidence.foreign, row.foreign.min()) | in_place
    # A passer-by at the subject's head has colors that the others have.
    others, head = row.others[sample.bins], row.subject[HEAD][sample.bins]
    worn = _worn(loose, sample, head > UNLIKELY, (others > UNLIKELY) & (others > head))
    labels[loose & ~worn] = Label.THING
    labels[worn & ~people] = Label.SUBJECT
    labels[hand] = Label.SUBJECT
    held = whole_things(held | _on_trunk(loose & ~worn, in_place, sample), evidence.there, evidence.alike | people)
    labels[held] = Label.CARRIED
    # Its edge is mixed with a background that it may resemble.
    edge = grow(held, _EDGE_PX) & (labels == Label.NOBODY) & (sample.view.shown != Shown.PLATE) & sample.view.known
    labels[edge] = Label.CARRIED
    # Until now they were part of what is joined to a hand.
    things = (labels == Label.CARRIED) | (labels == Label.THING)
    labels[fingers | hands_at_things(things, not_hands, sample)] = Label.SUBJECT
    labels[people] = Label.OTHERS
    front = _in_front(front, sample)
    is_common = evidence.likelihood > _COMMON
    if near is not None:
        front |= near & ~people & stands_out(sample, is_common)
    labels[front] = Label.FRONT
    labels[front_to_edges(front, labels == Label.SUBJECT, labels == Label.NOBODY, is_common, sample)] = Label.FRONT
    labels = settle_edges(labels, sample.view.picture, Label.SUBJECT)
    if is_completed:
        # A limb that was not detected lies far from all others: there its color counts wherever on the body it was
        # seen.
        like = np.maximum(evidence.likelihood, np.float32(0.3) * row.subject.max(axis=0)[sample.bins])
        like_subject = (like > UNLIKELY) & (like > evidence.other_people)
        apart = (labels == Label.THING) | (labels == Label.OTHERS)
        found = missed_parts(labels == Label.SUBJECT, labels == Label.NOBODY, apart, like_subject, sample)
        labels[found] = Label.SUBJECT
    others = labels == Label.OTHERS
    if others.any():
        labels[edges_of_others(others, labels == Label.SUBJECT, labels == Label.NOBODY, sample)] = Label.OTHERS
    return labels


def _unexplained(evidence: FrameEvidence, sample: Sample) -> Mask:
    """Return where neither the background nor the subject's own colors explain the frame."""
    surely_subject = (evidence.odds < -np.log(_ODDS)) & (evidence.likelihood > UNLIKELY)
    sure = (evidence.odds > np.log(_ODDS)) & evidence.differs
    painted_px = _PAINTED * sample.body.height_px**2
    likely = (evidence.odds > 0) & evidence.differs
    is_other = sample.view.shown == Shown.OTHER
    likely |= _continued(likely, (evidence.odds > np.log(_TELLING_ODDS)) & evidence.doubtful & is_other)
    found = _coherent(likely, sure, sure & evidence.in_hand, surely_subject, painted_px)
    known = known_things(found, evidence.in_hand) | placed_things(found, evidence.there)
    return found & ~(displaced_background(found, sample) & ~known)


def _continued(likely: Mask, doubtful: Mask) -> Mask:
    """Return the ``doubtful`` pixels that continue a ``likely`` object: a dog stands in the shadow of the subject's
    feet, and a plate is wrong where the object itself got into it."""
    if not doubtful.any():
        return doubtful
    both = likely | doubtful
    count, labeled = cv2.connectedComponents(both.view(np.uint8), connectivity=8)
    kept = counts_in(labeled, likely, count) >= _CONTINUED_SHARE * areas_of(labeled, count)
    kept[0] = False
    return those_of(labeled, kept) & doubtful


def _in_front(front: Mask, sample: Sample) -> Mask:
    """Return where something static in front of the subject shows; ``front`` is where it is known to stand."""
    shown = sample.view.shown
    # Edge pixels are mixed with what is behind them.
    return grow(front & ((shown == Shown.PLATE) | (shown == Shown.UNKNOWN)), 1) & front


def _people(evidence: FrameEvidence, sample: Sample, unexplained: Mask) -> Mask:
    """Return the other people: their masks without the subject, and pixels in their colors beside these."""
    height = sample.body.height_px
    theirs = unexplained & (evidence.other_people >= evidence.foreign)
    people = sample.others_mask & ~own_under_others(sample, evidence.odds, evidence.alike)
    people |= theirs & evidence.near_others
    people |= _large(theirs & evidence.unmasked, _PERSON_BH * height, 1)
    return without_small_holes(people, height)


def _subject(evidence: FrameEvidence, sample: Sample, people: Mask, beside_mask: Mask) -> Mask:
    """Return the subject's pixels; ``beside_mask`` are those found along the edge of the mask."""
    shown = sample.view.shown
    # At the feet a shadow is the ground's: dark shoes have its color.
    on_foot = sample.distances[FEET] <= sample.outside
    limbs = evidence.alike & (sample.outside < -_CORE_BH)
    limbs &= (shown == Shown.OTHER) | ((shown == Shown.SHADOW) & ~on_foot)
    return sample.subject_mask | (sample.others_mask & ~people) | ((limbs | beside_mask) & ~people)


def _coherent(likely: Mask, sure: Mask, in_hand: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the components of ``likely`` that contain enough of ``sure``, with their small holes filled; of colors
    known to be ``in_hand`` less is enough."""
    count, labeled = cv2.connectedComponents(likely.view(np.uint8), connectivity=8)
    kept = counts_in(labeled, sure, count) >= LEAST_AREA_PX
    kept |= counts_in(labeled, in_hand, count) >= LEAST_IN_HAND_PX
    kept[0] = False
    return _filled(closed(those_of(labeled, kept), GAP_PX), surely_subject, painted_px)


def _large(mask: Mask, radius_px: float, least_px: int = 3) -> Mask:
    """Return the mask's components that are large and wide enough for an object that nobody holds, unlike the rim of a
    shoe; their radius is at least ``least_px``."""
    if not mask.any():
        return mask
    count, labeled = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    core = opened(mask, max(least_px, round(radius_px)))
    kept = areas_of(labeled, count) >= _LEAST_THING_PX
    kept &= counts_in(labeled, core, count) > 0
    kept[0] = False
    return those_of(labeled, kept)


def _beside_mask(found: Mask, sample: Sample) -> Mask:
    """Return the strips of ``found`` (h, w) that lie mostly beside the subject's mask: in it, folds of the clothes may
    be at the place of a thing."""
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    kept = (counts_in(labeled, sample.subject_mask, count) <= _HALF * areas) & (areas >= _LEAST_STRIP_PX)
    kept[0] = False
    return those_of(labeled, kept)


def _filled(mask: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the mask with its smaller holes filled: an object is never kept only partly.

    The subject is visible through a bag's handle, but a hole no larger than ``painted_px`` is a pattern.
    """
    count, labeled, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    is_hole = stats[:count, cv2.CC_STAT_AREA] <= _LARGEST_HOLE_PX
    x0, y0 = stats[:count, cv2.CC_STAT_LEFT], stats[:count, cv2.CC_STAT_TOP]
    x1, y1 = x0 + stats[:count, cv2.CC_STAT_WIDTH], y0 + stats[:count, cv2.CC_STAT_HEIGHT]
    is_hole &= (x0 > 0) & (y0 > 0) & (x1 < mask.shape[1]) & (y1 < mask.shape[0])
    shows_subject = counts_in(labeled, surely_subject, count) >= _HALF * stats[:count, cv2.CC_STAT_AREA]
    is_hole &= ~shows_subject | (stats[:count, cv2.CC_STAT_AREA] <= painted_px)
    return mask | those_of(labeled, is_hole)


def _on_trunk(loose: Mask, in_place: Mask, sample: Sample) -> Mask:
    """Return the components of ``loose`` (h, w) that the trunk carries: near it, a good part of them where something
    usually is."""
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    kept = counts_in(labeled, in_place, count) >= _HALF * areas
    kept &= counts_in(labeled, sample.distances[TORSO] < _ON_TRUNK_BH, count) >= _HALF * areas
    kept[0] = False
    return those_of(labeled, kept)


def _worn(loose: Mask, sample: Sample, like_head: Mask, like_others: Mask) -> Mask:
    """Return the objects that lie mostly on the subject's head: a cap has none of the subject's colors and is still
    theirs. Hair (``like_head``) reaches farther.

    An object mostly in the colors of other people (``like_others``) is somebody behind the subject.
    """
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    near = sample.distances[HEAD] < np.where(like_head, np.float32(_LONG_HAIR_BH), np.float32(CAP_BH))
    on_head = counts_in(labeled, near, count)
    areas = areas_of(labeled, count)
    is_worn = on_head > _WORN_SHARE * areas
    is_worn &= counts_in(labeled, like_others, count) < _HALF * areas
    is_worn[0] = False
    return those_of(labeled, is_worn)
