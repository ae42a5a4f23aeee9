"""Between two anchors a frame gets both plates, and what one of them lacks from the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.plate.placement import assign_plates
from pipeline.plate.plate_set import _mixed


def _plan(frame: int, shot: tuple[int, int]) -> Any:
    return SimpleNamespace(frame=frame, shot_start=shot[0], shot_stop=shot[1])


def test_the_weight_of_two_plates_changes_evenly_from_one_anchor_to_the_next() -> None:
    assigned = assign_plates(20, [_plan(2, (0, 15)), _plan(12, (0, 15)), _plan(17, (15, 20))])
    first_weight = [
        float(np.where(rows == 0, [1 - weight, weight], 0).sum())
        for rows, weight in zip(assigned.plate_rows[2:13], assigned.second_weight[2:13], strict=True)
    ]
    np.testing.assert_allclose(first_weight, np.linspace(1, 0, 11), atol=1e-6)
    # Outside of the anchors, and in a shot with one, there is only one plate.
    assert (assigned.second_weight[[0, 1, 13, 14, *range(15, 20)]] == 0).all()
    assert (assigned.plate_rows[15:] == [2, -1]).all()


def test_a_plate_of_little_weight_is_used_where_the_other_ends_and_nowhere_else() -> None:
    first = np.full((4, 8, 3), 100, np.uint8)
    second = np.full((4, 8, 3), 200, np.uint8)
    known = np.full((4, 8), 255, np.uint8)
    ended = known.copy()
    ended[:, 5:] = 0
    picture, seen = _mixed(first, ended, np.float32(0.99), second, known, np.float32(0.01))
    assert seen.all() and (picture[:, :5] <= 101).all() and (picture[:, 5:] >= 198).all()
    nowhere = np.zeros_like(known)
    assert not _mixed(first, nowhere, np.float32(0.99), second, nowhere, np.float32(0.01))[1].any()
