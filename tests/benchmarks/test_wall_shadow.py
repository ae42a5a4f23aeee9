"""The shadows that the benchmark draws on a wall are where its shape says, and end with the wall."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np

from benchmarks.figures import Truth
from benchmarks.wall_shadow import wall_shadows
from pipeline.datatypes.light import WallShape


def test_a_drawn_shadow_is_moved_by_the_shape_and_follows_the_foot_of_the_wall() -> None:
    mask = np.zeros((2, 120, 160), np.bool_)
    mask[:, 20:100, 50:70] = True
    keypoints = np.zeros((2, 17, 2))
    keypoints[:, 5:7] = (60, 35)
    tracks = np.array([[x, y] for x in range(5, 150, 20) for y in range(5, 115, 20)], np.float64)
    truth = cast(
        Truth,
        SimpleNamespace(
            body_height_px=np.full(2, 80.0),
            bg_tracks=np.stack([tracks, tracks + np.array([3.0, 4.0])]),
            bg_visible=np.ones((2, len(tracks)), np.bool_),
        ),
    )
    first, second = wall_shadows(mask, keypoints, truth, WallShape(0.5, -0.1, 1.0, 2.0, 0.0), 60.0)
    rows, columns = np.nonzero(first > 0.5)
    assert columns.min() == 90 and columns.max() == 109
    assert rows.min() == 12 and rows.max() == 59
    # The camera moved by 4 px, and with it the foot of the wall; the man did not.
    rows, columns = np.nonzero(second > 0.5)
    assert rows.min() == 12 and rows.max() == 63
