"""What the colors and places of one frame say about whose each pixel around the subject is."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import Box, part_of
from pipeline.maths.masks import grow
from pipeline.scene.body import HEAD
from pipeline.scene.colors import FLOOR
from pipeline.scene.hair import worn_places
from pipeline.scene.held_places import placed
from pipeline.scene.known_things import LEAST_IN_HAND, colors_at_hands
from pipeline.scene.samples import UNLIKELY, Sample, likeness, on_ground
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.views import Shown

CAP_BH = 0.12
"""Distance from the surface of the head: hats and high hair."""
_ON_LIMB = np.float32(0.4)
"""Log odds that a pixel of the mask on a limb is the subject's, before its color is looked at."""
_OTHERS_REACH_BH = 0.05
_OFF_LIMBS_BH = 0.03
"""Mask pixels this far from every limb may belong to somebody whose own mask is lost."""
_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class FrameEvidence:
    """What the colors of one frame say about whose its pixels are; all (h, w) of the view."""

    likelihood: Float32Array
    """Of the colors on the subject."""
    foreign: Float32Array
    """Frequency of the colors in objects."""
    other_people: Float32Array
    """Frequency of the colors in other people, where they may be; else 0."""
    odds: Float32Array
    """Log odds of something foreign against the subject."""
    differs: Mask
    """Where neither the plate nor a shadow on it is shown."""
    doubtful: Mask
    """Where a difference from the plate says little: in the shadow at the feet, and where the plate is wrong or a
    guess."""
    near_others: Mask
    unmasked: Mask
    """Where others may be without a mask."""
    worn: Mask
    """Where something moves with the head."""
    in_hand: Mask
    """Colors that over time are those of a held object, where it may be."""
    there: Mask
    """Where over time something carried is, relative to the limbs."""
    place_share: Float32Array
    """In what share of the frames it is, of ``held_places.placed``; 0 where it is nowhere in half of them."""

    @property
    def alike(self) -> Mask:
        """The pixels (h, w) in the subject's colors."""
        return (self.odds < 0) & (self.likelihood > UNLIKELY)

    def within(self, box: Box) -> FrameEvidence:
        """Return the evidence in a box of its pixels."""
        return FrameEvidence(*(part_of(getattr(self, each.name), box) for each in fields(self)))


def frame_evidence(sample: Sample, row: SceneRow, wrong: Mask, may_meet: bool) -> FrameEvidence:
    """Compare the colors of a frame; ``wrong`` (h, w) is where the plate is not to be trusted, and others ``may_meet``
    the subject without a mask."""
    shown = sample.view.shown
    likelihood = likeness(sample, row.subject)
    near_others = grow(sample.others_mask, max(1, round(_OTHERS_REACH_BH * sample.body.height_px)))
    unmasked = may_meet & (sample.outside > np.where(sample.subject_mask, _OFF_LIMBS_BH, 0.0))
    # Hair that the mask contains is the subject's, however alike it is.
    unmasked &= ~(sample.subject_mask & (sample.distances[HEAD] < CAP_BH))
    worn = worn_places(row.worn, sample) & ~near_others
    unmasked &= ~worn
    may_be_others = near_others | unmasked
    other_people = np.zeros(shown.shape, np.float32)
    other_people[may_be_others] = row.others[sample.bins[may_be_others]]
    small = colors_at_hands(sample, row)
    foreign = np.maximum(row.foreign[sample.bins], small)
    odds = _log_odds(np.maximum(foreign, other_people), likelihood)
    odds = odds - np.where(sample.subject_mask & (sample.outside < 0), _ON_LIMB, np.float32(0))
    in_hand = small > np.maximum(LEAST_IN_HAND, _HALF * likelihood)
    of_thing = in_hand | row.is_held[sample.bins]
    # Less says nothing here, nor about something broad.
    is_carried = row.held.max() >= _HALF
    place_share = placed(row.held, sample) if is_carried else np.zeros(shown.shape, np.float32)
    there = place_share > _HALF
    in_masks = sample.subject_mask | sample.others_mask
    doubtful = on_ground(sample) | ((wrong | ~sample.view.known) & ~in_masks)
    if sample.is_unsure:
        # The mask is blurred, too: only what is always there is more than background.
        doubtful |= ~there
    # A black phone is black in front of a shaded wall, too.
    differs = ((shown == Shown.OTHER) | (shown == Shown.UNKNOWN) | ((shown == Shown.SHADOW) & in_hand)) & ~doubtful
    return FrameEvidence(
        likelihood,
        foreign,
        other_people,
        odds,
        differs,
        doubtful,
        near_others,
        unmasked,
        worn,
        of_thing,
        there,
        place_share,
    )


def _log_odds(foreign: Float32Array, subject: Float32Array) -> Float32Array:
    odds = np.log(np.maximum(foreign, FLOOR / 10)) - np.log(np.maximum(subject, FLOOR / 10))
    return cv2.blur(odds.astype(np.float32), (3, 3))
