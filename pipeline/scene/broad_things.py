"""Parts of something broad at trunk or head: a case on the back is a strip beside them, as a blurred edge is."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow
from pipeline.maths.regions import areas_of, counts_in, sums_in, those_of
from pipeline.scene.body import HEAD, TORSO
from pipeline.scene.frame_evidence import FrameEvidence
from pipeline.scene.held import LEAST_AREA_PX
from pipeline.scene.samples import UNLIKELY, Sample, opened
from pipeline.scene.scene_model import SceneRow

_LEAST_BREADTH_BH = 0.042
"""Of foreign objects (``SceneRow.breadth_bh``). What is taken for objects in clips without any has 0.01 to 0.03,
and 0.05 where somebody else moves beside the subject."""
_MAIN_COLOR = 0.01
"""Frequency of a color in foreign objects from which it may be one of their main colors."""
_MEAN_FREQUENCY = 0.025
"""Over a part of such an object."""
_NEAR_BH = 0.15
_HALF = 0.5
_OTHERS_SHARE = 0.2
_PLACE_SHARE = 0.1
"""Mean share of the frames in which something is seen there, relative to trunk or hands. At the head no shares are
known, as hats and hair stay there, too: their colors tell them apart."""
_CARRIED_SHARE = 0.5
"""Largest such share of something carried; background that is taken for objects stays below 0.35."""
_CORE_PX = 1
_EDGE_PX = 2
"""The edge of an object is mixed with what is behind it."""


def broad_things(unexplained: Mask, evidence: FrameEvidence, sample: Sample, row: SceneRow) -> Mask:
    """Return the ``unexplained`` pixels (h, w) at the trunk or the head in the main colors of something broad that is
    carried in many frames, unless other people have these colors."""
    if row.breadth_bh < _LEAST_BREADTH_BH or row.held.max() < _CARRIED_SHARE:
        return np.zeros(unexplained.shape, np.bool_)
    core = opened(unexplained & (evidence.foreign > _MAIN_COLOR) & (evidence.likelihood < UNLIKELY), _CORE_PX)
    count, labeled = cv2.connectedComponents(core.view(np.uint8), connectivity=8)
    areas = areas_of(labeled, count)
    kept = (areas >= LEAST_AREA_PX) & (sums_in(labeled, evidence.foreign, count) >= _MEAN_FREQUENCY * areas)
    at_head = sample.distances[HEAD] < _NEAR_BH
    kept &= counts_in(labeled, at_head | (sample.distances[TORSO] < _NEAR_BH), count) >= _HALF * areas
    kept &= counts_in(labeled, row.others[sample.bins] > UNLIKELY, count) < _OTHERS_SHARE * areas
    is_there = sums_in(labeled, evidence.place_share, count) >= _PLACE_SHARE * areas
    kept &= is_there | (counts_in(labeled, at_head, count) >= _HALF * areas)
    kept[0] = False
    return grow(those_of(labeled, kept), _EDGE_PX) & unexplained
