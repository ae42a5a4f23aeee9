"""Label each pixel around the subject in one frame: the subject, or something that stays."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.scene.color_edges import others_beside, settle_edges
from pipeline.scene.frame_evidence import FrameEvidence, frame_evidence
from pipeline.scene.front_edges import front_to_edges, stands_out
from pipeline.scene.hands_at_things import hands_at_things
from pipeline.scene.missed import missed_parts
from pipeline.scene.own_parts import OwnParts, own_parts
from pipeline.scene.samples import COMMON, FEET, UNLIKELY, Sample
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.shafts import Shaft, aimed, shaft_pixels
from pipeline.scene.things import Things, large, things_in
from pipeline.scene.touching import edges_of_others, own_under_others, without_small_holes
from pipeline.scene.unexplained import unexplained_pixels
from pipeline.scene.unfound import joined_to_unfound
from pipeline.scene.views import Shown

_PERSON_BH = 0.008
"""Least radius of a part of somebody without a mask."""
_CORE_BH = 0.005
_EDGE_PX = 2


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
    near: tuple[Mask, Mask] | None = None,
    shafts: Sequence[tuple[Shaft, float]] = (),
) -> NDArray[np.uint8]:
    """Return (h, w) of ``Label``. ``places`` are the model's masks in the frame's view.

    ``is_completed``: parts of the subject that the mask misses are searched for beside it. ``may_meet``: others may be
    close to the subject without a mask, and are recognized by their colors. ``near``, twice (h, w): where something is
    seen in front of the subject that moves against the plate, and where that is certain. ``shafts``: those to look for,
    see ``ShaftTracks.expected``.
    """
    front, wrong = places
    evidence = frame_evidence(sample, row, wrong, may_meet)
    parts = own_parts(unexplained_pixels(evidence, sample, row), evidence, sample, row)
    people = _people(evidence, sample, parts.rest)
    things = things_in(parts, people, evidence, sample, row)
    labels = _labeled(parts, people, things, evidence, sample)
    kept = (labels == Label.CARRIED) | (labels == Label.THING)
    for expected in shafts:
        shaft = aimed(*expected, kept, sample)
        if shaft is not None:
            labels[shaft_pixels(*shaft, sample)] = Label.CARRIED
    labels[_in_front(labels, front, near, evidence, sample)] = Label.FRONT
    labels = settle_edges(labels, sample.view.picture, Label.SUBJECT)
    labels[_tightly_masked(labels, evidence, sample)] = Label.OTHERS
    if is_completed:
        labels[_missed(labels, evidence, sample, row)] = Label.SUBJECT
    others = labels == Label.OTHERS
    if others.any():
        labels[edges_of_others(others, labels == Label.SUBJECT, labels == Label.NOBODY, sample)] = Label.OTHERS
    return labels


def _people(evidence: FrameEvidence, sample: Sample, unexplained: Mask) -> Mask:
    """Return the other people: their masks without the subject, and pixels in their colors beside these."""
    if not (sample.others_mask.any() or evidence.unmasked.any()):
        return np.zeros(unexplained.shape, np.bool_)
    height = sample.body.height_px
    theirs = unexplained & (evidence.other_people >= evidence.foreign)
    people = sample.others_mask & ~own_under_others(sample, evidence.odds, evidence.alike)
    people |= theirs & evidence.near_others
    told = large(theirs & evidence.unmasked, _PERSON_BH * height, 1)
    people |= joined_to_unfound(told, evidence, sample)
    return without_small_holes(people, height)


def _labeled(
    parts: OwnParts, people: Mask, things: Things, evidence: FrameEvidence, sample: Sample
) -> NDArray[np.uint8]:
    """Return (h, w) of ``Label``, but for what stands in front: the subject, the objects around them, and the others
    (``people``, h, w)."""
    is_subject = _subject(evidence, sample, people, parts.own)
    labels = np.where(is_subject, np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY))
    labels[things.loose] = Label.THING
    labels[things.own] = Label.SUBJECT
    labels[things.carried] = Label.CARRIED
    # Its edge is mixed with a background that it may resemble.
    edge = grow(things.carried, _EDGE_PX) & (labels == Label.NOBODY)
    labels[edge & (sample.view.shown != Shown.PLATE) & sample.view.known] = Label.CARRIED
    # Until now they were part of what is joined to a hand.
    kept = (labels == Label.CARRIED) | (labels == Label.THING)
    labels[parts.fingers | hands_at_things(kept, parts.not_hands, sample)] = Label.SUBJECT
    labels[people] = Label.OTHERS
    return labels


def _subject(evidence: FrameEvidence, sample: Sample, people: Mask, beside_mask: Mask) -> Mask:
    """Return the subject's pixels; ``beside_mask`` are those found along the edge of the mask."""
    shown = sample.view.shown
    # At the feet a shadow is the ground's: dark shoes have its color.
    on_foot = sample.distances[FEET] <= sample.outside
    limbs = evidence.alike & (sample.outside < -_CORE_BH)
    limbs &= (shown == Shown.OTHER) | ((shown == Shown.SHADOW) & ~on_foot)
    return sample.subject_mask | (sample.others_mask & ~people) | ((limbs | beside_mask) & ~people)


def _in_front(
    labels: NDArray[np.uint8], places: Mask, near: tuple[Mask, Mask] | None, evidence: FrameEvidence, sample: Sample
) -> Mask:
    """Return where something in front of the subject shows, up to its edges (h, w); ``places`` (h, w) is where static
    objects are known to stand, and ``near`` that of ``labels_of``."""
    shown = sample.view.shown
    is_common = evidence.likelihood > COMMON
    # Edge pixels are mixed with what is behind them.
    front = grow(places & ((shown == Shown.PLATE) | (shown == Shown.UNKNOWN)), 1) & places
    if near is not None:
        front |= near[0] & (labels != Label.OTHERS) & (near[1] | stands_out(sample, is_common))
    subject = (labels == Label.SUBJECT) & ~front
    free = (labels == Label.NOBODY) & ~front
    return front | front_to_edges(front, subject, free, is_common, sample)


def _tightly_masked(labels: NDArray[np.uint8], evidence: FrameEvidence, sample: Sample) -> Mask:
    """Return the pixels (h, w) of others that their masks miss in favor of the subject's."""
    subject = (labels == Label.SUBJECT) & ~evidence.alike
    return others_beside(labels, subject, sample.view.picture, (Label.SUBJECT, Label.OTHERS), sample.body.height_px)


def _missed(labels: NDArray[np.uint8], evidence: FrameEvidence, sample: Sample, row: SceneRow) -> Mask:
    """Return the parts of the subject (h, w) that their mask misses."""
    # A limb that was not detected lies far from all others: there its color counts wherever on the body it was seen.
    like = np.maximum(evidence.likelihood, np.float32(0.3) * row.subject.max(axis=0)[sample.bins])
    like_subject = (like > UNLIKELY) & (like > evidence.other_people)
    apart = (labels == Label.THING) | (labels == Label.OTHERS)
    subject, free, front = (labels == label for label in (Label.SUBJECT, Label.NOBODY, Label.FRONT))
    return missed_parts(subject, free, apart, front, like_subject, sample)
