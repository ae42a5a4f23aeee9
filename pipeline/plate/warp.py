"""Smooth maps between two pictures: a homography, and the residual parallax on a grid of nodes.

Convention: all points are px of the whole picture, centers at integers. A ``Warp`` maps points of the picture being
rendered (``to``) to the picture being sampled (``from``): the direction that a remap needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Points, Transforms
from pipeline.maths.boxes import Box
from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

MAX_NODE_ROWS = 48
MAX_NODE_COLUMNS = 24


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Warp(Shaped):
    """A smooth map between two pictures of the same size: ``from = homography(to) + residual(to)``."""

    SHAPES: ClassVar[Shapes] = {"from_to": (3, 3), "nodes": ("rows", "columns", 2)}

    from_to: Transforms
    """(3, 3)."""
    nodes: NDArray[np.float32]
    """(rows, columns, 2) residual x, y px at nodes evenly spaced from the first to the last pixel of each axis."""
    support: int
    """Number of matched points behind the fit; 0 where it is only the guess."""

    def coordinates(self, box_xyxy: Box, size_wh: tuple[int, int]) -> NDArray[np.float32]:
        """Return (h, w, 2) sampling positions for the box (may extend beyond the picture)."""
        x0, y0, x1, y1 = box_xyxy
        return self.coordinates_at(np.arange(x0, x1, dtype=np.float64), np.arange(y0, y1, dtype=np.float64), size_wh)

    def coordinates_at(
        self, columns_px: NDArray[np.float64], rows_px: NDArray[np.float64], size_wh: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Return (h, w, 2) sampling positions for the grid of ``columns_px`` (w,) and ``rows_px`` (h,)."""
        mapped = np.empty((len(rows_px), len(columns_px), 2), np.float32)
        _fill_coordinates(
            np.ascontiguousarray(self.from_to, np.float64), self.nodes, columns_px, rows_px, size_wh, mapped
        )
        return mapped


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_coordinates(
    from_to: Transforms,
    nodes: NDArray[np.float32],
    columns_px: NDArray[np.float64],
    rows_px: NDArray[np.float64],
    size_wh: tuple[int, int],
    mapped: NDArray[np.float32],
) -> None:
    """Fill (h, w, 2): the homography plus the nodes' residual, bilinear between nodes, replicated beyond the last."""
    last_row, last_column = nodes.shape[0] - 1, nodes.shape[1] - 1
    width = len(columns_px)
    line = np.empty((last_column + 1, 2), np.float32)
    left = np.empty(width, np.int64)
    right = np.empty(width, np.int64)
    share = np.empty(width, np.float32)
    for c in range(width):
        place = min(max(columns_px[c] * last_column / max(size_wh[0] - 1, 1), 0.0), float(last_column))
        left[c] = int(place)
        right[c] = min(left[c] + 1, last_column)
        share[c] = place - left[c]
    # Where the nodes beside a pixel change: between, the loop over pixels has no look-ups and is vectorized.
    until = np.full(width, width, np.int64)
    for c in range(width - 2, -1, -1):
        until[c] = until[c + 1] if left[c] == left[c + 1] else c + 1
    t = from_to
    for r in range(len(rows_px)):
        y = rows_px[r]
        place = min(max(y * last_row / max(size_wh[1] - 1, 1), 0.0), float(last_row))
        above = int(place)
        below = min(above + 1, last_row)
        down = np.float32(place - above)
        for i in range(last_column + 1):
            for axis in range(2):
                line[i, axis] = nodes[above, i, axis] + (nodes[below, i, axis] - nodes[above, i, axis]) * down
        x_zero, y_zero, w_zero = t[0, 1] * y + t[0, 2], t[1, 1] * y + t[1, 2], t[2, 1] * y + t[2, 2]
        start = 0
        while start < width:
            i, j = left[start], right[start]
            x_left, y_left = line[i, 0], line[i, 1]
            x_step, y_step = line[j, 0] - x_left, line[j, 1] - y_left
            for c in range(start, until[start]):
                x = columns_px[c]
                scale = 1 / (t[2, 0] * x + w_zero)
                mapped[r, c, 0] = (t[0, 0] * x + x_zero) * scale + x_left + x_step * share[c]
                mapped[r, c, 1] = (t[1, 0] * x + y_zero) * scale + y_left + y_step * share[c]
            start = until[start]


def sample_nodes(nodes: NDArray[np.float32], points: Points, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return the (N, 2) residual at points, bilinear between nodes."""
    return _sampled(nodes, np.ascontiguousarray(points, np.float64), size_wh)


@njit(cache=True, nogil=True)
def _sampled(nodes: NDArray[np.floating], points: Points, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``sample_nodes``."""
    rows, columns, axes = nodes.shape
    result = np.empty((len(points), axes))
    for i in range(len(points)):
        x = min(max(points[i, 0] * (columns - 1) / max(size_wh[0] - 1, 1), 0.0), columns - 1.0)
        y = min(max(points[i, 1] * (rows - 1) / max(size_wh[1] - 1, 1), 0.0), rows - 1.0)
        column, row = min(int(x), max(columns - 2, 0)), min(int(y), max(rows - 2, 0))
        right, below = min(column + 1, columns - 1), min(row + 1, rows - 1)
        fx, fy = x - column, y - row
        for k in range(axes):
            top = nodes[row, column, k] * (1 - fx) + nodes[row, right, k] * fx
            bottom = nodes[below, column, k] * (1 - fx) + nodes[below, right, k] * fx
            result[i, k] = top * (1 - fy) + bottom * fy
    return result


def node_shape(size_wh: tuple[int, int], body_height_px: float) -> tuple[int, int]:
    """Rows and columns of nodes: fine enough for the parallax kernel (0.05 by 0.45 body heights), bounded."""
    rows = int(np.clip(np.ceil(size_wh[1] / max(0.05 * body_height_px, 1.0)) + 1, 4, MAX_NODE_ROWS))
    columns = int(np.clip(np.ceil(size_wh[0] / max(0.2 * body_height_px, 1.0)) + 1, 4, MAX_NODE_COLUMNS))
    return rows, columns
