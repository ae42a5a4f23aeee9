"""The rasterizer against known areas, depths and colors."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.raster import FAR, _front_to_back, faces_away, rasterize, resolve, skin, vertex_normals
from pipeline.models.mannequin.soft_rim import with_soft_rim

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def _draw(corners: list, colors: list, size: int, fold: int) -> tuple:
    """Draw separate triangles given in pixels: ``corners`` (F, 3, 3), one color each."""
    places = np.array(corners, np.float32).reshape(-1, 3)
    places[:, :2] = places[:, :2] * fold + (fold - 1) / 2
    triangles = np.arange(len(places), dtype=np.int32).reshape(-1, 3)
    shades = np.repeat(np.array(colors, np.float32)[:, None], 3, 1)
    return _resolved(places, triangles, shades, size, fold)


def _resolved(places: np.ndarray, triangles: np.ndarray, corners: np.ndarray, size: int, fold: int) -> tuple:
    """Rasterise and resolve triangles whose color is linear between ``corners`` (F, 3, 3), in white light."""
    depth, nearest = rasterize(places, triangles, size * fold, size * fold)
    levels = tuple(np.einsum("sk,fkc->fsc", sample_grid(n)[1], corners).astype(np.float32) for n in (4, 2, 1))
    light = np.ones((len(places), 3), np.float32)
    bright = np.ones(len(triangles), np.float32)
    picture, cover = resolve(places, triangles, levels, light, np.arange(len(triangles)), bright, nearest, fold)
    return picture, cover, depth


def test_coverage_is_the_triangles_area() -> None:
    corners = [[(3.3, 4.1, 1), (50.2, 9.7, 1), (17.9, 57.4, 1)]]
    (ax, ay, _), (bx, by, _), (cx, cy, _) = corners[0]
    area = abs((bx - ax) * (cy - ay) - (by - ay) * (cx - ax)) / 2
    _, cover, _ = _draw(corners, [RED], 64, 3)
    assert cover.sum() == pytest.approx(area, rel=2e-3)
    assert cover[20, 20] == 1 and cover[1, 1] == 0
    assert ((cover > 0) & (cover < 1)).any()


def test_a_half_covered_pixel_is_half_covered() -> None:
    # The edge x = 5 goes through the middle of pixel column 5: two thirds of three sample columns are at or left of it.
    _, cover, _ = _draw([[(5, -50, 1), (5, 50, 1), (-60, 0, 1)]], [RED], 8, 3)
    np.testing.assert_allclose(cover[4, 3:7], [1, 1, 2 / 3, 0], atol=1e-6)


def test_only_the_outline_is_softened() -> None:
    rng = np.random.default_rng(0)
    cover = np.zeros((9, 12), np.float32)
    cover[:, 4:] = 1
    light = rng.random((9, 12, 3), np.float32) * cover[..., None]
    color, soft = with_soft_rim(light, cover)
    # The figure goes on above and below the picture: a column is filtered across the edge alone.
    np.testing.assert_allclose(soft[:, 2:6], np.tile([0, 0.1, 0.9, 1], (9, 1)), atol=1e-6)
    np.testing.assert_array_equal(color[:, 5:], light[:, 5:])
    # What is not covered has no color to give.
    np.testing.assert_allclose(color[4, 3], np.array([0.1, 0.8, 0.1]) @ light[3:6, 4], atol=1e-6)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_triangle_wins_in_any_order(order: tuple[int, int]) -> None:
    far, near = [(0, 0, 9), (30, 0, 9), (0, 30, 9)], [(0, 0, 2), (10, 0, 2), (0, 10, 2)]
    both = [far, near]
    colors = [RED, BLUE]
    picture, _, depth = _draw([both[i] for i in order], [colors[i] for i in order], 24, 2)
    np.testing.assert_allclose(picture[2, 2], BLUE, atol=1e-6)
    np.testing.assert_allclose(picture[2, 18], RED, atol=1e-6)
    assert depth[4, 4] == pytest.approx(2) and depth[4, 36] == pytest.approx(9)
    assert depth[47, 47] == FAR


def test_neighbors_leave_no_crack() -> None:
    rng = np.random.default_rng(3)
    rim = [(20 + 17 * np.cos(a), 20 + 17 * np.sin(a), 1) for a in np.linspace(0, 2 * np.pi, 14)[:-1]]
    middle = (*(20 + rng.normal(0, 2, 2)), 1)
    fan = [[middle, rim[i], rim[(i + 1) % len(rim)]] for i in range(len(rim))]
    _, cover, _ = _draw(fan, [RED] * len(fan), 40, 3)
    y, x = np.mgrid[:40, :40]
    assert (cover[np.hypot(x - 20, y - 20) < 15] == 1).all()


def test_color_is_linear_over_the_triangle() -> None:
    places = np.array([[0, 0, 1], [63, 0, 1], [0, 63, 1]], np.float32)
    triangles = np.array([[0, 1, 2]], np.int32)
    colors = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)
    picture, _, _ = _resolved(places, triangles, colors, 64, 1)
    np.testing.assert_allclose(picture[20, 10], [10 / 63, 20 / 63, 0], atol=1e-5)


def test_triangles_outside_or_without_area_draw_nothing() -> None:
    corners = [[(-90, 0, 1), (-50, 0, 1), (-60, 30, 1)], [(1, 1, 1), (5, 5, 1), (9, 9, 1)], [(np.nan, 0, 1)] * 3]
    _, cover, _ = _draw(corners, [RED] * 3, 16, 2)
    assert cover.sum() == 0


def test_skinning_blends_the_bones() -> None:
    vertices = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0]], np.float32)
    index = np.array([[0, 1], [0, 1], [0, 1]], np.uint8)
    weight = np.array([[1, 0], [0, 1], [0.5, 0.5]], np.float32)
    linear = np.stack([np.eye(3), np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])]).astype(np.float32)
    offset = np.array([[0, 0, 0], [0, 0, 2]], np.float32)
    np.testing.assert_allclose(skin(vertices, index, weight, linear, offset), [[1, 0, 0], [0, 1, 2], [0.5, 0.5, 1]])


def test_normals_of_a_flat_sheet_point_one_way() -> None:
    places = np.array([[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 1, 5]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    np.testing.assert_allclose(vertex_normals(places, triangles), np.tile([0, 0, 1], (4, 1)))


@pytest.mark.parametrize("seed", range(5))
def test_every_sample_inside_is_drawn_and_no_other(seed: int) -> None:
    """Against the definition: all three weights of a sample's corners are not below 0. Upright edges among them."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-4, 24, (12, 3, 2)).round(1 if seed % 2 else 6)
    corners[0, 1, 0] = corners[0, 0, 0]
    corners[1, 1, 1] = corners[1, 0, 1]
    rows, columns = np.mgrid[:20, :20].astype(np.float64)
    for triangle in corners:
        places = np.concatenate([triangle, np.ones((3, 1))], 1).astype(np.float32)
        (ax, ay), (bx, by), (cx, cy) = places[:, :2].astype(np.float64)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if abs(area) < 0.5:
            continue
        u = ((columns - ax) * (cy - ay) - (rows - ay) * (cx - ax)) / area
        v = ((bx - ax) * (rows - ay) - (by - ay) * (columns - ax)) / area
        least = np.minimum(np.minimum(u, v), 1 - u - v)
        depth, nearest = rasterize(places, np.array([[0, 1, 2]], np.int32), 20, 20)
        assert (nearest[least > 1e-7] == 0).all() and (nearest[least < -1e-7] == -1).all()
        assert np.array_equal(depth < FAR, nearest == 0)


