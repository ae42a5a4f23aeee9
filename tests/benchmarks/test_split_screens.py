"""The layouts of the benchmark of split screens are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.split_screens import behind_panels, is_right, random_layout, random_panels, shown_at_once

ONE = np.full((90, 160, 3), 200, np.uint8)
TWO = np.full((120, 90, 3), 60, np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_both_videos_lie_where_the_layout_says(seed: int) -> None:
    layout = replace(random_layout(np.random.default_rng(seed)), has_shadow=False)
    shown = shown_at_once(ONE, TWO, layout)
    assert shown.shape == (*layout.size_wh[::-1], 3)
    x0, y0, x1, y1 = layout.second
    room = layout.border_px + layout.radius_px
    assert (shown[y0 + room : y1 - room, x0 + room : x1 - room] == 60).all()
    shown[y0:y1, x0:x1] = 200
    x0, y0, x1, y1 = layout.first
    assert (shown[y0:y1, x0:x1] == 200).all()


def test_a_video_found_elsewhere_is_not_right() -> None:
    layout = random_layout(np.random.default_rng(1))
    x0, y0, x1, y1 = layout.second
    assert is_right([(x0 + 2, y0 - 2, x1, y1)], layout)
    assert not is_right([(x0 + 40, y0, x1, y1)], layout)
    assert not is_right([], layout)


def test_panels_lie_in_the_picture_and_let_it_through_by_their_opacity() -> None:
    picture = np.full((360, 640, 3), 200, np.uint8)
    for panel in random_panels(np.random.default_rng(5), (640, 360)):
        x0, y0, x1, y1 = panel.box
        assert 0 <= x0 < x1 <= 640
        assert 0 <= y0 < y1 <= 360
        shown = behind_panels(picture, [panel])
        expected = 200 + panel.opacity * (np.array(panel.color) - 200.0)
        assert np.abs(shown[y0, x1 - 1] - expected).max() <= 1
        assert shown[y0 - 1, x0 - 1].tolist() == [200, 200, 200]
