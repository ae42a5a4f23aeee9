"""Depth, normals and screen motion of the posed figure at each pixel, to guide the diffusion generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.models.mannequin.raster import FAR, rasterize, vertex_normals
from pipeline.shaped import Shaped, Shapes

_SAME_DEPTH_BH = 0.02
"""A surface point is visible in both frames where its depth is within this of the nearest one, body heights."""
_CELL_PX = 8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurfaceMaps(Shaped):
    """The visible surface of the figure at each pixel."""

    SHAPES: ClassVar[Shapes] = {
        "depth": ("h", "w"),
        "normals": ("h", "w", 3),
        "nearest": ("h", "w"),
        "weights": ("h", "w", 3),
    }

    depth: NDArray[np.float32]
    """(h, w) z, crop px; NaN outside the figure."""
    normals: NDArray[np.float32]
    """(h, w, 3) unit, x right, y down, z away from the camera."""
    nearest: NDArray[np.int32]
    """(h, w) triangle, -1 where there is none."""
    weights: NDArray[np.float32]
    """(h, w, 3) barycentric, of the triangle's corners."""


def surface_maps(places: NDArray[np.float32], triangles: NDArray[np.int32], size_wh: tuple[int, int]) -> SurfaceMaps:
    """Rasterize the skinned figure, one sample per pixel. ``places`` (V, 3) crop px, smaller z nearer."""
    width, height = size_wh
    depth, nearest = rasterize(places, triangles, width, height)
    rows, columns = np.nonzero(nearest >= 0)
    normals = np.zeros((height, width, 3), np.float32)
    weights = np.zeros((height, width, 3), np.float32)
    corners = triangles[nearest[rows, columns]]
    weights[rows, columns] = _barycentric(places, corners, columns, rows)
    of_vertices = vertex_normals(places, triangles)
    mixed = np.einsum("nk,nkc->nc", weights[rows, columns], of_vertices[corners])
    normals[rows, columns] = mixed / np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-6)
    return SurfaceMaps(np.where(depth < FAR, depth, np.nan).astype(np.float32), normals, nearest, weights)


def places_at_rest(
    maps: SurfaceMaps, triangles: NDArray[np.int32], vertices: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (h // 8, w // 8, 3): where on the figure at rest the surface point in the middle of each cell of 8 px is.

    ``vertices`` (V, 3) are the figure's at rest. NaN outside the figure.
    """
    height, width = (size // _CELL_PX for size in maps.nearest.shape)
    middle = slice(_CELL_PX // 2, None, _CELL_PX)
    nearest = maps.nearest[middle, middle][:height, :width]
    weights = maps.weights[middle, middle][:height, :width]
    result = np.full((height, width, 3), np.nan, np.float32)
    inside = nearest >= 0
    result[inside] = np.einsum("nk,nkc->nc", weights[inside], vertices[triangles[nearest[inside]]])
    return result


def motion_from(
    places_before: NDArray[np.float32],
    depth_before: NDArray[np.float32],
    triangles: NDArray[np.int32],
    maps: SurfaceMaps,
    body_height_px: float,
) -> NDArray[np.float32]:
    """Return (h, w, 2): position of each pixel's surface point in the previous frame, minus its current one, px.

    NaN outside the figure, and where the point was hidden or outside the picture in the previous frame.
    ``maps`` are of this frame, ``places_before`` and ``depth_before`` of the previous frame.
    """
    height, width = maps.nearest.shape
    rows, columns = np.nonzero(maps.nearest >= 0)
    corners = triangles[maps.nearest[rows, columns]]
    before = np.einsum("nk,nkc->nc", maps.weights[rows, columns], places_before[corners])
    x, y = np.rint(before[:, 0]).astype(int), np.rint(before[:, 1]).astype(int)
    is_inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    z = np.full(len(rows), np.nan, np.float32)
    z[is_inside] = depth_before[y[is_inside], x[is_inside]]
    is_seen = is_inside & (np.abs(before[:, 2] - z) <= _SAME_DEPTH_BH * body_height_px)
    motion = np.full((height, width, 2), np.nan, np.float32)
    moved = before[:, :2] - np.stack([columns, rows], axis=1)
    motion[rows[is_seen], columns[is_seen]] = moved[is_seen]
    return motion


def _barycentric(
    places: NDArray[np.float32], corners: NDArray[np.int32], x: NDArray[np.int64], y: NDArray[np.int64]
) -> NDArray[np.float32]:
    a, b, c = (places[corners[:, k], :2].astype(np.float64) for k in range(3))
    ab, ac = b - a, c - a
    point = np.stack([x, y], axis=1) - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    u = (point[:, 0] * ac[:, 1] - point[:, 1] * ac[:, 0]) / area
    v = (ab[:, 0] * point[:, 1] - ab[:, 1] * point[:, 0]) / area
    return np.stack([1 - u - v, u, v], axis=1).astype(np.float32)
