"""Transitions in which nothing can be measured: the picture spins, zooms or is swept away, and another place is shown.

Frames that are blurred so much look alike, and no cut is found between them. The last clear picture before and the
first one after them tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.survey import CameraMotion, Track
from pipeline.maths.reduce import reduced
from pipeline.maths.smoothing import true_runs
from pipeline.media.pixels import rgb_of
from pipeline.survey.shots import is_same_place, small_size

_LEAST_FRAMES = 3
"""Fewer are a flash or a glitch."""
_MOST_SECONDS = 0.6
"""Longer ones are a scene whose camera cannot be measured."""
_SHORTEST_SHOT_SECONDS = 0.25
"""Fades have dark frames beside the shot's first one."""


def starts_in_transitions(
    clip: FrameSource,
    motion: CameraMotion,
    tracks: Sequence[Track],
    unexplained_change: NDArray[np.float32],
    shot_starts: Sequence[int],
) -> list[int]:
    """Return the first frames of shots that begin within a transition: where the picture changes most.

    Where somebody is seen in all frames of it, the camera follows them, and it is no transition.
    ``unexplained_change`` (T,) as in ``Survey``; where cuts are not looked for it is 0, and there are none.
    """
    if not unexplained_change.any():
        return []
    unmeasured = ~motion.reliable
    unmeasured[list(shot_starts)] = False
    wh = small_size(clip.info.size_wh)
    rate = float(clip.info.frame_rate) or 30.0
    starts: list[int] = []
    for first, stop in true_runs(unmeasured):
        is_short = _LEAST_FRAMES <= stop - first <= _MOST_SECONDS * rate
        if not is_short or first == 0 or stop == len(unmeasured) or _is_followed(tracks, first - 1, stop):
            continue
        start = first + int(np.argmax(unexplained_change[first:stop]))
        if min(abs(start - other) for other in (*shot_starts, len(unmeasured))) < _SHORTEST_SHOT_SECONDS * rate:
            continue
        before, after = (reduced(rgb_of(frame), wh) for frame in clip.frames_at([first - 1, stop]))
        if not is_same_place(before, after):
            starts.append(start)
    return starts


def _is_followed(tracks: Sequence[Track], first: int, last: int) -> bool:
    """Return whether somebody is seen in all frames from ``first`` to ``last``."""
    counts = [np.count_nonzero((track.frames >= first) & (track.frames <= last)) for track in tracks]
    return max(counts, default=0) == last - first + 1
