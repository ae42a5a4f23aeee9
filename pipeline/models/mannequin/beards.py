"""Beards of prompts: where on the face they grow, and how thick they are. Lengths in standing heights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import LANDMARK, Figure, Group
from pipeline.models.mannequin.hair_region import EYES_TO_CHIN
from pipeline.models.mannequin.outfit import Beard
from pipeline.models.mannequin.raster import vertex_normals


@dataclass(frozen=True, slots=True)
class _Growth:
    cover: float
    """Share of the beard's color where it is thickest."""
    thick: float
    hangs: float = 0.0
    """Length below the chin."""
    cheeks: bool = True
    chin: bool = True


_GROWTHS: Mapping[Beard, _Growth] = {
    "stubble": _Growth(0.4, 0.0),
    "mustache": _Growth(0.95, 0.004, cheeks=False, chin=False),
    "goatee": _Growth(0.95, 0.004, cheeks=False),
    "full": _Growth(0.97, 0.006),
    "long": _Growth(0.97, 0.009, hangs=0.045),
}
_LIPS = (0.74, 0.9)
"""Greenness over redness of the tint from which skin is a lip to which it is none."""


def beard_share(figure: Figure, beard: Beard) -> NDArray[np.float32]:
    """Return (V,) 0..1 how much of each vertex of the face a beard covers."""
    share = np.zeros(len(figure.vertices), np.float32)
    if beard == "none":
        return share
    growth = _GROWTHS[beard]
    rows = np.unique(figure.triangles[figure.groups == Group.SKIN])
    place = figure.vertices[rows].astype(np.float64)
    eyes = figure.landmarks[[LANDMARK["left_eye"], LANDMARK["right_eye"]]].mean(0)
    ear = figure.landmarks[LANDMARK["left_ear"]]
    # 0 at the eyes, 1 at the chin.
    down = (place[:, 1] - eyes[1]) / EYES_TO_CHIN
    across = np.abs(place[:, 0]) / EYES_TO_CHIN
    behind = (place[:, 2] - eyes[2]) / (ear[2] - eyes[2])
    lip = _step(down, 0.40, 0.46) * (1 - _step(down, 0.56, 0.62)) * (1 - _step(across, 0.3, 0.42))
    grown = lip
    if growth.chin:
        chin = _step(down, 0.68, 0.74) * (1 - _step(across, 0.26, 0.4))
        sides = _step(down, 0.46, 0.52) * _step(across, 0.24, 0.29) * (1 - _step(across, 0.36, 0.44))
        grown = np.maximum(grown, np.maximum(chin, sides))
    if growth.cheeks:
        # The line from the ear to the corner of the mouth bounds it.
        line = 0.62 - 0.5 * np.clip(behind - 0.15, 0, 1)
        jaw = _step(down, line, line + 0.12) * _step(across, 0.2, 0.3)
        grown = np.maximum(grown, np.maximum(jaw, _step(down, 0.68, 0.76)))
    grown *= 1 - _step(down, 1.15, 1.32)
    grown *= 1 - _step(behind, 0.72, 0.92)
    grown *= place[:, 2] < ear[2]
    # Nostrils and lips are bare.
    greenness = figure.tint[rows, 1] / np.maximum(figure.tint[rows, 0], 1e-3)
    grown *= _step(greenness.astype(np.float64), *_LIPS)
    share[rows] = growth.cover * grown
    return share


def with_beard(figure: Figure, beard: Beard, share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the (V, 3) vertices with a beard's volume; ``share`` is that of :func:`beard_share`."""
    if beard == "none":
        return figure.vertices
    growth = _GROWTHS[beard]
    normals = vertex_normals(figure.vertices, figure.triangles)
    out = figure.vertices + growth.thick * share[:, None] * normals
    if growth.hangs:
        eyes = figure.landmarks[LANDMARK["left_eye"], 1]
        low = _step((figure.vertices[:, 1] - eyes) / EYES_TO_CHIN, 0.75, 1.05)
        narrow = 1 - _step(np.abs(figure.vertices[:, 0]) / EYES_TO_CHIN, 0.1, 0.55)
        before = 1 - _step(figure.vertices[:, 2] - figure.landmarks[LANDMARK["left_eye"], 2], 0.0, 0.03)
        out[:, 1] += growth.hangs * share * low * narrow * before
    return out.astype(np.float32)


def _step(value: Float64Array, low: Float64Array | float, high: Float64Array | float) -> Float64Array:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
