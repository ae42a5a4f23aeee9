"""A warning about the times at which what the subject carries was not recognized."""

from __future__ import annotations

import numpy as np

from pipeline.finish.carried_doubts import carried_doubts
from tests.support.clip_info import video_info

INFO = video_info(150, (64, 48))


def series(carried: np.ndarray) -> dict[str, np.ndarray]:
    frames = np.arange(len(carried), dtype=float)
    return {
        "frame": frames,
        "carried_px": carried,
        "things_px": carried.copy(),
        "old_px": np.full(len(carried), 9000.0),
    }


def test_a_thing_that_is_lost_in_between_is_named_with_the_times() -> None:
    carried = np.full(150, 400.0)
    carried[60:75] = 30
    (warning,) = carried_doubts(series(carried), INFO)
    assert "carries was not recognized" in warning
    start, duration = INFO.pts_seconds[60], 15 / float(INFO.frame_rate)
    assert f"from {start:.1f} to {start + duration:.1f} s" in warning


def test_what_is_taken_up_put_down_or_never_there_is_not_lost() -> None:
    assert carried_doubts(series(np.full(150, 400.0)), INFO) == ()
    assert carried_doubts(series(np.zeros(150)), INFO) == ()
    taken_up = np.where(np.arange(150) > 80, 400.0, 0.0)
    assert carried_doubts(series(taken_up), INFO) == ()
    specks = np.where(np.arange(150) % 3, 0.0, 12.0)
    assert carried_doubts(series(specks), INFO) == ()


def test_a_thing_that_leaves_the_hand_is_not_lost() -> None:
    thrown = series(np.where((np.arange(150) > 60) & (np.arange(150) < 90), 0.0, 400.0))
    thrown["things_px"][:] = 400.0
    assert carried_doubts(thrown, INFO) == ()
