"""How far the points of a static scene move against each other as the camera moves.

Between two frames the displacement that a homography leaves is, to first order, how far the camera moved times what the
depth of a point gives ("plane plus parallax": Irani and Anandan, "A Unified Approach to Moving Object Detection in 2D
and 3D Scenes", PAMI 1998). The residuals of the plate's registration tell how far the camera moved and in which
direction points move; what their depths are is found by comparing frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.plate.plate_set import PlateSet
from pipeline.shaped import Shaped, Shapes

_ONE_PATTERN = 0.7
"""Share of the residuals' power that one movement must explain."""
_LEAST_PX = 0.5
"""Residual (RMS over the picture, of the farthest frame) below which the camera stood still."""
_LEAST_FRAMES = 8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowParallax(Shaped):
    """The camera's movement in the frames around one plate."""

    SHAPES: ClassVar[Shapes] = {
        "frames": ("F",), "plate_from_source": ("F", 3, 3), "moves": ("F",), "direction_xy": (2,),
        "plate_depths": ("rows", "columns"),
    }  # fmt: skip

    frames: NDArray[np.int64]
    """(F,) ascending."""
    plate_from_source: Transforms
    """(F, 3, 3)."""
    moves: NDArray[np.float64]
    """(F,) -1..1: how far the camera was from its place at the anchor."""
    direction_xy: NDArray[np.float64]
    """(2,) unit vector: in which direction points move in the plate."""
    plate_depths: NDArray[np.float32]
    """(rows, columns) px: how far the background moves, for a move of 1, at nodes evenly spaced over the source."""

    def row_of(self, frame: int) -> int | None:
        """Return the row of a frame; None where it is not known."""
        row = int(np.searchsorted(self.frames, frame))
        return row if row < len(self.frames) and self.frames[row] == frame else None


def row_parallax(plates: PlateSet, row: int) -> RowParallax | None:
    """Return the movement around a plate; None where the camera stood still, or turned only."""
    at, sides = np.nonzero(plates.plate_rows == row)
    nodes = np.array([plates.nodes(int(frame), int(side)) for frame, side in zip(at, sides, strict=True)], np.float64)
    if len(at) < _LEAST_FRAMES:
        return None
    # A second plate that has no weight in a frame is not registered to it.
    known = nodes.any(axis=(1, 2, 3)) | (at == plates.anchors[row])
    at, sides, nodes = at[known], sides[known], nodes[known]
    if len(at) < _LEAST_FRAMES:
        return None
    left, power, right = np.linalg.svd(nodes.reshape(len(nodes), -1), full_matrices=False)
    moves = left[:, 0] * power[0]
    farthest = float(np.abs(moves).max())
    pattern = right[0].reshape(*nodes.shape[1:])
    size_px = farthest * float(np.sqrt(np.mean(pattern**2) * 2))
    if power[0] ** 2 < _ONE_PATTERN * np.sum(power**2) or size_px < _LEAST_PX:
        return None
    flat = pattern.reshape(-1, 2)
    direction = np.linalg.eigh(flat.T @ flat)[1][:, 1]
    depths = (pattern @ direction * farthest).astype(np.float32)
    return RowParallax(at.astype(np.int64), plates.from_source[at, sides], moves / farthest, direction, depths)
