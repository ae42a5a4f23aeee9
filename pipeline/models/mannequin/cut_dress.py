"""A dress in a picture that ends above its hem: no trousers, but a skirt that ends below the knees."""

from __future__ import annotations

import numpy as np

from pipeline.joints import HIPS
from pipeline.models.mannequin.bare_arms import bares_shoulders, cloth_between, cloth_of_chest
from pipeline.models.mannequin.hair_region import find_hair
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.unclear_body import apart_as_materials

_LEAST_ROWS = 0.015
"""Height of the cloth that must be shown below the hips, standing heights."""
_SAME_CLOTH = 0.35
"""Largest difference, as materials, of one cloth from the chest to below the hips."""
_LONG_HAIR = 1.0
"""Lengths from eyes to chin below the eyes to which long hair hangs at one side at least."""


def continues_as_dress(reference: ReferenceView) -> bool:
    """Return whether a front view that ends below the hips shows a dress.

    Its cloth is the same over the chest and below the hips, its shoulders are bare, and its wearer has long hair: less
    could be a top and trousers in one color, or a sports kit.
    """
    if reference.view != "front" or not np.isfinite(reference.cut_row):
        return False
    hips = float(reference.skeleton[HIPS, 1].mean())
    if not reference.cut_row - hips > _LEAST_ROWS * reference.height_px:
        return False
    upper, lower = cloth_of_chest(reference), cloth_between(reference, hips, reference.cut_row)
    if upper is None or lower is None or apart_as_materials(upper, lower) > _SAME_CLOTH:
        return False
    hair = find_hair(reference)
    if hair is None or not max(hair.hems) > hair.middle[1] + _LONG_HAIR * hair.unit_px:
        return False
    return bares_shoulders(reference)
