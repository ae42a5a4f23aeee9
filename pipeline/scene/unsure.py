"""Frames whose plate does not show what they show: in a fast pan, blurred by the motion, and registered roughly.

There a difference from the plate says nothing about objects: posters and windows beside the subject would become things
that stay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.scene.samples import Sample, surroundings
from pipeline.scene.views import Shown

_MOST_UNEXPLAINED = 0.01
"""Fraction of the free surroundings that differs from the plate. Measured on two whip pans: 0.01 to 0.14 within them
and where nothing in them has detail, 0 to 0.006 before and after."""
_LEAST_PX = 200


def with_unsure_plate(sample: Sample) -> Sample:
    """Return the sample of a frame in fast motion, with an unsure plate where it does not explain the surroundings."""
    free = surroundings(sample) & sample.view.known
    size = np.count_nonzero(free)
    unexplained = np.count_nonzero(free & (sample.view.shown == Shown.OTHER))
    return replace(sample, is_unsure=bool(size < _LEAST_PX or unexplained > _MOST_UNEXPLAINED * size))
