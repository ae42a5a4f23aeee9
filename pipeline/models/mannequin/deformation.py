"""A smooth displacement of the whole figure, all layers together, from a few hundred nodes.

Cloth and the skin under it move together, since a node affects what is near it in space and belongs to the same limb.
Method: embedded deformation (Sumner et al., 2007) with translations only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.figure import BONES, Figure

PARTS = ("torso", "head", "arm.L", "arm.R", "leg.L", "leg.R")
_PART_STEMS = {
    "torso": ("pelvis", "spine1", "spine2", "chest", "clavicle"),
    "head": ("neck", "head"),
    "arm": ("upperarm1", "upperarm2", "forearm1", "forearm2", "hand"),
    "leg": ("thigh1", "thigh2", "shin1", "shin2", "foot", "toe"),
}
_SPACING, _HEAD_SPACING = 0.03, 0.02
"""Spacing of the nodes, standing heights."""
_APART = 0.12
"""Artificial distance between two limbs even where they touch, standing heights."""
_NEIGHBORS = 6


def part_shares(figure: Figure) -> Float64Array:
    """(V, parts) weight of each body part on each vertex; rows sum to 1."""
    of_bone = np.zeros((len(BONES), len(PARTS)))
    for row, bone in enumerate(BONES):
        stem, _, side = bone.partition(".")
        for part, stems in _PART_STEMS.items():
            if stem in stems:
                name = part if part in PARTS else f"{part}.{side}"
                of_bone[row, PARTS.index(name)] = 1
    return np.einsum("vk,vkp->vp", figure.bone_weight, of_bone[figure.bone_index])


@dataclass(frozen=True, slots=True, eq=False)
class DeformationGraph:
    """Nodes on a figure at rest, and how its vertices follow them."""

    follow: sparse.csr_matrix
    """(V, nodes), rows sum to 1."""
    smoothness: sparse.csc_matrix
    """(nodes, nodes) quadratic form: stretching and bending energy of the displacements."""

    @property
    def num_nodes(self) -> int:
        return int(self.follow.shape[1])

    def solve(
        self, rows: sparse.csr_matrix, targets: Float64Array, weights: Float64Array, stiffness: float, pull: float
    ) -> Float64Array:
        """(nodes, k) displacements that bring ``rows @ d`` near ``targets`` (n, k), smoothed by ``stiffness``.

        ``pull`` regularizes every node towards zero displacement.
        """
        normal = rows.T @ sparse.diags(weights) @ rows
        system = (normal + stiffness * self.smoothness + pull * sparse.identity(self.num_nodes)).tocsc()
        return splu(system).solve(rows.T @ (weights[:, None] * targets))


def make_graph(figure: Figure, shares: Float64Array) -> DeformationGraph:
    """Spread nodes over the figure at rest; ``shares`` are ``part_shares``."""
    features = np.concatenate([figure.vertices.astype(np.float64), _APART * shares], 1)
    head = shares[:, PARTS.index("head")] > 0.5
    nodes = np.concatenate([
        _thinned(features[head], _HEAD_SPACING),
        _thinned(features[~head], _SPACING),
    ])  # fmt: skip
    distance, near = cKDTree(nodes).query(features, k=4)
    width = distance[:, -1:] * 1.1 + 1e-6
    pull = np.exp(-4 * (distance / width) ** 2)
    pull /= pull.sum(1, keepdims=True)
    count = len(features)
    follow = sparse.csr_matrix((pull.ravel(), (np.repeat(np.arange(count), 4), near.ravel())), (count, len(nodes)))
    _, beside = cKDTree(nodes).query(nodes, k=_NEIGHBORS + 1)
    pairs = np.stack([np.repeat(np.arange(len(nodes)), _NEIGHBORS), beside[:, 1:].ravel()], 1)
    edges = np.unique(np.sort(pairs, 1), axis=0)
    ones = np.ones(len(edges))
    ends = (np.repeat(np.arange(len(edges))[:, None], 2, 1).ravel(), edges.ravel())
    difference = sparse.csr_matrix((np.stack([ones, -ones], 1).ravel(), ends), (len(edges), len(nodes)))
    laplacian = difference.T @ difference
    smoothness = (0.3 * laplacian + laplacian.T @ laplacian / _NEIGHBORS).tocsc()
    return DeformationGraph(follow, smoothness)


def _thinned(features: Float64Array, spacing: float) -> Float64Array:
    """Mean of the features in each cell of a grid; the parts' axes are long enough that parts never share a cell."""
    cells = np.floor(features / spacing).astype(np.int64)
    _, owner, count = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()
    total = np.zeros((len(count), features.shape[1]))
    np.add.at(total, owner, features)
    return total / count[:, None]


def contour_rows(graph: DeformationGraph, triangles: NDArray[np.int32], corners: Float64Array) -> sparse.csr_matrix:
    """(n, nodes) rows for points given by triangles (n, 3) of vertices and barycentric ``corners`` (n, 3)."""
    count = len(triangles)
    pick = sparse.csr_matrix(
        (corners.ravel(), (np.repeat(np.arange(count), 3), triangles.ravel())), (count, graph.follow.shape[0])
    )
    return (pick @ graph.follow).tocsr()
