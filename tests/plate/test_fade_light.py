"""The new person fades with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.light import SceneLight
from pipeline.plate.fade_light import picture_level, steps_without, with_fades


def test_the_light_of_a_fade_follows_the_picture_and_no_other_changes() -> None:
    light = SceneLight.daylight(12)
    levels = np.full(12, np.nan)
    levels[[0, 4]] = 0.2, 0.3
    is_faded = np.zeros(12, np.bool_)
    is_faded[5:10] = True
    levels[5:10] = 0.3 * np.array([0.8, 0.5, 0.2, 0.05, 0.0])
    changed = with_fades(light, levels, is_faded)
    for name in ("key_rgb", "ambient_rgb"):
        before, after = getattr(light, name), getattr(changed, name)
        np.testing.assert_array_equal(after[~is_faded], before[~is_faded])
        shares = (after / before)[5:10].mean(axis=1)
        assert shares.tolist() == pytest.approx([0.8, 0.5, 0.2, 0.05, 0.0], abs=1e-5)
    np.testing.assert_array_equal(changed.key_direction, light.key_direction)


def test_without_a_picture_to_compare_with_nothing_changes() -> None:
    light = SceneLight.daylight(4)
    assert with_fades(light, np.full(4, 0.1), np.ones(4, np.bool_)) is light
    assert with_fades(light, np.full(4, 0.1), np.zeros(4, np.bool_)) is light


def test_a_flash_that_an_editor_made_is_no_lamp() -> None:
    steps = np.zeros((12, 3), np.float32)
    steps[4:6] = 0.9
    steps[8:, 2] = 0.5
    is_faded = np.zeros(12, np.bool_)
    is_faded[4:6] = True
    lamp = np.zeros_like(steps)
    lamp[8:, 2] = 0.5
    np.testing.assert_allclose(steps_without(steps, is_faded), lamp, atol=1e-6)
    np.testing.assert_allclose(steps_without(steps, np.zeros(12, np.bool_)), steps, atol=1e-6)


def test_the_level_of_a_picture_is_linear() -> None:
    assert picture_level(np.full((40, 40, 3), 255, np.uint8)) == pytest.approx(1.0)
    assert picture_level(np.full((40, 40, 3), 128, np.uint8)) == pytest.approx(0.216, abs=0.003)
