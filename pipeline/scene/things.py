"""The objects around the subject in one frame: held, carried on the trunk, worn on the head, or on their own."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.body import HEAD, TORSO
from pipeline.scene.clinging import clinging
from pipeline.scene.displaced import folds_of_background
from pipeline.scene.frame_evidence import CAP_BH, FrameEvidence
from pipeline.scene.held import held_objects, other_ends
from pipeline.scene.held_places import whole_things
from pipeline.scene.never_seen import never_seen
from pipeline.scene.own_parts import OwnParts
from pipeline.scene.samples import UNLIKELY, Sample, opened
from pipeline.scene.scene_model import SceneRow

_LEAST_THING_PX = 200
"""Size of an object that nobody holds, at ``WORK_BODY_PX``: half a football."""
_LEAST_STRIP_PX = 80
"""Size of what an arm leaves visible of an object at its usual place; less is a blurred edge of the arm."""
_LONG_HAIR_BH = 0.2
_ON_TRUNK_BH = 0.15
"""A backpack or a bag at the hip; a dog on a leash is farther away."""
_WORN_SHARE = 0.9
"""Fraction of a cap's pixels that lie that near; an umbrella extends farther."""
_ADHERING_SHARE = 0.25
_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Things:
    """The objects of one frame; all (h, w) of the view. Where they overlap, the later field counts."""

    loose: Mask
    """Those that move on their own."""
    own: Mask
    """Those that are the subject's after all: parts of a hand, and what is worn on the head."""
    carried: Mask
    """Those that a hand or the trunk carries."""


def things_in(parts: OwnParts, people: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow) -> Things:
    """Return the objects among the rest of the ``parts``; ``people`` (h, w) are the others."""
    held, hand = _held(parts, people, evidence, sample)
    found = _loose(parts.rest & ~held & ~hand, parts.in_place, evidence, sample, row)
    worn = _worn(found, parts.known, evidence.worn, sample, row)
    loose = found & ~worn
    carried = held | _on_trunk(loose, parts.in_place, sample)
    return Things(loose, hand | (worn & ~people), whole_things(carried, evidence.there, evidence.alike | people))


def _held(parts: OwnParts, people: Mask, evidence: FrameEvidence, sample: Sample) -> tuple[Mask, Mask]:
    """Return what the hands hold, and what is the arm's own; both (h, w)."""
    held, hand = held_objects(parts.rest & ~people, sample, parts.known)
    clings = clinging(held, parts.known, parts.like_others, sample)
    held = held & ~clings
    return held | other_ends(held, evidence.odds, evidence.differs & ~people, sample), hand | clings


def _loose(free: Mask, in_place: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow) -> Mask:
    """Return the objects that no hand holds, among the ``free`` pixels (h, w)."""
    found = large(free, _HALF * row.breadth_bh * sample.body.height_px)
    # What lies where something is usually carried may be small: the strip of it that an arm leaves visible.
    found = found | _beside_mask(free & in_place, sample)
    found &= ~folds_of_background(found, sample) | in_place
    return found & (~never_seen(found, evidence.foreign, row.foreign.min()) | in_place)


def large(mask: Mask, radius_px: float, least_px: int = 3) -> Mask:
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
    if not found.any():
        return found
    count, labeled = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    kept = (counts_in(labeled, sample.subject_mask, count) <= _HALF * areas) & (areas >= _LEAST_STRIP_PX)
    kept[0] = False
    return those_of(labeled, kept)


def _on_trunk(loose: Mask, in_place: Mask, sample: Sample) -> Mask:
    """Return the components of ``loose`` (h, w) that the trunk carries: near it, a good part of them where something
    usually is."""
    if not loose.any():
        return loose
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    kept = counts_in(labeled, in_place, count) >= _HALF * areas
    kept &= counts_in(labeled, sample.distances[TORSO] < _ON_TRUNK_BH, count) >= _HALF * areas
    kept[0] = False
    return those_of(labeled, kept)


def _worn(loose: Mask, known: Mask, adheres: Mask, sample: Sample, row: SceneRow) -> Mask:
    """Return the objects that lie mostly on the subject's head: a cap has none of the subject's colors and is still
    theirs. Hair, in the colors of the head, reaches farther.

    An object mostly in the colors of other people is somebody behind the subject. ``adheres`` (h, w) is where something
    moves with the head over time: what is neither there nor in the mask stands up from the back, as a guitar's neck.
    ``known`` (h, w) is known to be an object: where it does not move with the head, it is held before it.
    """
    if not loose.any():
        return loose
    others = row.others[sample.bins]
    head = row.subject[HEAD][sample.bins]
    # A passer-by at the subject's head has colors that the others have.
    like_others = (others > UNLIKELY) & (others > head)
    count, labeled = cv2.connectedComponents(loose.view(np.uint8), connectivity=8)
    near = sample.distances[HEAD] < np.where(head > UNLIKELY, np.float32(_LONG_HAIR_BH), np.float32(CAP_BH))
    on_head = counts_in(labeled, near, count)
    areas = areas_of(labeled, count)
    is_worn = on_head > _WORN_SHARE * areas
    is_worn &= counts_in(labeled, like_others, count) < _HALF * areas
    is_worn &= counts_in(labeled, adheres | sample.subject_mask, count) >= _ADHERING_SHARE * areas
    moves_with_it = counts_in(labeled, adheres, count) >= _ADHERING_SHARE * areas
    is_worn &= moves_with_it | (counts_in(labeled, known, count) < _HALF * areas)
    is_worn[0] = False
    return those_of(labeled, is_worn)
