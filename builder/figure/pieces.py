"""The pieces that the figure is built of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.figure.mesh import Ints
from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A piece of the figure: quads, positions of each variant, weights, and what its faces are."""

    positions: Float64Array
    """(variants, V, 3) decimeters, y up, z forwards: MakeHuman's."""
    quads: Ints
    """(F, 4)."""
    groups: NDArray[np.uint8]
    """(F,) of ``Group``."""
    weights: Float64Array
    """(V, bones), rows sum to 1."""
    tint: Float64Array
    """(V, 3) factor on the group's color."""


def cut_piece(
    positions: Float64Array,
    quads: Ints,
    groups: NDArray[np.uint8] | int,
    weights: Float64Array,
    tint: Float64Array | None = None,
) -> Piece:
    """Cut the ``quads`` and the vertices that they use out of a whole mesh; ``groups`` is (F,), or one for all."""
    used, quads = np.unique(quads, return_inverse=True)
    tint = np.ones((len(used), 3)) if tint is None else tint[used]
    groups = np.broadcast_to(np.asarray(groups, np.uint8), (len(quads.reshape(-1, 4)),)).copy()
    return Piece(positions[:, used], quads.reshape(-1, 4), groups, weights[used], tint)


def bone_weight(weights: Float64Array, *stems: str) -> Float64Array:
    """Return (V,) the weight that bones of these names, left and right, have together."""
    columns = [column for column, bone in enumerate(BONES) if bone.split(".")[0] in stems]
    total: Float64Array = weights[:, columns].sum(1)
    return total
