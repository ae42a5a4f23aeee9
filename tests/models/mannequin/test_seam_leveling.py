"""Views in different light meet without a step, and keep their detail."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.seam_leveling import leveled

SIDE = 41


def sheet() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangles (T, 3) of a square sheet, its vertices (V, 2), and the places of its samples (T, S, 2), 0..1."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    vertices = np.stack([columns.ravel(), rows.ravel()], 1) / (SIDE - 1)
    corner = (rows[:-1, :-1] * SIDE + columns[:-1, :-1]).ravel()
    triangles = np.concatenate([
        np.stack([corner, corner + 1, corner + SIDE], 1),
        np.stack([corner + 1, corner + SIDE + 1, corner + SIDE], 1),
    ]).astype(np.int32)  # fmt: skip
    places = np.einsum("sk,tkd->tsd", sample_grid()[1], vertices[triangles])
    return triangles, vertices, places


def two_views(second: float) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]:
    """Both see a fine pattern, the second one in ``second`` times the light; they overlap around the middle."""
    triangles, _, places = sheet()
    pattern = (0.2 + 0.05 * np.sin(60 * places[..., :1]) * np.ones(3)).astype(np.float32)
    x = places[..., 0]
    shares = [np.clip(0.6 - x, 0, 1).astype(np.float32), np.clip(x - 0.4, 0, 1).astype(np.float32)]
    return [pattern, pattern * np.float32(second)], shares, triangles, x


def shown(colors: list[np.ndarray], shares: list[np.ndarray]) -> np.ndarray:
    return np.where((shares[0] > shares[1])[..., None], colors[0], colors[1])


@pytest.mark.parametrize("second", [0.75, 1.3])
def test_there_is_no_step_where_one_view_gives_way_to_the_next(second: float) -> None:
    colors, shares, triangles, x = two_views(second)
    out = shown(leveled(colors, shares, triangles, SIDE * SIDE), shares)
    before = shown(colors, shares)
    left = (x > 0.45) & (x < 0.49)
    right = (x > 0.51) & (x < 0.55)
    gain = out / colors[0]
    assert abs(np.log(before[right].mean() / before[left].mean())) > 0.2
    assert abs(np.log(gain[right].mean() / gain[left].mean())) < 0.04
    # The detail stays: the correction is smooth.
    assert np.abs(np.diff(np.log(gain[x < 0.45][:, 0]))).max() < 0.1
    # Where both see it, they agree.
    corrected = leveled(colors, shares, triangles, SIDE * SIDE)
    both = (x > 0.45) & (x < 0.55)
    assert np.abs(np.log(corrected[0][both] / corrected[1][both])).max() < 0.05


def test_views_that_agree_and_a_single_view_stay() -> None:
    colors, shares, triangles, _ = two_views(1.0)
    for before, after in zip(colors, leveled(colors, shares, triangles, SIDE * SIDE), strict=True):
        np.testing.assert_allclose(after, before, rtol=0.05)
    alone = leveled(colors[:1], shares[:1], triangles, SIDE * SIDE)
    assert alone[0] is colors[0]


def test_another_color_is_no_light() -> None:
    colors, shares, triangles, _ = two_views(8.0)
    out = leveled(colors, shares, triangles, SIDE * SIDE)
    gain = np.stack([after / before for after, before in zip(out, colors, strict=True)])
    assert gain.max() < 1.51 and gain.min() > 1 / 1.51


def test_what_no_view_shows_is_left_alone() -> None:
    colors, shares, triangles, x = two_views(0.75)
    shares = [share * (x > 0.2) * (x < 0.8) for share in shares]
    out = leveled(colors, shares, triangles, SIDE * SIDE)
    unseen = (x < 0.15) | (x > 0.85)
    assert np.array_equal(out[0][unseen], colors[0][unseen])
