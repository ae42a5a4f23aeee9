"""The standing height of somebody who sits in a reference picture, facing the camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.joints import JOINT
from pipeline.models.mannequin.reference import ReferenceView

_FORESHORTENED = 0.7
"""Ratio of both thighs' length in the picture to their shins' below which they point to the camera."""


def sits(reference: ReferenceView) -> bool:
    """Return whether both thighs of a whole person point to the camera."""
    if reference.view != "front" or not reference.is_whole:
        return False
    thighs, shins = _lengths(reference)
    return bool((thighs < _FORESHORTENED * shins).all())


def with_standing_height(reference: ReferenceView) -> ReferenceView:
    """Return the view with the height that a person who sits has standing, or unchanged.

    Otherwise they would be taken for a child, whose head is as large. A thigh is about as long as a shin.
    """
    if not sits(reference):
        return reference
    thighs, shins = _lengths(reference)
    return replace(reference, height_px=reference.height_px + float((shins - thighs).mean()))


def _lengths(reference: ReferenceView) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides' (2,) lengths of thighs and shins in the picture, px; NaN where a joint is unknown."""
    legs = reference.joints[
        [[JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")] for side in ("left", "right")], :2
    ]
    lengths = np.linalg.norm(np.diff(legs, axis=1), axis=2)
    return lengths[:, 0], lengths[:, 1]
