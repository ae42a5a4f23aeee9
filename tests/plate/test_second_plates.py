"""What a frame shows beyond the end of its nearest plate comes from the next one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.maths.geometry import translation
from pipeline.plate.placement import PlateAssignment, chained_warps, spare_weights, with_second_plates
from pipeline.plate.plate_set import _mixed

_SIZE_WH = (200, 100)
_ANCHORS = np.array([0, 12])


def _inputs(person_x: int, step_px: float) -> Any:
    mask = np.zeros(_SIZE_WH[::-1], np.bool_)
    mask[20:90, person_x : person_x + 20] = True
    world = np.stack([translation(step_px * t, 0) for t in range(13)])
    return SimpleNamespace(
        world_from_source=world,
        needed=np.ones(13, np.bool_),
        people_mask=lambda frame: mask,
        body_height_px=70.0,
        size_wh=_SIZE_WH,
    )


def _weights(person_x: int, step_px: float) -> np.ndarray:
    rows = np.array([(0, 1) if t <= 6 else (1, 0) for t in range(13)], np.int32)
    nearest = PlateAssignment(rows, np.array([0, 0, 0, 0, 0.2, 0.4, 0.5, 0.4, 0.2, 0, 0, 0, 0], np.float32))
    inputs = _inputs(person_x, step_px)
    from_source = chained_warps(inputs.world_from_source, _ANCHORS, nearest)
    return with_second_plates(nearest, from_source, inputs).second_weight


def test_only_frames_whose_people_reach_beyond_the_nearest_plate_get_a_second_one() -> None:
    still = _weights(170, 0.0)
    assert np.flatnonzero(still).tolist() == [4, 5, 6, 7, 8]
    in_the_middle = _weights(90, 4.0)
    np.testing.assert_array_equal(in_the_middle, still)
    at_the_right = _weights(172, 4.0)
    # Panning to the right, frames after the first anchor show what it does not.
    assert (at_the_right[1:4] > 0).all() and (at_the_right[9:] == 0).all() and at_the_right[0] == 0
    assert at_the_right[1] < 0.05 and at_the_right[4] == still[4]


def test_spare_plates_are_told_from_those_that_are_blended() -> None:
    rows = np.array([(0, 1), (0, 1), (0, -1)], np.int32)
    nearest = PlateAssignment(rows, np.array([0.0, 0.4, 0.0], np.float32))
    widened = PlateAssignment(rows, np.array([0.01, 0.4, 0.0], np.float32))
    np.testing.assert_allclose(spare_weights(nearest, widened), [0.01, 0, 0])


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
