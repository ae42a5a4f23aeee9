"""Runs of frames as times."""

from __future__ import annotations

from pipeline.maths.time_ranges import times_of
from tests.support.clip_info import video_info


def test_runs_are_told_by_their_times_the_longest_ones_first_chosen() -> None:
    info = video_info(150)
    assert times_of([(0, 45)], info) == "from 0.0 to 1.5 s"
    assert times_of([(90, 120), (0, 30)], info) == "from 0.0 to 1.0 s, 3.0 to 4.0 s"
    runs = [(0, 10), (20, 31), (40, 52), (60, 73)]
    assert times_of(runs, info) == "from 0.7 to 1.0 s, 1.3 to 1.7 s, 2.0 to 2.4 s and 1 more time"
    assert times_of([*runs, (100, 105)], info).endswith(" and 2 more times")


def test_a_single_frame_does_not_end_when_it_begins() -> None:
    assert times_of([(6, 7)], video_info(150)) == "from 0.20 to 0.23 s"
    assert times_of([(0, 1)], video_info(150, fps=60)) == "from 0.00 to 0.02 s"
