"""Where a picture shows bare arms: by the light-free difference of colors from the face's skin and the top's cloth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.arms_before_body import find_lower_arms
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.unclear_body import apart_as_materials, usual_color

_CHEST = (0.3, 0.7)
"""Rows in which a top's cloth is looked at, from the shoulders (0) to the hips (1)."""
_LEAST_PIXELS = 100
_AT_SHOULDER, _ABOVE_ELBOW = 0.25, 0.85
"""Fractions of an upper arm: what straps and wide collars leave bare, and what short sleeves do."""
_REACH = 0.012
"""Half width looked at there, standing heights."""
_LEAST_SPOT = 9
_BARE = 0.7
"""Largest ratio of the difference from skin to that from the cloth (.2 to .66 in eight photographs, .93 and more where
sleeves are worn)."""
_LIKE_SKIN = 0.5
"""Largest difference of bare shoulders from a face: that of fair hair over them, or of background, is larger."""


def bares_upper_arms(reference: ReferenceView) -> bool:
    """Return whether an arm above the elbow shows skin: what sleeves are told by where forearms are not read."""
    return any(ratio < _BARE for ratio, _ in _compared(reference, _ABOVE_ELBOW))


def bares_shoulders(reference: ReferenceView) -> bool:
    """Return whether an upper arm shows skin right below the shoulder."""
    return any(ratio < _BARE and away < _LIKE_SKIN for ratio, away in _compared(reference, _AT_SHOULDER))


def cloth_between(reference: ReferenceView, first: float, last: float) -> NDArray[np.float32] | None:
    """Return the usual linear color (3,) of the trunk between two rows, beside forearms and hands; None where too
    little of it is shown."""
    left, right = sorted(float(reference.skeleton[row, 0]) for row in SHOULDERS)
    if not np.isfinite([first, last, left, right]).all():
        return None
    area = slice(max(int(first), 0), max(int(last), 0)), slice(max(int(left), 0), max(int(right), 0) + 1)
    own = reference.mask[area] & ~find_lower_arms(reference).area[area]
    colors = reference.colors[area][own]
    return usual_color(colors) if len(colors) >= _LEAST_PIXELS else None


def cloth_of_chest(reference: ReferenceView) -> NDArray[np.float32] | None:
    """Return the usual linear color (3,) of the top; None where too little of it is shown."""
    shoulders, hips = (float(reference.skeleton[rows, 1].mean()) for rows in (SHOULDERS, HIPS))
    first, last = (shoulders + share * (hips - shoulders) for share in _CHEST)
    return cloth_between(reference, first, last)


def _compared(reference: ReferenceView, place: float) -> list[tuple[float, float]]:
    """Return for each upper arm that is shown the ratio of its differences from skin and from cloth, and the former."""
    skin, cloth = skin_color(reference), cloth_of_chest(reference)
    if skin is None or cloth is None:
        return []
    out = []
    reach = max(1, round(_REACH * reference.height_px))
    for side in ("left", "right"):
        shoulder, elbow = (reference.skeleton[JOINT[f"{side}_{part}"], :2] for part in ("shoulder", "elbow"))
        if not np.isfinite([shoulder, elbow]).all():
            continue
        x, y = np.rint(shoulder + place * (elbow - shoulder)).astype(int)
        area = tuple(slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (y, x))
        spot = reference.colors[area][reference.mask[area]]
        if len(spot) >= _LEAST_SPOT:
            color = np.median(spot, axis=0)
            away = apart_as_materials(color, skin)
            out.append((away / max(apart_as_materials(color, cloth), 1e-6), away))
    return out
