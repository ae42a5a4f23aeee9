"""Color on the figure's surface: samples on a regular grid over each triangle, at three sizes.

Neighboring triangles share the samples along their common edge, so there are no seams and no unwrapping. Method:
mesh colors (Yuksel, Keyser and House, ACM Transactions on Graphics 29(2), 2010), with a mip chain of four, two and one
steps along an edge.

Convention: sample (i, j) of n steps lies at barycentric weights ``(1 - (i + j) / n, i / n, j / n)`` of the corners;
its row is ``sample_index(i, j, n)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.compiled import njit
from pipeline.shaped import Shaped, Shapes

STEPS = 4
"""Steps along an edge of the finest level: a face's triangles are 1 to 4 px of a 1,000 px tall picture a side."""
NUM_SAMPLES = (STEPS + 1) * (STEPS + 2) // 2


def sample_grid(steps: int = STEPS) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return (n, 2) grid coordinates i, j in the order of their rows, and their (n, 3) barycentric weights."""
    grid = np.array([(i, j) for j in range(steps + 1) for i in range(steps + 1 - j)])
    second, third = grid[:, 0] / steps, grid[:, 1] / steps
    return grid, np.stack([1 - second - third, second, third], 1).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MeshColors(Shaped):
    """Linear colors over triangles."""

    SHAPES: ClassVar[Shapes] = {"fine": ("F", 15, 3), "middle": ("F", 6, 3), "coarse": ("F", 3, 3)}

    fine: NDArray[np.float32]
    """(F, 15, 3) four steps an edge."""
    middle: NDArray[np.float32]
    """(F, 6, 3) two."""
    coarse: NDArray[np.float32]
    """(F, 3, 3) the corners alone."""

    def of_triangles(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> MeshColors:
        return MeshColors(*(np.ascontiguousarray(level[chosen]) for level in (self.fine, self.middle, self.coarse)))


def with_levels(fine: NDArray[np.float32], triangles: NDArray[np.int32], num_vertices: int) -> MeshColors:
    """Downsample ``fine`` (F, 15, 3); samples shared by triangles, a corner or the middle of an edge, keep one
    color."""
    _, weights = sample_grid()
    corner_of = triangles.ravel()
    # A tent over the triangle around each corner, and around each edge's middle.
    tent = np.clip(2 * weights - 1, 0, None) + 1e-3 * (weights > 0.99)
    tent /= tent.sum(0)
    corners = np.einsum("fsc,sk->fkc", fine, tent)
    coarse = _shared(corners.reshape(-1, 3), corner_of, num_vertices).reshape(-1, 3, 3)
    ends = [(0, 1), (0, 2), (1, 2)]
    middle_tent = np.stack(
        [np.clip(1 - np.abs(weights[:, a] - weights[:, b]) - 2 * weights[:, 3 - a - b], 0, None) for a, b in ends], 1
    )
    middle_tent /= middle_tent.sum(0)
    edges = np.stack([np.sort(triangles[:, [a, b]], 1) for a, b in ends], 1).reshape(-1, 2).astype(np.int64)
    keys, owner = np.unique(edges[:, 0] * num_vertices + edges[:, 1], return_inverse=True)
    halves = np.einsum("fsc,sk->fkc", fine, middle_tent).reshape(-1, 3)
    halves = _shared(halves, owner.ravel(), len(keys)).reshape(-1, 3, 3)
    tight = np.clip(4 * weights - 3, 0, None)
    tight = 0.5 * tight / tight.sum(0) + 0.5 * tent
    sharp = _shared(np.einsum("fsc,sk->fkc", fine, tight).reshape(-1, 3), corner_of, num_vertices).reshape(-1, 3, 3)
    # Rows of two steps: (0,0) (1,0) (2,0) (0,1) (1,1) (0,2).
    middle = np.stack([sharp[:, 0], halves[:, 0], sharp[:, 1], halves[:, 1], halves[:, 2], sharp[:, 2]], 1)
    return MeshColors(fine.astype(np.float32), middle.astype(np.float32), coarse.astype(np.float32))


def _shared(values: NDArray[np.float32], owner: NDArray[np.integer[Any]], count: int) -> NDArray[np.float64]:
    """Each row replaced by the mean of the rows of its owner."""
    number = np.maximum(np.bincount(owner, minlength=count), 1)
    total = np.stack([np.bincount(owner, values[:, k], count) for k in range(3)], 1)
    return (total / number[:, None])[owner]


@njit(cache=True, nogil=True, fastmath=False, inline="always")
def sample_index(i: int, j: int, steps: int) -> int:
    """Row of grid sample (i, j)."""
    return i + j * (steps + 1) - j * (j - 1) // 2


@njit(cache=True, nogil=True, fastmath=False)
def lookup(
    level: NDArray[np.float32], triangle: int, steps: int, u: float, v: float, out: NDArray[np.float64], weight: float
) -> None:
    """Add ``weight`` times the color at barycentric weights u, v (of the second and third corner) to ``out`` (3,)."""
    p, q = u * steps, v * steps
    i, j = int(p), int(q)
    if i > steps - 1:
        i = steps - 1
    if j > steps - 1 - i:
        j = steps - 1 - i
        if j < 0:
            j = 0
    fu, fv = p - i, q - j
    right = sample_index(i + 1, j, steps)
    up = sample_index(i, j + 1, steps)
    if fu + fv <= 1.0 or i + j + 1 >= steps:
        corner = sample_index(i, j, steps)
        first = max(1.0 - fu - fv, 0.0)
        total = first + fu + fv
        for k in range(3):
            value = first * level[triangle, corner, k] + fu * level[triangle, right, k] + fv * level[triangle, up, k]
            out[k] += weight * value / total
    else:
        corner = sample_index(i + 1, j + 1, steps)
        first = fu + fv - 1.0
        for k in range(3):
            out[k] += weight * (
                first * level[triangle, corner, k]
                + (1.0 - fv) * level[triangle, right, k]
                + (1.0 - fu) * level[triangle, up, k]
            )
