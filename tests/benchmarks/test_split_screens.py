"""The layouts of the benchmark of split screens are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.split_screens import is_right, random_layout, shown_at_once

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
