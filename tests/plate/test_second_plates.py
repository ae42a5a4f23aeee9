"""Between two anchors a frame gets both plates, and what one of them lacks from the other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.plate.placement import assign_plates
from pipeline.plate.plate_set import _mixed, _mixed_evenly, _seen_at


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


@pytest.mark.parametrize("weight", [0.001, 0.25, 0.37, 0.5])
def test_plates_known_everywhere_are_mixed_alike(weight: float) -> None:
    random = np.random.default_rng(4)
    first, second = (random.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(2))
    known = np.full((40, 50), 255, np.uint8)
    shares = np.float32(1 - weight), np.float32(weight)
    wanted, _ = _mixed(first, known, shares[0], second, known, shares[1])
    assert np.array_equal(_mixed_evenly(first, shares[0], second, shares[1]), wanted)


@pytest.mark.parametrize(("corner_xy", "is_all_known"), [((5.5, 4.5), True), ((-0.5, 4), False), ((18, 4), False)])
def test_a_plate_is_known_where_all_of_its_positions_are(corner_xy: tuple[float, float], is_all_known: bool) -> None:
    seen = np.full((30, 40), 255, np.uint8)
    seen[:, 35:] = 0
    at = np.array(corner_xy, np.float32) + np.stack(np.meshgrid(np.arange(18.0), np.arange(20.0)), axis=-1).astype(
        np.float32
    )
    known = _seen_at(seen, at, cv2.INTER_LINEAR)
    assert (known is None) == is_all_known
    assert known is None or (known.min() < 255 and known.max() == 255)
