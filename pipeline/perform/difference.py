"""Parts of a generated person that a detector's mask lacks: hands, hair and feet, where the picture differs from the
plate."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.masks import grow_round, resized_mask

_REACH_BH = 0.04
"""Farthest from the detector's mask, body heights; the figure's silhouette is searched as a whole."""
_AWAY_BH = 0.12
"""Distance from mask and silhouette beyond which the generated picture is the plate, body heights."""
_LEAST_WIDTH_BH = 0.012
"""Narrowest part that is added, body heights: colors smeared over the mask's border are narrower."""
_LEAST_DIFFERENCE = 18.0
"""RGB distance, of 255 levels."""
_USUAL_ERROR = 0.95
_LARGE_ERROR = 1.5
"""A difference must be so many times this quantile of the autoencoder's own errors."""
_IN_SILHOUETTE = 0.6
"""Fraction of the difference that suffices where the figure is, and the new person is therefore likely."""


def with_difference(
    mask: Mask, silhouette: Mask, picture: Picture, plate: Picture, body_height_px: float, ground_y: float
) -> Mask:
    """Return a detector's mask (h, w) with the parts attached to it in which the picture (h, w, 3) is not the plate.

    The plate is known, but an autoencoder has rendered it: by how much the picture departs from it is measured away
    from the person, and more is expected where the plate has detail. In the figure's ``silhouette`` (h, w) less is
    needed, and below ``ground_y`` px nothing is added outside it: there it is a shadow. Everything is compared at half
    the size.
    """
    height, width = mask.shape
    size_wh = (max(1, width // 2), max(1, height // 2))
    inside, figure = resized_mask(mask, size_wh), resized_mask(silhouette, size_wh)
    now, before = (cv2.resize(p, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32) for p in (picture, plate))
    unit_px = body_height_px / 2
    searched = (grow_round(inside, max(1.0, _REACH_BH * unit_px)) | figure) & ~inside
    away = ~grow_round(inside | figure, max(2.0, _AWAY_BH * unit_px))
    if not (searched.any() and inside.any() and away.any()):
        return mask
    expected = 1 + _detail(before)
    distance = np.sqrt(np.square(now - before).sum(axis=2))
    error = _LARGE_ERROR * float(np.quantile(distance[away] / expected[away], _USUAL_ERROR))
    needed = np.maximum(_LEAST_DIFFERENCE, error * expected) * np.where(figure, np.float32(_IN_SILHOUETTE), 1)
    differs = searched & (distance > needed)
    ground = np.s_[int(np.clip(ground_y / 2, 0, size_wh[1])) :]
    differs[ground] &= figure[ground]
    side = 2 * max(1, round(_LEAST_WIDTH_BH * unit_px / 2)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    wide = cv2.morphologyEx(differs.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
    _, labels = cv2.connectedComponents((wide | inside).astype(np.uint8), connectivity=8)
    attached = np.zeros(int(labels.max()) + 1, np.bool_)
    attached[labels[inside]] = True
    return mask | resized_mask(attached[labels], (width, height))


def _detail(plate: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w) strength of edges and texture, levels."""
    gray = cv2.cvtColor(plate, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.blur(np.abs(gray - cv2.blur(gray, (3, 3))), (5, 5)), np.float32)
