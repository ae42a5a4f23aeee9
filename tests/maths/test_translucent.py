"""Panels are laid over a picture and taken away again."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.panels import Panel, Panels
from pipeline.maths.translucent import panel_weight, with_panels, without_panels

PANEL = Panel((4.0, 3.0, 28.0, 17.0), 4.0, (20.0, 60.0, 200.0), 0.6)
BOX = (0, 0, 32, 20)


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(1).uniform(0, 255, (20, 32, 3)).astype(np.float32)


def test_a_panel_is_taken_away_again() -> None:
    before = picture()
    panels = [PANEL, Panel((10.0, 0.0, 20.0, 20.0), 0.0, (255.0, 255.0, 255.0), 0.3)]
    after = with_panels(before, panels, BOX)
    assert np.abs(after - before).max() > 50
    assert without_panels(after, panels, BOX) == pytest.approx(before, abs=0.01)


def test_the_weight_is_the_opacity_inside_and_nothing_outside_with_round_corners() -> None:
    weight = panel_weight(PANEL, BOX)
    assert weight[10, 16] == pytest.approx(0.6)
    assert weight[3, 16] == pytest.approx(0.6)
    assert weight[2, 16] == 0
    assert weight[10, 3] == 0
    assert weight[3, 4] == 0
    area = 24 * 14 - (4 - np.pi) * 4**2
    assert float(weight.sum()) == pytest.approx(0.6 * area, rel=0.01)


def test_a_part_of_the_picture_has_the_same_weights() -> None:
    assert np.array_equal(panel_weight(PANEL, (6, 2, 30, 12)), panel_weight(PANEL, BOX)[2:12, 6:30])


def test_each_panel_is_shown_in_its_own_frames() -> None:
    panels = Panels(
        boxes_xyxy=np.array([[0.0, 0, 8, 8], [2.0, 2, 6, 6]]),
        radii_px=np.array([0.0, 1.0]),
        colors=np.zeros((2, 3)),
        firsts=np.array([3, 4]),
        offsets=np.array([0, 2, 5]),
        opacities=np.array([0.2, 0.5, 0.1, 0.3, 0.4]),
    )
    shown = [[panel.opacity for panel in panels.shown(frame)] for frame in range(2, 8)]
    assert shown == [[], [0.2], [0.5, 0.1], [0.3], [0.4], []]