def test_back_faces_face_away() -> None:
    places = np.array([(0, 0, 0), (0, 5, 0), (5, 0, 0)], np.float32)
    assert faces_away(places, np.array([[0, 1, 2], [0, 2, 1]], np.int32)).tolist() == [False, True]


def test_triangles_are_drawn_from_front_to_back() -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform(0, 40, (600, 3)).astype(np.float32)
    triangles = np.arange(600, dtype=np.int32).reshape(200, 3)

    order = _front_to_back(places, triangles)

    assert sorted(order.tolist()) == list(range(200))
    depths = places[triangles[order, 0], 2]
    assert (np.maximum.accumulate(depths) - depths).max() < np.ptp(depths) / 30
    flat = _front_to_back(np.ones_like(places), triangles)
    assert flat.tolist() == list(range(200))


def test_the_order_of_triangles_does_not_matter() -> None:
    rng = np.random.default_rng(6)
    places = rng.uniform(0, 40, (180, 3)).astype(np.float32)
    triangles = np.arange(180, dtype=np.int32).reshape(60, 3)
    depth, nearest = rasterize(places, triangles, 40, 40)
    shuffled = rng.permutation(60)
    again, of_shuffled = rasterize(places, triangles[shuffled], 40, 40)
    assert np.array_equal(depth, again)
    assert np.array_equal(nearest, np.where(of_shuffled < 0, -1, shuffled[of_shuffled]))
