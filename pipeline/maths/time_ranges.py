"""Runs of frames as times, for messages."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.datatypes.clip import VideoInfo

MOST_RANGES = 3


def seconds_of(run: tuple[int, int], info: VideoInfo) -> float:
    """Return how long the frames [start, stop) are shown."""
    return float(info.durations[run[0] : run[1]].sum() * float(info.time_base))


def times_of(runs: Sequence[tuple[int, int]], info: VideoInfo) -> str:
    """Return the longest runs of frames as "from 1.6 to 3.6 s", in order of time."""
    longest = sorted(sorted(runs, key=lambda run: -seconds_of(run, info))[:MOST_RANGES])
    parts = [
        f"{info.pts_seconds[start]:.1f} to {info.pts_seconds[start] + seconds_of((start, stop), info):.1f}"
        for start, stop in longest
    ]
    more = f" and {len(runs) - len(longest)} more times" if len(runs) > len(longest) else ""
    return "from " + " s, ".join(parts) + " s" + more
