"""Surfaces described row by row in a picture: hats, bags, tied hair. Each row is an ellipse about a middle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONE, Figure, Group, Pose
from pipeline.shaped import Shaped, Shapes

_AROUND = 32
_DOWN = 28
_CLOSED = 0.02
"""Half width of the ends over the largest one: the surface is closed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowTube(Shaped):
    """An outline that is round, in picture px."""

    SHAPES: ClassVar[Shapes] = {"rows": ("n",), "middle": ("n",), "half": ("n",), "middle_z": ("n",), "depth": ("n",)}

    rows: Float64Array
    """(n,) y, from the top down."""
    middle: Float64Array
    """(n,) x."""
    half: Float64Array
    """(n,) half width."""
    middle_z: Float64Array
    depth: Float64Array
    """(n,) half depth."""

    def points(self) -> Float64Array:
        """(m, 3) of the grid, ring by ring from the top; the first and the last ring are closed."""
        at = np.linspace(0, len(self.rows) - 1, _DOWN)
        spread = (self.rows, self.middle, self.half, self.middle_z, self.depth)
        rows, middle, half, z, depth = (np.interp(at, np.arange(len(self.rows)), values) for values in spread)
        # A ring more at each end, in the same row, closes it.
        rows, middle, half, z, depth = (np.concatenate([v[:1], v, v[-1:]]) for v in (rows, middle, half, z, depth))
        for end in (0, -1):
            half[end] = _CLOSED * half.max()
            depth[end] = _CLOSED * depth.max()
        angle = 2 * np.pi * np.arange(_AROUND) / _AROUND
        x = middle[:, None] + half[:, None] * np.sin(angle)
        y = np.repeat(rows[:, None], _AROUND, 1)
        return np.stack([x, y, z[:, None] - depth[:, None] * np.cos(angle)], 2).reshape(-1, 3)


def with_thing(
    figure: Figure,
    pose: Pose,
    tube: RowTube,
    bone: str,
    y_scale: float,
    y_shift: float,
    group: Group = Group.THING,
) -> Figure:
    """Return the figure with a tube as a further surface that moves with a bone.

    The tube is mapped to the rest pose by the inverse of ``pose``, whose y were then scaled and shifted.
    """
    points = tube.points()
    points[:, 1] = (points[:, 1] - y_shift) / y_scale
    row = BONE[bone]
    linear = pose.linear[row]
    rest = np.linalg.solve(linear, (points - pose.offset[row]).T).T
    triangles = len(figure.vertices) + _triangles(len(points) // _AROUND, bool(np.linalg.det(linear) > 0))
    count = len(rest)
    index = np.full((count, 4), row, np.uint8)
    weight = np.zeros((count, 4), np.float32)
    weight[:, 0] = 1
    return replace(
        figure,
        vertices=np.concatenate([figure.vertices, rest]).astype(np.float32),
        triangles=np.concatenate([figure.triangles, triangles]).astype(np.int32),
        groups=np.concatenate([figure.groups, np.full(len(triangles), group, np.uint8)]),
        bone_index=np.concatenate([figure.bone_index, index]),
        bone_weight=np.concatenate([figure.bone_weight, weight]),
        tint=np.concatenate([figure.tint, np.ones((count, 3), np.float32)]),
        occlusion=np.concatenate([figure.occlusion, np.full(count, 0.95, np.float32)]),
    )


def _triangles(rings: int, keeps_hands: bool) -> NDArray[np.int64]:
    """(F, 3) of the grid, normals outwards."""
    ring, place = np.mgrid[: rings - 1, :_AROUND]
    a = (ring * _AROUND + place).ravel()
    b = (ring * _AROUND + (place + 1) % _AROUND).ravel()
    c, d = a + _AROUND, b + _AROUND
    triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    return triangles if keeps_hands else triangles[:, ::-1]
