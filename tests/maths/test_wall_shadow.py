"""Shadows on a synthetic wall with a known place, and silhouettes thrown there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.light import CastShadows, WallShape
from pipeline.maths.cast_shadow import cast
from pipeline.maths.wall_shadow import throw_on_wall
from pipeline.plate.shadow_search import GroundView, ground_view, shadows_of_shot
from tests.support.upright_man import FOOT_PX, HEIGHT_PX, upright_man

_SIZE = (320, 180)
_COUNT = 14
_STILL = np.tile(np.eye(3), (_COUNT, 1, 1))


def _views(
    wall: WallShape | None, darkness: float, *, shear: tuple[float, float] | None = None, feet: bool = True
) -> list[GroundView]:
    """A man who walks along a textured wall, with a shadow on it or on the ground; ``feet``: whether they are known."""
    rng = np.random.default_rng(2)
    scene = cv2.GaussianBlur(rng.integers(60, 200, (*_SIZE[::-1], 3)).astype(np.float32), (0, 0), 1.5)
    views = []
    for t in range(_COUNT):
        x = 60 + 14.0 * t
        man = upright_man(x, _SIZE)
        shadow = np.zeros(_SIZE[::-1], np.float32)
        if wall is not None:
            shadow = throw_on_wall(man.astype(np.float32), (x, 76.0), HEIGHT_PX, wall, softness_px=1.0)
        if shear is not None:
            shadow = np.maximum(shadow, cast(man.astype(np.float32), FOOT_PX, *shear, 2.0))
        lit = 255 * ((scene / 255) ** 2.2 * (1 - darkness * shadow[..., None])) ** (1 / 2.2)
        lit[man] = 40
        ankles = np.full((2, 2), np.nan) if not feet else np.array([[x - 7, FOOT_PX - 0.04 * HEIGHT_PX]] * 2)
        view = ground_view(t, lit.astype(np.uint8), man, man, ankles, HEIGHT_PX, HEIGHT_PX, np.array([x, 76.0]))
        assert view is not None
        views.append(view)
    return views


def _found(views: list[GroundView]) -> CastShadows:
    return shadows_of_shot(views, _STILL, 0, _COUNT, _SIZE)


@pytest.mark.parametrize(
    ("right", "down", "scale", "feet"),
    [(0.35, -0.05, 0.92, True), (-0.3, -0.15, 1.1, True), (0.5, 0.05, 1.0, False)],
)
def test_the_place_and_the_darkness_of_a_shadow_on_a_wall_are_found(
    right: float, down: float, scale: float, feet: bool
) -> None:
    found = _found(_views(WallShape(right, down, scale, 2.0, 0.01), 0.5, feet=feet))
    shape = found.wall_at(3)
    assert shape is not None and found.wall is not None
    np.testing.assert_allclose((shape.right, shape.down), (right, down), atol=0.04)
    assert abs(shape.scale - scale) < 0.06
    assert 0.35 < float(found.wall.darkness[0].mean()) < 0.6
    # The shadow on the wall is not taken for one on the ground.
    assert found.shear_at(3) is None


def test_where_the_wall_ends_is_found() -> None:
    shape = _found(_views(WallShape(0.4, -0.05, 0.95, 0.35, 0.01), 0.5)).wall_at(0)
    assert shape is not None and abs(shape.bottom - 0.35) < 0.06


def test_a_shadow_on_the_ground_is_not_on_a_wall_and_both_are_found_together() -> None:
    on_ground = _found(_views(None, 0.5, shear=(0.6, 0.2)))
    assert on_ground.wall_at(3) is None and on_ground.shear_at(3) is not None
    both = _found(_views(WallShape(-0.4, -0.1, 0.95, 0.4, 0.01), 0.5, shear=(0.6, 0.2)))
    assert both.wall_at(3) is not None
    np.testing.assert_allclose(both.shear_at(3), (0.6, 0.2), atol=0.1)


def test_nothing_is_found_on_a_lit_wall() -> None:
    assert _found(_views(None, 0.0)).wall_at(3) is None
    assert _found(_views(WallShape(0.4, -0.05, 0.95, 2.0, 0.01), 0.5)[:4]).wall_at(3) is None


def test_a_shadow_on_a_wall_is_a_moved_silhouette_that_ends_with_the_wall() -> None:
    point = np.zeros((80, 80), np.float32)
    point[29:32, 29:32] = 1
    shadow = throw_on_wall(point, (30.0, 40.0), 100.0, WallShape(0.1, -0.05, 2.0, 2.0, 0.0))
    rows, columns = np.nonzero(shadow > 0.5)
    # 10 px above the shoulders: twice as far from the shadow's, which are 10 px to the right and 5 px up.
    assert abs(rows.mean() - 15) < 0.6 and abs(columns.mean() - 40) < 0.6
    part = throw_on_wall(point, (30.0, 40.0), 100.0, WallShape(0.1, -0.05, 2.0, 2.0, 0.0), area_xyxy=(20, 5, 60, 40))
    np.testing.assert_array_equal(part, shadow[5:40, 20:60])
    assert not throw_on_wall(point, (30.0, 40.0), 100.0, WallShape(0.1, -0.05, 2.0, -0.3, 0.0)).any()
