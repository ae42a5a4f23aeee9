"""Where a front view's face goes on around the sides of the head, which the view shows at a glance or not at all.

From where the view shows the skin at a good angle on, each row continues with the color there. Stretched pixels of
sideburns, of the shadow before an ear and of the ear itself would look like hair, or a second outline, from the side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from pipeline.maths.smoothing import smoothstep
from pipeline.models.mannequin.figure import LANDMARK, Figure
from pipeline.models.mannequin.hair_region import HairRegion, looks_like_hair
from pipeline.models.mannequin.skin_tone import looks_like_skin

_GLANCING, _FACING = 0.2, 0.5
"""Cosines to the camera: below the first skin is shown at a glance, from the second on well."""
_EAR = np.array([0.012, 0.026, 0.018])
"""Half size of the space around an ear: out, up, forward; standing heights."""
_SMOOTH = 0.004
"""Standard deviation of the border down the rows, standing heights."""
_LEAST_ROWS = 8
_BEHIND_EYES = 0.012
"""Depth behind the eyes from which skin is neither painted nor under glasses, standing heights."""


def read_within_face(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    facing: NDArray[np.float32],
    places_at_rest: NDArray[np.float32],
    figure: Figure,
    height_px: float,
) -> NDArray[np.float32]:
    """Return where samples (n, S) of the head's skin are read across the picture, px: within what it shows well.

    ``x``, ``y`` are the samples' places in the picture, ``facing`` their cosine to the camera, ``places_at_rest``
    (n, S, 3) their places on the figure at rest.
    """
    beside_ears = np.zeros(x.shape, bool)
    for side in ("left", "right"):
        off = (places_at_rest - figure.landmarks[LANDMARK[f"{side}_ear"]]) / _EAR
        beside_ears |= (off**2).sum(axis=2) < 1
    shown = (facing > _FACING) & ~beside_ears
    if not shown.any():
        return x
    top = int(np.floor(y.min()))
    row = np.clip(np.rint(y).astype(np.int64) - top, 0, None)
    rows = int(row.max()) + 1
    low = np.full(rows, np.inf)
    high = np.full(rows, -np.inf)
    np.minimum.at(low, row[shown], x[shown])
    np.maximum.at(high, row[shown], x[shown])
    known = np.flatnonzero(np.isfinite(low))
    if len(known) < _LEAST_ROWS:
        return x
    sigma = max(_SMOOTH * height_px, 0.5)
    borders = [
        gaussian_filter1d(np.interp(np.arange(rows), known, values[known]), sigma, mode="nearest")
        for values in (low, high)
    ]
    within = np.clip(x, borders[0][row], borders[1][row])
    own = smoothstep((facing - _GLANCING) / (_FACING - _GLANCING))
    return (own * x + (1 - own) * within).astype(np.float32)


def is_foreign(
    colors: NDArray[np.float32],
    depths_at_rest: NDArray[np.float32],
    figure: Figure,
    skin: NDArray[np.float32],
    hair: HairRegion,
) -> NDArray[np.bool_]:
    """Return (n, S) which samples of the head's skin have a color that neither skin nor hair has: background.

    ``colors`` (n, S, 3) and ``skin`` (3,) are linear, ``depths_at_rest`` (n, S) grow backwards. Only at the sides,
    behind and at the neck: what is in front of a face is taken for its own.
    """
    eyes = figure.landmarks[[LANDMARK["left_eye"], LANDMARK["right_eye"]], 2].mean()
    beside = depths_at_rest > eyes + _BEHIND_EYES
    return np.asarray(beside & ~looks_like_skin(colors, skin) & ~looks_like_hair(colors, hair.color, hair.skin))
