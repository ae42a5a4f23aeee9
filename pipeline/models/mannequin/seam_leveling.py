"""Make several views of one person agree where one gives way to the next on the surface.

Each view's colors get a smooth correction that keeps their detail and removes the step at the seams: the gradients of
the colors are kept, and their integral is made continuous. Method: seam leveling (Lempitsky and Ivanov, "Seamless
mosaicing of image-based texture maps", CVPR 2007; Waechter, Moehrle and Goesele, ECCV 2014), which is Poisson blending
on a mesh; in the logarithm of the light, since it is light that differs between the views.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from pipeline.datatypes.arrays import Float64Array
from pipeline.models.mannequin.mesh_colors import sample_grid

_PULL = 0.004
"""Weight of no correction at a vertex against that of equal corrections along an edge: how far one reaches."""
_MOST = np.log(1.5)
"""Largest correction; a larger difference is another color, not another light."""
_DARK = 3e-3
_ROUNDS = 4
"""Of averaging over neighbors before views are compared: their details do not match to the pixel."""


def leveled(
    colors: list[NDArray[np.float32]],
    shares: list[NDArray[np.float32]],
    triangles: NDArray[np.int32],
    num_vertices: int,
) -> list[NDArray[np.float32]]:
    """Return each view's linear colors (T, S, 3) with its correction; ``shares`` (T, S) are its weights, 0 unseen.

    A single view is returned unchanged.
    """
    if len(colors) < 2:
        return colors
    edges = np.unique(np.sort(np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]), 1), axis=0)
    at_vertices = [_at_vertices(*view, triangles, num_vertices) for view in zip(colors, shares, strict=True)]
    weights = np.stack([weight for _, weight in at_vertices])
    levels = np.stack([_smoothed(level, weight > 0, edges) for level, weight in at_vertices])
    label = np.where(weights.max(0) > 0, weights.argmax(0), -1)
    own = _corrections(levels, weights > 0, label, edges)
    rows = np.arange(num_vertices)
    corrected = levels[label, rows] + own
    _, corners = sample_grid()
    out = []
    for view, flat in enumerate(colors):
        # Beyond its own part a view that sees the surface follows the one that it gives way to.
        change = np.where((weights[view] > 0)[:, None], corrected - levels[view], own)
        change = np.clip(np.where((label == view)[:, None], own, change), -_MOST, _MOST)
        change[label < 0] = 0
        gain = np.exp(np.einsum("sk,tkc->tsc", corners, change[triangles]))
        out.append((flat * gain).astype(np.float32))
    return out


def _at_vertices(
    colors: NDArray[np.float32], share: NDArray[np.float32], triangles: NDArray[np.int32], num_vertices: int
) -> tuple[Float64Array, Float64Array]:
    """Return the logarithm of a view's mean color around each vertex (V, 3), and the view's weight there (V,)."""
    _, corners = sample_grid()
    # A sample belongs to the corner that it is nearest to.
    near = corners.argmax(1)
    owner = triangles[:, near].ravel()
    seen = (share > 0).ravel()
    count = np.bincount(owner, seen, num_vertices)
    logs = np.log(np.maximum(colors.reshape(-1, 3), _DARK))
    level = np.stack([np.bincount(owner, seen * logs[:, k], num_vertices) for k in range(3)], 1)
    weight = np.bincount(owner, share.ravel(), num_vertices)
    return level / np.maximum(count, 1)[:, None], np.where(count > 0, weight, 0.0)


def _smoothed(level: Float64Array, seen: NDArray[np.bool_], edges: NDArray[np.int32]) -> Float64Array:
    """Return (V, 3) averaged over neighbors that are seen too."""
    both = edges[seen[edges].all(1)]
    ends = np.concatenate([both, both[:, ::-1]])
    beside = sparse.csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (len(level), len(level)))
    count = 1 + np.asarray(beside.sum(1))
    out = level
    for _ in range(_ROUNDS):
        out = (out + beside @ out) / count
    return np.asarray(out)


def _corrections(
    levels: Float64Array, seen: NDArray[np.bool_], label: NDArray[np.int64], edges: NDArray[np.int32]
) -> Float64Array:
    """Return (V, 3) what is added to the level of each vertex' own view, ``label`` (V,), so that there is no step.

    ``levels`` (views, V, 3) and ``seen`` (views, V) are the views'.
    """
    first, second = edges[(label[edges] >= 0).all(1)].T
    step = np.zeros((len(first), 3))
    shown = np.zeros(len(first))
    for view in range(len(levels)):
        # The true difference along the edge is what a view shows that sees both ends.
        both = seen[view, first] & seen[view, second] & ((label[first] == view) | (label[second] == view))
        step[both] += levels[view, first[both]] - levels[view, second[both]]
        shown += both
    known = shown > 0
    first, second = first[known], second[known]
    drawn = levels[label[first], first] - levels[label[second], second]
    target = step[known] / shown[known, None] - drawn
    # Another color is no other light: its step stays.
    target[(np.abs(target) > _MOST).any(1)] = 0.0
    count = levels.shape[1]
    ones = np.ones(len(first))
    ends = (np.repeat(np.arange(len(first)), 2), np.stack([first, second], 1).ravel())
    difference = sparse.csr_matrix((np.stack([ones, -ones], 1).ravel(), ends), (len(first), count))
    system = (difference.T @ difference + _PULL * sparse.identity(count)).tocsc()
    return np.asarray(splu(system).solve(difference.T @ target))
