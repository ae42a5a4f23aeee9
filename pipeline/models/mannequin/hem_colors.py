"""Skirts told from trousers by stance and color: a detected mask is often closed between the legs of trousers too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import JOINT
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.reference import ReferenceView

_ASLANT = np.tan(np.radians(25))
"""Largest slope of a thigh or shin of somebody who stands: legs that cross or bend hide the gap between them."""
_LEGS = 0.33
"""Least height from ankle to hip: somebody who sits facing the camera has straight legs too. Standing heights."""
_FEET_LEVEL = 0.06
"""Largest difference of the ankles' heights, standing heights."""
_CLOTH = (0.06, 0.28)
"""Where between hips and ankles the cloth is looked at, as fractions."""
_AROUND = 0.025
"""Distance from the leg's line within which colors are looked at, standing heights."""
_BARE_ROWS = 0.02
"""Height of bare rows that end a cloth: a fold in the light is lower. Standing heights."""
_NEARER = 0.7
"""Ratio of a row's distance to the skin's color over that to the cloth's below which it is bare."""
_ABOVE = (0.6, 0.9)
"""Where over a hem its cloth is looked at, fractions of its length."""
_HIGHER = (0.3, 0.55)
"""The same where something that is in front of the legs, as a ball, covers that, and throws its shadow below."""
_UNDER = (0.012, 0.05)
"""Rows under a hem where legs are looked at, standing heights."""
_ALIKE = 0.3
"""Largest distance of colors of one cloth: root mean square of the differences of log channels."""
_ALIKE_IN_SHADE = 0.45
_THIGHS, _SLIM = 0.22, 0.12
"""Width beyond the distance of the legs' lines that legs in trousers have at most, at the hips and from the knees on;
standing heights."""
_FLOOR = 0.01
"""Linear light below which colors are equally dark."""


def stands(reference: ReferenceView) -> bool:
    """Return whether both legs are about straight and both feet about level."""
    legs = reference.joints[
        [[JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")] for side in ("left", "right")], :2
    ]
    if not np.isfinite(legs).all():
        return False
    step = np.diff(legs, axis=1)
    upright = np.abs(step[..., 0]) < _ASLANT * step[..., 1]
    long = legs[:, 2, 1] - legs[:, 0, 1] > _LEGS * reference.height_px
    level = abs(legs[0, 2, 1] - legs[1, 2, 1]) < _FEET_LEVEL * reference.height_px
    return bool(upright.all() and long.all() and level)


def first_bare_row(reference: ReferenceView, rows: NDArray[np.int64], low: Float64Array, high: Float64Array) -> int:
    """Return the first of ``rows`` (n,) from which on the legs show skin; n where they do not.

    ``low`` and ``high`` (n,) are the x of the legs' lines, px. Without a face nothing is known of the skin.
    """
    skin = skin_color(reference)
    if skin is None:
        return len(rows)
    colors = _row_colors(reference, rows, low, high)
    cloth = _cloth(colors, _CLOTH)
    is_bare = _apart(colors, skin) < _NEARER * _apart(colors, cloth)
    run = max(2, round(_BARE_ROWS * reference.height_px))
    # A row counts when all of the next ones are bare as well.
    lasting = np.convolve(is_bare, np.ones(run), mode="full")[run - 1 :] >= run
    found = np.flatnonzero(lasting[: len(rows)])
    return int(found[0]) if len(found) else len(rows)


def are_trousers(
    reference: ReferenceView,
    rows: Float64Array,
    low: Float64Array,
    high: Float64Array,
    left: Float64Array,
    right: Float64Array,
) -> bool:
    """Return whether a cloth that ends at the last of ``rows`` (n,) is the upper part of trousers.

    These go on below in the same color, and are no wider than legs. ``low`` to ``right`` (n,) as for ``Hanging``.
    """
    height = reference.height_px
    hips, knees = (
        float(reference.joints[[JOINT[f"left_{part}"], JOINT[f"right_{part}"]], 1].mean()) for part in ("hip", "knee")
    )
    most = float(np.interp(rows[-1], [hips, knees], [_THIGHS, _SLIM])) * height
    # What is held beside one leg widens the outline on its side only.
    if 2 * float(min((low - left)[-1], (right - high)[-1])) > most:
        return False
    first, last = (round(rows[-1] + share * height) for share in _UNDER)
    below = np.arange(first, min(last, len(reference.mask)))
    if last >= reference.joints[[JOINT["left_ankle"], JOINT["right_ankle"]], 1].min() or not len(below):
        return False
    under = _row_colors(reference, below, *(np.full(len(below), edge[-1]) for edge in (low, high)))
    colors = _row_colors(reference, rows.astype(np.int64), low, high)
    # Not higher: a top that is worn outside covers the hips.
    above = np.stack([_cloth(colors, part) for part in (_ABOVE, _HIGHER)])
    return bool((_apart(above, np.median(under, axis=0)) < [_ALIKE, _ALIKE_IN_SHADE]).any())


def _cloth(colors: NDArray[np.float32], part: tuple[float, float]) -> NDArray[np.float32]:
    """(3,) the median color of a part, in fractions, of a cloth's rows (n, 3)."""
    first, last = (round(share * len(colors)) for share in part)
    return np.median(colors[first : max(last, first + 1)], axis=0)


def _row_colors(
    reference: ReferenceView, rows: NDArray[np.int64], low: Float64Array, high: Float64Array
) -> NDArray[np.float32]:
    """(n, 3) median linear color about both legs' lines in each row."""
    reach = max(1, round(_AROUND * reference.height_px))
    width = reference.mask.shape[1]
    out = np.zeros((len(rows), 3), np.float32)
    for n, row in enumerate(rows):
        columns = np.concatenate([np.arange(round(x) - reach, round(x) + reach + 1) for x in (low[n], high[n])])
        line = reference.colors[row, np.clip(columns, 0, width - 1)]
        out[n] = np.median(line, axis=0)
    return out


def _apart(colors: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) root mean square of the differences of log channels between (n, 3) and (3,)."""
    logs = np.log(np.maximum(colors, _FLOOR)) - np.log(np.maximum(other, _FLOOR))
    return np.asarray(np.sqrt((logs**2).mean(1)))
