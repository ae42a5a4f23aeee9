"""Runs of frames as times, for messages."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.datatypes.clip import VideoInfo

MOST_RANGES = 3
_SHORT_SECONDS = 0.15
"""A shorter run is told in hundredths: in tenths it may begin and end at one time."""


def seconds_of(run: tuple[int, int], info: VideoInfo) -> float:
    """Return how long the frames [start, stop) are shown."""
    return float(info.durations[run[0] : run[1]].sum() * float(info.time_base))


def times_of(runs: Sequence[tuple[int, int]], info: VideoInfo) -> str:
    """Return the longest runs of frames as "from 1.6 to 3.6 s", in order of time."""
    longest = sorted(sorted(runs, key=lambda run: -seconds_of(run, info))[:MOST_RANGES])
    parts = [_range_of(run, info) for run in longest]
    rest = len(runs) - len(longest)
    more = f" and {rest} more time{'s' if rest > 1 else ''}" if rest else ""
    return "from " + " s, ".join(parts) + " s" + more


def _range_of(run: tuple[int, int], info: VideoInfo) -> str:
    seconds = seconds_of(run, info)
    begin = float(info.pts_seconds[run[0]])
    digits = 2 if seconds < _SHORT_SECONDS else 1
    return f"{begin:.{digits}f} to {begin + seconds:.{digits}f}"
