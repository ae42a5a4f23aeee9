"""What is known over time to be a held object: no rule about the shapes in one frame takes it for the subject's."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, those_of
from pipeline.scene.colors import FLOOR
from pipeline.scene.hand_colors import REACH_BH
from pipeline.scene.samples import Sample, hand_distances
from pipeline.scene.scene_model import SceneRow

LEAST_IN_HAND = 5 * FLOOR
"""Probability of a color on the thing above which it is one of its colors."""
LEAST_IN_HAND_PX = 16
"""At ``WORK_BODY_PX``: a finger's width of it."""
_EDGE_PX = 2
"""The edge of an object is mixed with what is behind it."""


def colors_at_hands(sample: Sample, row: SceneRow) -> Float32Array:
    """Return (h, w): how probable a pixel's color is on the small thing in a hand; 0 out of the hands' reach."""
    if not len(sample.body.hands) or not row.in_hand.any():
        return np.zeros(sample.outside.shape, np.float32)
    near = hand_distances(sample).min(axis=0) < REACH_BH * sample.body.height_px
    return np.where(near, row.in_hand[sample.bins], np.float32(0))


def known_things(unexplained: Mask, in_hand: Mask) -> Mask:
    """Return the ``unexplained`` pixels (h, w) of what is known to be held, with the edges of it.

    A stick along an arm has the shape of a blurred edge, a phone that of a hand; their colors (``in_hand``) were seen
    where neither could be.
    """
    known = in_hand & unexplained
    if not known.any():
        return known
    count, labeled = cv2.connectedComponents(known.view(np.uint8), connectivity=8)
    kept = areas_of(labeled, count) >= LEAST_IN_HAND_PX
    kept[0] = False
    return grow(those_of(labeled, kept), _EDGE_PX) & unexplained
