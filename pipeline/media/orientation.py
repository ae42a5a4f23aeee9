"""How a coded picture is rotated upright: a horizontal flip and quarter turns, from a display matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """What a player does to the coded picture before it shows it."""

    mirrored: bool
    """A horizontal flip comes first."""
    quarter_turns: int
    """Quarter turns clockwise, 0..3, after the flip."""
    exact: bool
    """Whether that is all that the matrix does (it may also rotate by other angles, scale or shear)."""


def orientation_of(display_matrix: tuple[int, ...] | None) -> Orientation:
    """Return the flip and the turns of a display matrix.

    A display matrix maps (x, y) to (a·x + c·y, b·x + d·y) with y down, stored as a, b, u, c, d, v, x, y, w
    (ISO/IEC 14496-12): a clockwise quarter turn is a=0, b=1, c=-1, d=0. A negative determinant flips; without x -> -x
    the rest of the matrix is a rotation. A matrix of zeros is ignored.
    """
    a, b, c, d = (0.0, 0.0, 0.0, 0.0) if display_matrix is None else (display_matrix[i] / 65536 for i in (0, 1, 3, 4))
    if a == b == c == d == 0:
        return Orientation(False, 0, True)
    mirrored = a * d - b * c < 0
    sign = -1 if mirrored else 1
    turns = round(float(np.degrees(np.arctan2(sign * b, sign * a))) / 90) % 4
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    exact = bool(np.allclose((a, b, c, d), (sign * cos, sign * sin, -sin, cos), atol=1e-3))
    return Orientation(mirrored, turns, exact)
