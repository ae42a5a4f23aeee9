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
from pipeline.plan.likeness import bhattacharyya
from pipeline.plan.linking import looks_of

ABSENT_SECONDS = 1.0
LOOKALIKE = 0.9
"""Similarity above which two people may be confused; see ``likeness.alike``."""
LOOKALIKE_SECONDS = 1.0
UNMARKED_SECONDS = 0.3
EDGE_PX = 3
"""A box this near to the picture's edge means that the person left."""


def doubts_of(
    subject: Subject,
    person: Sequence[Track],
    others: Sequence[Sequence[Track]],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
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
    long = [run for run in true_runs(absent) if seconds_of(run, info) > ABSENT_SECONDS]
    if long:
        lines.append(f"the subject was not seen {times_of(long, info)}: those frames are untouched")
    share = float(np.mean(absent))
    if share >= 0.5:
        lines.append(
            f"the subject was found in {100 * (1 - share):.0f} % of the frames only, and not"
            f" {times_of(true_runs(absent), info)}: the rest is untouched"
        )
    lines.extend(_lookalikes(person, others, info))
    lines.extend(_unmarked(subject, others, info, shot_starts))
    return tuple(lines)


def _unmarked(
    subject: Subject, others: Sequence[Sequence[Track]], info: VideoInfo, shot_starts: NDArray[np.int64]
) -> list[str]:
    """Report when the track of someone close to the subject ended within the picture: their pixels can no longer be
    attributed."""
    lost = np.zeros(info.num_frames, np.bool_)
    for other in others:
        frames = np.concatenate([track.frames for track in other])
        boxes = np.concatenate([track.boxes_xyxy for track in other])
        order = np.argsort(frames)
        frames = frames[order]
        boxes = boxes[order]
        for row in np.flatnonzero(np.diff(frames) > 1):
            run = int(frames[row]) + 1, int(frames[row + 1])
            is_one_shot = not ((shot_starts >= run[0]) & (shot_starts <= run[1])).any()
            if is_one_shot and seconds_of(run, info) > UNMARKED_SECONDS and _are_inside(boxes[row : row + 2], info):
                lost[slice(*run)] |= _is_close(subject, boxes[row : row + 2], run)
    if not lost.any():
        return []
    return [
        f"another person close to the subject was not found {times_of(true_runs(lost), info)}:"
        " what is seen of them there may be changed"
    ]


def _are_inside(boxes_xyxy: NDArray[np.float64], info: VideoInfo) -> bool:
    low, high = boxes_xyxy[:, :2].min(), (np.array(info.size_wh) - boxes_xyxy[:, 2:]).min()
    return bool(min(low, high) > EDGE_PX)


def _is_close(subject: Subject, boxes_xyxy: NDArray[np.float64], run: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,): in which frames of a run the subject is within half a body height of where a track was lost or found."""
    theirs = np.array([*boxes_xyxy[:, :2].min(axis=0), *boxes_xyxy[:, 2:].max(axis=0)])
    reach = 0.5 * subject.body_height_px[slice(*run)]
    own_boxes = subject.boxes_xyxy[slice(*run)]
    apart = np.maximum(theirs[:2] - own_boxes[:, 2:], own_boxes[:, :2] - theirs[2:]).max(axis=1)
    present = subject.presence[slice(*run)] != Presence.ABSENT
    return present & (np.nan_to_num(apart, nan=np.inf) < np.nan_to_num(reach))


def _lookalikes(person: Sequence[Track], others: Sequence[Sequence[Track]], info: VideoInfo) -> list[str]:
    looks = looks_of(person)
    frames: list[NDArray[np.int64]] = []
    for other in others:
        likeness = bhattacharyya(looks, looks_of(other))
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
