"""Arms whose shoulders the picture's upper edge cuts off: where they hang is a guess, so the mask tells what they are.

Forearms and hands that come in from above lie beside the guessed limbs. They were never seen on an arm, so that their
colors are nobody's, and they move with a hand: by the rules for the whole body they would be carried.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.regions import areas_of, counts_in, those_of
from pipeline.scene.bare_hands import own_skin
from pipeline.scene.samples import UNLIKELY, Sample
from pipeline.scene.scene_model import SceneRow

_OWN_SHARE = 0.5
"""Fraction of an unexplained region that has to be skin or clothes in the mask: a racket with the hand that holds it is
less."""


def guessed_arms(unexplained: Mask, sample: Sample, row: SceneRow) -> Mask:
    """Return the unexplained pixels (h, w) that are arms coming in from above the picture: in the mask of the model,
    with skin or the colors of any of the subject's clothes."""
    if not sample.body.are_arms_guessed or not unexplained.any():
        return np.zeros(unexplained.shape, np.bool_)
    like = row.subject.max(axis=0)[sample.bins] > UNLIKELY
    own = unexplained & sample.subject_mask & (like | own_skin(sample))
    count, labeled = cv2.connectedComponents(unexplained.view(np.uint8), connectivity=4)
    is_own = counts_in(labeled, own, count) > _OWN_SHARE * areas_of(labeled, count)
    is_own[0] = False
    return own | those_of(labeled, is_own)
