"""The side and the share of the key light, from the shadow that it casts."""

from __future__ import annotations

import numpy as np

from pipeline.datatypes.light import CastShadows, SceneLight
from pipeline.maths.illumination import mean_light
from pipeline.maths.shadow_light import light_with_shadow


def _shadows(right: float, darkness: float) -> CastShadows:
    return CastShadows(
        np.array([[right, 0.2], [0, 0]], np.float32),
        np.array([[darkness] * 3, [0, 0, 0]], np.float32),
        np.full(2, 0.01, np.float32),
    )


def _ground_share(light: SceneLight, frame: int) -> float:
    key = float(light.key_rgb[frame].mean()) * -float(light.key_direction[frame, 1])
    return key / (key + float(light.ambient_rgb[frame].mean()))


def test_a_shadow_that_falls_to_the_left_brings_the_light_from_the_right() -> None:
    light = SceneLight.daylight(2)
    assert light.key_direction[0, 0] < 0
    turned = light_with_shadow(light, _shadows(-1.5, 0.7))
    assert turned.key_direction[0, 0] > 0.2
    np.testing.assert_allclose(np.linalg.norm(turned.key_direction, axis=1), 1, atol=1e-5)
    # A frame without a shadow keeps its light.
    np.testing.assert_array_equal(turned.key_direction[1], light.key_direction[1])
    np.testing.assert_array_equal(turned.key_rgb[1], light.key_rgb[1])


def test_a_faint_shadow_bounds_the_key_light_and_the_strength_stays() -> None:
    light = SceneLight.daylight(2)
    assert _ground_share(light, 0) > 0.4
    soft = light_with_shadow(light, _shadows(0.5, 0.25))
    assert abs(_ground_share(soft, 0) - 0.25) < 0.01
    assert _ground_share(light_with_shadow(light, _shadows(0.5, 0.8)), 0) > 0.4
    for frame in (0, 1):
        before = mean_light(light.key_direction[frame], light.key_rgb[frame], light.ambient_rgb[frame])
        after = mean_light(soft.key_direction[frame], soft.key_rgb[frame], soft.ambient_rgb[frame])
        np.testing.assert_allclose(after, before, rtol=1e-4)


def test_no_shadow_changes_nothing() -> None:
    light = SceneLight.daylight(2)
    same = light_with_shadow(light, CastShadows.none(2))
    np.testing.assert_array_equal(same.key_rgb, light.key_rgb)
    np.testing.assert_array_equal(same.key_direction, light.key_direction)
