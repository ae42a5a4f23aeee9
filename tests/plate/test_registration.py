"""Sampling positions of a warp, against the formula and linear interpolation."""

from __future__ import annotations

import numpy as np

from pipeline.maths.geometry import apply_transform
from pipeline.plate.warp import Warp, sample_nodes


def test_positions_are_the_homography_and_the_nodes_between() -> None:
    rng = np.random.default_rng(1)
    transform = np.array([[1.02, 0.01, -4], [-0.02, 0.99, 3], [2e-5, -1e-5, 1]])
    nodes = rng.normal(0, 3, (7, 5, 2)).astype(np.float32)
    size_wh = 320, 180
    box = -15, -9, 340, 200
    at = Warp(transform, nodes, 1).coordinates(box, size_wh)
    x, y = np.meshgrid(np.arange(-15, 340), np.arange(-9, 200))
    points = np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float64)
    wanted = apply_transform(transform, points) + sample_nodes(nodes, points, size_wh)
    np.testing.assert_allclose(at.reshape(-1, 2), wanted, atol=2e-3)


def test_one_node_moves_the_whole_picture() -> None:
    at = Warp(np.eye(3), np.full((1, 1, 2), 2, np.float32), 1).coordinates((0, 0, 4, 3), (4, 3))
    np.testing.assert_array_equal(at[2, 3], [5, 4])
