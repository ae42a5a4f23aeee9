"""What replaces the person lies under the frame's panels."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.panels import Panel
from pipeline.finish.composite import laid_over
from pipeline.finish.panels import background_under_panels, beneath_panels, layer_under_panels
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.translucent import with_panels

BOX = (10, 20, 42, 44)
PANELS = [Panel((16.0, 26.0, 38.0, 40.0), 3.0, (10.0, 20.0, 30.0), 0.55)]


def test_layer_and_background_under_a_panel_are_the_composite_under_it() -> None:
    random = np.random.default_rng(3)
    background = random.integers(0, 256, (24, 32, 3), np.uint8)
    alpha = random.uniform(0, 1, (20, 16)).astype(np.float32)
    color = random.uniform(0, 255, (20, 16, 3)).astype(np.float32)
    layer = PlacedLayer((18, 22, 34, 42), color * alpha[..., None], alpha)
    expected = with_panels(laid_over(background, BOX, layer).astype(np.float32), PANELS, BOX)
    under = layer_under_panels(layer, PANELS)
    assert under is not None
    result = laid_over(background_under_panels(background, BOX, PANELS), BOX, under)
    assert result.astype(np.float32) == pytest.approx(expected, abs=1.6)
    assert not np.array_equal(result, laid_over(background, BOX, layer))


def test_a_frame_is_seen_without_its_panels() -> None:
    before = np.random.default_rng(4).integers(0, 256, (60, 80, 3), np.uint8)
    with_them = np.clip(np.rint(with_panels(before.astype(np.float32), PANELS, (0, 0, 80, 60))), 0, 255)
    assert np.abs(beneath_panels(with_them.astype(np.uint8), PANELS).astype(int) - before).max() <= 2
    assert beneath_panels(before, []) is before
    assert layer_under_panels(None, PANELS) is None
