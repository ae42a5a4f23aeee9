"""Fit the posed figure's outline to the reference person's: match contour points and deform smoothly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.models.mannequin.deformation import DeformationGraph, contour_rows
from pipeline.models.mannequin.raster import rasterize

_LINES = 420
"""Height of the person in the pictures in which outlines are compared."""
_ROUNDS = ((0.06, 8.0), (0.06, 4.0), (0.05, 2.0), (0.04, 1.0), (0.03, 0.6), (0.03, 0.4), (0.02, 0.3), (0.02, 0.3))
"""Per iteration: largest distance of a match (standing heights), and the stiffness."""
_NORMAL_WEIGHT = 0.035
"""Half of the artificial distance of two points whose outlines face opposite ways, standing heights."""
_ALONG = 0.05
"""Weight of a match along the outline, where it carries little information."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The border of a mask."""

    points: Float64Array
    """(n, 2) px."""
    normals: Float64Array
    """(n, 2) outwards."""
    rows: NDArray[np.int64]
    """(n,) of the mask's outermost pixels; likewise columns."""
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, mask: Mask) -> Outline:
        padded = np.pad(mask, 1)
        inner = cv2.erode(padded.astype(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
        rows, columns = np.nonzero(mask & ~inner)
        soft = cv2.GaussianBlur(padded.astype(np.float32), (0, 0), 2.0)[1:-1, 1:-1]
        gx = cv2.Sobel(soft, cv2.CV_32F, 1, 0)[rows, columns]
        gy = cv2.Sobel(soft, cv2.CV_32F, 0, 1)[rows, columns]
        normals = -np.stack([gx, gy], 1).astype(np.float64)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        # The true border is half a pixel outside the outermost pixel's centre.
        points = np.stack([columns, rows], 1) + 0.5 * normals
        return cls(np.asarray(points, np.float64), normals, rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class Goal:
    """The outline to which another one is matched."""

    outline: Outline
    size_hw: tuple[int, int]
    """Of its mask, px."""
    tree: cKDTree
    """Of points and normals, in the metric of ``nearest``."""

    def nearest(self, own: Outline, height_px: float) -> tuple[NDArray[np.int64], Float64Array]:
        """Return (n,) the point that matches each of another outline, and (n,) the distance, standing heights, which
        also grows with the angle between the normals."""
        distance, match = self.tree.query(_features(own, height_px))
        return match, distance


def outline_of(mask: Mask, scale: float, height_px: float) -> Goal:
    """Return the outline of a mask that is scaled so that the person is ``height_px`` high."""
    small = cv2.resize(mask.astype(np.uint8) * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) > 127
    outline = Outline.of(np.asarray(small))
    return Goal(outline, (small.shape[0], small.shape[1]), cKDTree(_features(outline, height_px)))


def _features(outline: Outline, height_px: float) -> Float64Array:
    return np.concatenate([outline.points / height_px, _NORMAL_WEIGHT * outline.normals], 1)


def fit_outline(
    places: NDArray[np.float32],
    triangles: NDArray[np.int32],
    loose: NDArray[np.bool_],
    graph: DeformationGraph,
    anchors: tuple[sparse.csr_matrix, Float64Array, Float64Array],
    mask: Mask,
    body_height_px: float,
    cut_row: float = float("inf"),
    arms: tuple[NDArray[np.bool_], Mask] | None = None,
) -> Float64Array:
    """Return (V, 2) displacements of the posed figure's vertices, picture px.

    ``places`` (V, 3) are the posed vertices, ``loose`` (F,) the triangles whose outline is ignored (hands, whose
    fingers never match). ``anchors`` are point constraints: their rows over the nodes, targets minus places (n, 2),
    weights. From ``cut_row`` on there is no picture. ``arms`` are the arms' triangles (F,), and where the picture shows
    forearms and hands (h, w): only the former are matched to outlines there. Method: non-rigid iterative closest
    points, point to line (Amberg et al., 2007).
    """
    scale = _LINES / body_height_px
    goal = outline_of(mask, scale, _LINES)
    height, width = goal.size_hw
    # Pixel centers at integers: x of the small picture is scale * (x + 0.5) - 0.5.
    flat = places.copy()
    flat[:, :2] = (flat[:, :2] + 0.5) * scale - 0.5
    moved = np.zeros((len(places), 2))
    of_arms = None if arms is None else _inside(arms[1], goal.outline, scale)
    anchor_rows, anchor_targets, anchor_weights = anchors
    for limit, stiffness in _ROUNDS:
        now = flat.copy()
        now[:, :2] += moved
        _, nearest = rasterize(now, triangles, width, height)
        own = Outline.of((nearest >= 0) & (np.arange(height) < cut_row * scale)[:, None])
        if not len(own.points) or not len(goal.outline.points):
            break
        owner = nearest[own.rows, own.columns]
        match, distance = goal.nearest(own, _LINES)
        keep = (distance < limit) & ~loose[owner] & ((own.normals * goal.outline.normals[match]).sum(1) > 0.3)
        if arms is not None and of_arms is not None:
            keep &= arms[0][owner] | ~of_arms[match]
        owner = owner[keep]
        match = match[keep]
        here = own.points[keep]
        corner_ids = triangles[owner]
        corners = _barycentric(here, now[corner_ids][:, :, :2].astype(np.float64))
        rows = contour_rows(graph, corner_ids, corners)
        before = np.einsum("nk,nkd->nd", corners, moved[corner_ids])
        step = _towards_line(goal.outline.points[match] - here, goal.outline.normals[match])
        weights = np.concatenate([np.full(len(rows.indptr) - 1, 1.0), anchor_weights])
        equations = sparse.vstack([rows, anchor_rows]).tocsr()
        targets = np.concatenate([before + step, anchor_targets * scale])
        nodes = graph.solve(equations, targets, weights, stiffness, 1e-3)
        moved = np.asarray(graph.follow @ nodes)
    return moved / scale


def _inside(area: Mask, outline: Outline, scale: float) -> NDArray[np.bool_]:
    """(n,) the points of a scaled picture's outline that lie in an area of the unscaled one."""
    columns, rows = np.rint((outline.points.T + 0.5) / scale - 0.5).astype(int)
    return np.asarray(area[np.clip(rows, 0, len(area) - 1), np.clip(columns, 0, area.shape[1] - 1)])


def _towards_line(gap: Float64Array, normal: Float64Array) -> Float64Array:
    """(n, 2) steps towards the lines that the matches lie on: whole along their normals, little along the outline."""
    across = normal * (gap * normal).sum(1, keepdims=True)
    return across + _ALONG * (gap - across)


def _barycentric(points: Float64Array, corners: Float64Array) -> Float64Array:
    """(n, 3) weights of the three corners (n, 3, 2), inside the triangle."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    u = np.clip((ap[:, 0] * ac[:, 1] - ap[:, 1] * ac[:, 0]) / area, 0, 1)
    v = np.clip((ab[:, 0] * ap[:, 1] - ab[:, 1] * ap[:, 0]) / area, 0, 1)
    total = np.maximum(u + v, 1)
    u, v = u / total, v / total
    return np.stack([1 - u - v, u, v], 1)
