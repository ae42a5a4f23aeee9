"""Where neither the background nor the subject's own colors explain a frame."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.regions import areas_of, boxes_of, counts_in, those_of
from pipeline.scene.broad_things import broad_things
from pipeline.scene.displaced import displaced_background
from pipeline.scene.frame_evidence import FrameEvidence
from pipeline.scene.held import GAP_PX, LEAST_AREA_PX, closed
from pipeline.scene.held_places import placed_things
from pipeline.scene.known_things import gathered, known_things
from pipeline.scene.samples import UNLIKELY, Sample
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.views import Shown

_ODDS = 2.0
"""Least log odds of a color for a foreign object against the subject."""
_TELLING_ODDS = 10.0
"""Least odds of a color for a foreign object where a difference from the plate says little: in the shadow at the feet,
and where the plate is wrong."""
_CONTINUED_SHARE = 0.3
"""Fraction of an object that must be seen where a difference does say something."""
_LARGEST_HOLE_PX = 2700
"""At ``WORK_BODY_PX``: the face of a racket, not the loop of an arm around the waist."""
_PAINTED = 0.0018
"""Square body heights: smaller holes in an object are its pattern, even in the subject's colors; larger ones may show
the subject through it."""
_HALF = 0.5


def unexplained_pixels(evidence: FrameEvidence, sample: Sample, row: SceneRow) -> Mask:
    """Return the pixels (h, w) that neither the background nor the subject's own colors explain."""
    surely_subject = (evidence.odds < -np.log(_ODDS)) & (evidence.likelihood > UNLIKELY)
    # In front of what the plate never saw, only a color that the subject does not have there tells an object.
    sure = (evidence.odds > np.log(_ODDS)) & evidence.differs & (sample.view.known | (evidence.likelihood < UNLIKELY))
    painted_px = _PAINTED * sample.body.height_px**2
    likely = (evidence.odds > 0) & evidence.differs
    is_other = sample.view.shown == Shown.OTHER
    likely |= _continued(likely, (evidence.odds > np.log(_TELLING_ODDS)) & evidence.doubtful & is_other)
    found = _coherent(likely, sure, sure & evidence.in_hand, surely_subject, painted_px)
    known = known_things(found, evidence.in_hand) | placed_things(found, evidence.there)
    known |= broad_things(found, evidence, sample, row)
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


def _coherent(likely: Mask, sure: Mask, in_hand: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the components of ``likely`` that contain enough of ``sure``, with their small holes filled; of colors
    known to be ``in_hand`` less is enough."""
    count, labeled = cv2.connectedComponents(likely.view(np.uint8), connectivity=8)
    kept = counts_in(labeled, sure, count) >= LEAST_AREA_PX
    kept |= counts_in(labeled, gathered(in_hand), count) > 0
    kept[0] = False
    return _filled(closed(those_of(labeled, kept), GAP_PX), surely_subject, painted_px)


def _filled(mask: Mask, surely_subject: Mask, painted_px: float) -> Mask:
    """Return the mask with its smaller holes filled: an object is never kept only partly.

    The subject is visible through a bag's handle, but a hole no larger than ``painted_px`` is a pattern.
    """
    # What reaches the edge of a box around it is no hole in it.
    x0, y0, x1, y1 = clipped(grown(box_of_mask(mask), 1), (mask.shape[1], mask.shape[0]))
    area = np.s_[y0:y1, x0:x1]
    count, labeled = cv2.connectedComponents((~mask[area]).view(np.uint8), connectivity=4)
    areas, boxes = areas_of(labeled, count), boxes_of(labeled, count)
    is_hole = (areas <= _LARGEST_HOLE_PX) & (boxes[:, :2] > 0).all(axis=1)
    is_hole &= (boxes[:, 2:] < (x1 - x0, y1 - y0)).all(axis=1)
    shows_subject = counts_in(labeled, surely_subject[area], count) >= _HALF * areas
    is_hole &= ~shows_subject | (areas <= painted_px)
    holes = those_of(labeled, is_hole)
    # Between the tubes of a bicycle a leg is seen beside the background.
    count, labeled = cv2.connectedComponents((holes & surely_subject[area]).view(np.uint8), connectivity=4)
    is_limb = areas_of(labeled, count) > painted_px
    is_limb[0] = False
    filled = mask.copy()
    filled[area] |= holes & ~those_of(labeled, is_limb)
    return filled
