from __future__ import annotations

import numpy as np

from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.plan.trunk_lean import with_steady_trunk

HEIGHT_PX = 200.0
FRAMES = 150
SECONDS = np.arange(FRAMES) / 30
HEIGHTS = np.full(FRAMES, HEIGHT_PX)
TIPPED = slice(60, 84)


def standing(lean_px: np.ndarray, length_px: np.ndarray) -> np.ndarray:
    """(T, 23, 3): shoulders ``length_px`` above the hips and ``lean_px`` behind them, everything else at the hips."""
    skeletons = np.zeros((FRAMES, len(JOINT), 3))
    skeletons[:, SHOULDERS, 1] = -length_px[:, None]
    skeletons[:, [*SHOULDERS, JOINT["left_wrist"]], 2] = lean_px[:, None]
    return skeletons


def test_a_trunk_that_tips_without_being_foreshortened_is_steadied_with_all_that_hangs_from_it() -> None:
    lean = np.full(FRAMES, -8.0)
    lean[TIPPED] = 6.0
    given = standing(lean, np.full(FRAMES, 60.0))
    steady = with_steady_trunk(given, SECONDS, HEIGHTS)
    assert np.abs(steady[TIPPED, SHOULDERS[0], 2] - -8.0).max() < 3
    np.testing.assert_allclose(steady[:, JOINT["left_wrist"], 2], steady[:, SHOULDERS[0], 2])
    np.testing.assert_array_equal(steady[:, HIPS], given[:, HIPS])
    np.testing.assert_array_equal(steady[..., :2], given[..., :2])


def test_a_bow_keeps_its_lean() -> None:
    lean = np.full(FRAMES, -8.0)
    lean[TIPPED] = -60.0
    length = np.full(FRAMES, 60.0)
    length[TIPPED] = 40.0
    given = standing(lean, length)
    np.testing.assert_allclose(with_steady_trunk(given, SECONDS, HEIGHTS)[TIPPED], given[TIPPED])


def test_without_a_trunk_nothing_changes() -> None:
    given = np.full((FRAMES, len(JOINT), 3), np.nan)
    np.testing.assert_array_equal(with_steady_trunk(given, SECONDS, HEIGHTS), given)
