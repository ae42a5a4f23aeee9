"""Warnings about how certain the choice of the subject is: plain sentences with times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.datatypes.survey import Track
from pipeline.maths.smoothing import true_runs
from pipeline.maths.time_ranges import seconds_of, times_of
from pipeline.plan.linking import likeness_of

ABSENT_SECONDS = 1.0
MISSED_SECONDS = 0.1
"""Between frames that show the subject a shorter absence is told, too: there the original person may be left."""
LOOKALIKE = 0.9
"""Similarity above which two people may be confused; see ``likeness.alike``."""
LOOKALIKE_SECONDS = 1.0


def doubts_of(
    subject: Subject,
    person: Sequence[Track],
    others: Sequence[Sequence[Track]],
    info: VideoInfo,
) -> tuple[str, ...]:
    """Return one sentence per reason to check the result; empty where there is no doubt."""
    absent = subject.presence == Presence.ABSENT
    uncertain = subject.presence == Presence.UNCERTAIN
    lines = []
    if uncertain.any():
        frames = "1 frame" if np.count_nonzero(uncertain) == 1 else f"{np.count_nonzero(uncertain)} frames"
        lines.append(
            f"the subject's place was filled in for {frames} in which the subject was not clearly visible"
            f" ({times_of(true_runs(uncertain), info)})"
        )
    long = [run for run in true_runs(absent) if seconds_of(run, info) > _told_from(run, len(absent))]
    if long:
        lines.append(f"the subject was not seen {times_of(long, info)}: those frames are untouched")
    share = float(np.mean(absent))
    if share >= 0.5:
        lines.append(
            f"the subject was found in {100 * (1 - share):.0f} % of the frames only, and not"
            f" {times_of(true_runs(absent), info)}: the rest is untouched"
        )
    lines.extend(_lookalikes(person, others, info))
    lines.extend(_unmarked(subject.others_lost, info))
    return tuple(lines)


def _told_from(run: tuple[int, int], num_frames: int) -> float:
    """Return the seconds from which an absence is told: whoever has yet to come in or has left is not missed."""
    is_between = run[0] > 0 and run[1] < num_frames
    return MISSED_SECONDS if is_between else ABSENT_SECONDS


def _unmarked(lost: NDArray[np.bool_] | None, info: VideoInfo) -> list[str]:
    if lost is None or not lost.any():
        return []
    return [
        f"another person close to the subject was not found {times_of(true_runs(lost), info)}:"
        " what is seen of them there may be changed"
    ]


def _lookalikes(person: Sequence[Track], others: Sequence[Sequence[Track]], info: VideoInfo) -> list[str]:
    frames: list[NDArray[np.int64]] = []
    for other in others:
        likeness = likeness_of(person, other)
        theirs = np.concatenate([track.frames for track in other])
        if likeness is not None and likeness >= LOOKALIKE and len(theirs) >= LOOKALIKE_SECONDS * info.frame_rate:
            frames.append(theirs)
    if not frames:
        return []
    seen = np.zeros(info.num_frames, np.bool_)
    seen[np.concatenate(frames)] = True
    who = "somebody who looks" if len(frames) == 1 else f"{len(frames)} people who look"
    return [
        f"{who} like the subject can be seen {times_of(true_runs(seen), info)}:"
        " if the wrong one was replaced, name the right one by points at several times"
    ]
