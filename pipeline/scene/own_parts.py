"""What is the subject's own among the pixels that neither the background nor their colors explain.

Hair, shoes, hands and blurred edges have colors that the subject's parts do not have, as objects do: their places and
shapes tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, part_of
from pipeline.scene.bare_hands import bare_hands, open_hands
from pipeline.scene.broad_things import broad_things
from pipeline.scene.displaced import displaced_parts
from pipeline.scene.edges import blurred_outline, rims_of_limbs, subject_shoes
from pipeline.scene.frame_evidence import FrameEvidence
from pipeline.scene.guessed_arms import guessed_arms
from pipeline.scene.hair import hair
from pipeline.scene.held_places import placed_things
from pipeline.scene.known_things import known_things
from pipeline.scene.mixed_edges import mixed_edges
from pipeline.scene.samples import UNLIKELY, Sample
from pipeline.scene.scene_model import SceneRow

_ROOM_BH = 0.1
"""Twice the reach of the edges of the mask (``mixed_edges``), which look at the mask as far beyond their own end."""


@dataclass(frozen=True, slots=True, eq=False)
class OwnParts:
    """The unexplained pixels of one frame, divided into the subject's own and the rest; all (h, w) of the view."""

    own: Mask
    """Hair, shoes, hands and edges of the subject."""
    fingers: Mask
    """Of open hands; the rest still has them, as objects are found by what joins them to a hand."""
    rest: Mask
    """What is left to explain."""
    known: Mask
    """What is known over time to be an object, by its colors or its place."""
    in_place: Mask
    """What is known by its place, or as a part of something broad."""
    not_hands: Mask
    """Where an object is known to be: no finger is there, whatever its colors."""
    like_others: Mask
    """In the colors of other people."""


def own_parts(unexplained: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow) -> OwnParts:
    """Tell the subject's own among the ``unexplained`` pixels (h, w) of a frame from the rest.

    They are few, and nothing farther from them than ``_ROOM_BH`` counts: only the box around them is looked at.
    """
    box = _room_around(unexplained, sample)
    near, around = evidence.within(box), sample.within(box)
    are_places_known = bool(evidence.there.any())
    parts = _parts_of(part_of(unexplained, box), near, around, row, are_places_known=are_places_known)
    x0, y0, x1, y1 = box
    whole = {each.name: np.zeros(unexplained.shape, np.bool_) for each in fields(parts)}
    for name, mask in whole.items():
        mask[y0:y1, x0:x1] = getattr(parts, name)
    found = OwnParts(**whole)
    return replace(found, not_hands=evidence.there) if are_places_known else found


def _room_around(unexplained: Mask, sample: Sample) -> Box:
    """Return the box of what has to be looked at."""
    height, width = unexplained.shape
    if sample.body.are_arms_guessed:
        # The skin of the face tells theirs.
        return 0, 0, width, height
    return clipped(grown(box_of_mask(unexplained), round(_ROOM_BH * sample.body.height_px) + 2), (width, height))


def _parts_of(
    unexplained: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow, *, are_places_known: bool
) -> OwnParts:
    of_known_color = known_things(unexplained, evidence.in_hand)
    own_hair = hair(unexplained & ~evidence.near_others & ~of_known_color, evidence.worn, sample, row)
    rest = unexplained & ~own_hair
    in_place = placed_things(rest, evidence.there) | broad_things(rest, evidence, sample, row)
    known = of_known_color | in_place
    like_others = (evidence.other_people > UNLIKELY) & (evidence.other_people >= evidence.foreign)
    edges, rest = _edges(rest, known, like_others, evidence, sample, row)
    # A free hand is often where the thing in the other one is.
    hands = bare_hands(rest, sample) & ~of_known_color
    # A thing whose place is known is only there, whatever colors it has.
    not_hands = evidence.there if are_places_known else of_known_color
    fingers = open_hands(rest, not_hands, sample)
    hands |= guessed_arms(rest, sample, row)
    return OwnParts(own_hair | edges | hands, fingers, rest & ~hands, known, in_place, not_hands, like_others)


def _edges(
    unexplained: Mask, known: Mask, like_others: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow
) -> tuple[Mask, Mask]:
    """Return what the subject's mask misses along its edge, and the ``unexplained`` pixels without all edges; both
    (h, w)."""
    shoes = subject_shoes(sample, unexplained, row)
    outline = blurred_outline(sample, unexplained, like_others, evidence.unmasked) & ~known
    rest = unexplained & ~shoes & ~outline
    # Where the mask is wide enough, they are already in it.
    rims = rims_of_limbs(rest, sample, like_others) & ~known
    rest &= ~displaced_parts(rest, sample) | known
    mixed = mixed_edges(rest, sample.subject_mask & evidence.alike, sample) & ~known
    return shoes | outline | mixed, rest & ~rims & ~mixed
