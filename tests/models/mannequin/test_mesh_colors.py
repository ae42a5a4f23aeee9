"""Colors on the surface: what a level preserves of the one below it, and what neighbors share."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, lookup, sample_grid, sample_index, with_levels

SQUARE = np.array([[0, 1, 2], [1, 3, 2]], np.int32)


def _at(level: np.ndarray, triangle: int, steps: int, u: float, v: float) -> np.ndarray:
    out = np.zeros(3)
    lookup(level, triangle, steps, u, v, out, 1.0)
    return out


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_rows_of_the_grid(steps: int) -> None:
    grid, weights = sample_grid(steps)
    assert [sample_index(i, j, steps) for i, j in grid] == list(range(len(grid)))
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_linear_color_is_kept_everywhere(steps: int) -> None:
    corners = np.array([[0.1, 0.9, 0.3], [0.7, 0.2, 0.0], [0.4, 0.5, 1.0]])
    level = (sample_grid(steps)[1] @ corners)[None].astype(np.float32)
    rng = np.random.default_rng(2)
    for _ in range(60):
        u, v = rng.random(2)
        if u + v > 1:
            u, v = 1 - u, 1 - v
        np.testing.assert_allclose(_at(level, 0, steps, u, v), np.array([1 - u - v, u, v]) @ corners, atol=1e-5)


def test_one_color_stays_that_color_at_every_level() -> None:
    colors = with_levels(np.full((2, NUM_SAMPLES, 3), 0.37, np.float32), SQUARE, 4)
    for level in (colors.fine, colors.middle, colors.coarse):
        np.testing.assert_allclose(level, 0.37, atol=1e-6)


def test_neighbors_agree_along_their_common_edge_at_every_level() -> None:
    rng = np.random.default_rng(7)
    places = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64)
    _, weights = sample_grid()
    where = np.einsum("sk,tkd->tsd", weights, places[SQUARE])
    wave = rng.normal(size=(2, 3))
    fine = np.sin(where @ (9 * wave)).astype(np.float32)
    colors = with_levels(fine, SQUARE, 4)
    for level, steps in ((colors.fine, 4), (colors.middle, 2), (colors.coarse, 1)):
        for t in np.linspace(0, 1, 9):
            # The edge from vertex 1 to vertex 2: second to third corner of the first, first to third of the second.
            first, second = _at(level, 0, steps, 1 - t, t), _at(level, 1, steps, 0.0, t)
            np.testing.assert_allclose(first, second, atol=1e-5)


def test_coarser_levels_keep_the_mean_and_lose_the_contrast() -> None:
    rng = np.random.default_rng(1)
    fine = rng.random((2, NUM_SAMPLES, 3)).astype(np.float32)
    colors = with_levels(fine, SQUARE, 4)
    assert abs(float(colors.coarse.mean() - fine.mean())) < 0.08
    assert colors.coarse.std() < 0.7 * fine.std()
