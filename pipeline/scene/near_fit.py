"""Fit planes to points whose depths are known, some of them wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIT_PX = 0.7
_TAKEN_PX = 2.5
"""Distance from a plane up to which points are on it, and up to which they belong to no other one."""
_TRIALS = 500
_ROUNDS = 2
_MOST_TRIES = 5
_MOST_SLOPE = 0.04, 0.14
"""Change of a depth per px along rows and along columns: steeper planes are chance. A fence on the ground to which a
plate is registered does not move at its foot, and most at its top."""
_LIKELY_SLOPE = 0.015
"""Along rows: a single post tells nothing of it."""


def planes_through(points: NDArray[np.float64], least: int) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Return the planes (3,) ``p[0] x + p[1] y + p[2]`` through at least so many of the points (N, 3) x, y, depth, with
    the indices of those; each is fitted to what the ones before it left over.

    Random sampling (RANSAC: Fischler and Bolles 1981).
    """
    left = np.arange(len(points))
    planes: list[tuple[NDArray[np.float64], NDArray[np.int64]]] = []
    while len(left) >= least and len(planes) < _MOST_TRIES:
        plane, on_plane = _fitted(points[left])
        if len(on_plane) < least:
            break
        planes.append((plane, left[on_plane]))
        x, y, depth = points[left].T
        left = left[np.abs(plane[0] * x + plane[1] * y + plane[2] - depth) > _TAKEN_PX]
    return planes


def _fitted(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the plane (3,) through most of the points (N, 3), and the indices of those: none where all are steep."""
    middle = points[:, :2].mean(axis=0)
    design = np.column_stack([points[:, :2] - middle, np.ones(len(points))])
    depth = points[:, 2]
    prior = np.diag([(_FIT_PX / _LIKELY_SLOPE) ** 2, 1e-6, 1e-6])
    chosen = np.random.default_rng(0).integers(0, len(points), (_TRIALS, 3))
    samples = design[chosen]
    normal = samples.transpose(0, 2, 1) @ samples + prior
    planes = np.linalg.solve(normal, samples.transpose(0, 2, 1) @ depth[chosen][..., None])[..., 0]
    fits = np.abs(planes @ design.T - depth) < _FIT_PX
    counts = fits.sum(axis=1) * (np.abs(planes[:, :2]) < _MOST_SLOPE).all(axis=1)
    best = int(counts.argmax())
    if counts[best] == 0:
        return planes[best], np.zeros(0, np.int64)
    on_plane = np.flatnonzero(fits[best])
    for _ in range(_ROUNDS):
        used = design[on_plane]
        plane = np.linalg.solve(used.T @ used + prior, used.T @ depth[on_plane])
        on_plane = np.flatnonzero(np.abs(design @ plane - depth) < _FIT_PX)
    return np.array([plane[0], plane[1], plane[2] - plane[:2] @ middle]), on_plane
