"""What is known over time to be a held object: no rule about the shapes in one frame takes it for the subject's."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import clipped
from pipeline.maths.channels import distances_to
from pipeline.maths.masks import grow
from pipeline.maths.regions import counts_in, those_of
from pipeline.scene.colors import FLOOR
from pipeline.scene.hand_colors import REACH_BH
from pipeline.scene.samples import Sample
from pipeline.scene.scene_model import SceneRow

LEAST_IN_HAND = 5 * FLOOR
"""Probability of a color on the thing above which it is one of its colors."""
LEAST_IN_HAND_PX = 12
"""At ``WORK_BODY_PX``: a finger's width of it."""
_FINGER_PX = 3
"""Half of the gap that fingers leave in a thing."""
_EDGE_PX = 2
"""The edge of an object is mixed with what is behind it."""


def colors_at_hands(sample: Sample, row: SceneRow) -> Float32Array:
    """Return (h, w): how probable a pixel's color is on the small thing in a hand; 0 out of the hands' reach."""
    height, width = sample.outside.shape
    found = np.zeros((height, width), np.float32)
    if not row.in_hand.any():
        return found
    reach_px = REACH_BH * sample.body.height_px
    for x, y in sample.body.hands.tolist():
        within = int(x - reach_px), int(y - reach_px), int(x + reach_px) + 2, int(y + reach_px) + 2
        x0, y0, x1, y1 = clipped(within, (width, height))
        if x0 < x1 and y0 < y1:
            near = distances_to(x - x0, y - y0, y1 - y0, x1 - x0) < reach_px
            found[y0:y1, x0:x1][near] = row.in_hand[sample.bins[y0:y1, x0:x1][near]]
    return found


def known_things(unexplained: Mask, in_hand: Mask) -> Mask:
    """Return the ``unexplained`` pixels (h, w) of what is known to be held, with the edges of it.

    A stick along an arm has the shape of a blurred edge, a phone that of a hand; their colors (``in_hand``) were seen
    where neither could be.
    """
    return grow(gathered(in_hand & unexplained), _EDGE_PX) & unexplained


def gathered(in_hand: Mask) -> Mask:
    """Return those parts of ``in_hand`` (h, w) that are large enough, together with others that only a finger's width
    divides from them."""
    if not in_hand.any():
        return in_hand
    count, labeled = cv2.connectedComponents(grow(in_hand, _FINGER_PX).view(np.uint8), connectivity=8)
    kept = counts_in(labeled, in_hand, count) >= LEAST_IN_HAND_PX
    kept[0] = False
    return those_of(labeled, kept) & in_hand
