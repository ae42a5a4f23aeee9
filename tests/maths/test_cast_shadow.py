"""Cast shadows estimated on synthetic ground with a known shadow, and sheared silhouettes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.cast_shadow import cast, shadow_reach
from pipeline.plate.shadow_search import GroundView, ground_view, shadows_of_shot
from tests.support.upright_man import FOOT_PX, HEIGHT_PX, upright_man

_SIZE = (320, 180)


def _views(right: float, up: float, darkness: float, *, stands: bool = False) -> list[GroundView]:
    """A man who walks on textured ground in the sun, or stands."""
    rng = np.random.default_rng(2)
    ground = cv2.GaussianBlur(rng.integers(60, 200, (*_SIZE[::-1], 3)).astype(np.float32), (0, 0), 1.5)
    views = []
    for t in range(14):
        x = 160.0 if stands else 60 + 14.0 * t
        man = upright_man(x, _SIZE)
        shadow = cast(man.astype(np.float32), FOOT_PX, right, up, 2.0)
        lit = 255 * ((ground / 255) ** 2.2 * (1 - darkness * shadow[..., None])) ** (1 / 2.2)
        lit[man] = 40
        # Ankles are a twenty-fifth of the height above the ground.
        ankles = np.array([[x - 7, FOOT_PX - 0.04 * HEIGHT_PX]] * 2)
        view = ground_view(t, lit.astype(np.uint8), man, man, ankles, HEIGHT_PX, HEIGHT_PX)
        assert view is not None
        views.append(view)
    return views


def test_a_shadow_is_a_sheared_silhouette() -> None:
    point = np.zeros((60, 80), np.float32)
    point[19:22, 29:32] = 1
    shadow = cast(point, 40.0, 0.5, 0.25)
    rows, columns = np.nonzero(shadow > 0.4)
    # 20 px above the ground: 10 to the right, 5 up
    assert abs(columns.mean() - 40) < 0.6 and abs(rows.mean() - 35) < 0.6
    assert shadow_reach(20, 0.5, 0.25) == (1, 11, 1) and shadow_reach(20, -0.5, -0.25) == (11, 1, 6)
    assert cast(upright_man(100, _SIZE).astype(np.float32), FOOT_PX, 0.5, 0.0).max() > 0.9


@pytest.mark.parametrize(("right", "up"), [(0.6, 0.2), (-0.45, 0.3), (0.9, -0.2)])
def test_the_shear_and_the_darkness_of_a_known_shadow_are_found(right: float, up: float) -> None:
    found = shadows_of_shot(_views(right, up, 0.5), np.tile(np.eye(3), (14, 1, 1)), 0, 14, _SIZE)
    assert found.shear_at(3) is not None
    np.testing.assert_allclose(found.shear[0], (right, up), atol=0.08)
    assert 0.3 < float(found.darkness[0].mean()) < 0.6
    assert found.darkness.shape == (14, 3) and found.softness_bh.shape == (14,)


def test_no_shadow_is_found_without_one_or_without_evidence() -> None:
    still = np.tile(np.eye(3), (14, 1, 1))
    assert shadows_of_shot(_views(0.6, 0.2, 0.0), still, 0, 14, _SIZE).shear_at(0) is None
    assert shadows_of_shot(_views(0.6, 0.2, 0.5, stands=True), still, 0, 14, _SIZE).shear_at(0) is None
    assert shadows_of_shot(_views(0.6, 0.2, 0.5)[:4], still, 0, 14, _SIZE).shear_at(0) is None
    man = upright_man(100, _SIZE)
    assert (
        ground_view(0, np.zeros((180, 320, 3), np.uint8), man, man, np.full((2, 2), 179.0), HEIGHT_PX, HEIGHT_PX)
        is None
    )


def test_a_wide_penumbra_is_thrown_from_a_smaller_picture_and_only_where_it_is_wanted() -> None:
    man = upright_man(160, _SIZE).astype(np.float32)
    man = cv2.resize(man, None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST)
    foot = 3 * FOOT_PX
    softness = 17.0
    whole = cv2.GaussianBlur(man, (0, 0), softness)
    shear = np.array([[1, -0.6, 0.6 * foot], [0, 0.25, 0.75 * foot]])
    wanted = cv2.warpAffine(whole, shear, man.shape[::-1])
    assert np.abs(cast(man, foot, 0.6, 0.25, softness) - wanted).max() < 0.02
    area = 330, 320, 905, 500
    part = cast(man, foot, 0.6, 0.25, softness, area)
    np.testing.assert_allclose(part, wanted[320:500, 330:905], atol=0.02)
