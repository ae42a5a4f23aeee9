"""Where other people are while they pass the subject and are not found for a moment.

Somebody who passes behind the subject is found before and after. In between their pixels have no mask, and their colors
alone do not tell them from what the subject carries, or from the subject's own hair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import MovedMasks, Presence, Subject
from pipeline.datatypes.survey import Track
from pipeline.joints import HIPS
from pipeline.maths.geometry import apply_transform

_LONGEST_SECONDS = 1.0
"""Over longer times a straight course is a guess, and so is the phase of a stride."""
_BEFORE_SECONDS = 0.5
"""How long before and after a gap the mask is taken from: at its ends the person is half hidden already."""
_CLOSE_BH = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """One person's detections in order of time."""

    frames: NDArray[np.int64]
    track_ids: NDArray[np.int64]
    hips: NDArray[np.float64]
    """(N, 2) source px."""
    boxes_xyxy: NDArray[np.float64]
    mask_px: NDArray[np.int64]

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> _Person:
        frames = np.concatenate([track.frames for track in tracks])
        order = np.argsort(frames, kind="stable")
        hips = [track.joints[:, HIPS, :2].astype(np.float64).mean(axis=1) for track in tracks]
        return cls(
            frames[order],
            np.concatenate([np.full(len(track.frames), track.track_id) for track in tracks])[order],
            np.concatenate(hips)[order],
            np.concatenate([track.boxes_xyxy for track in tracks])[order],
            np.concatenate([track.mask_px for track in tracks])[order],
        )


def others_moved(
    subject: Subject,
    others: Sequence[Sequence[Track]],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world_from_source: Transforms,
) -> MovedMasks | None:
    """Return the masks of the others in short gaps close to the subject; None where there are none.

    The largest masks shortly before and after a gap are moved along a straight course of the hips in ``world``.
    """
    rows: list[tuple[int, int, int, float, float]] = []
    for other in others:
        person = _Person.of(other)
        for before, after in _gaps(person, info, shot_starts):
            rows += _moved(person, before, after, subject, info, world_from_source)
    if not rows:
        return None
    table = np.array(sorted(rows), np.float64)
    frames, sources, tracks = table[:, :3].astype(np.int64).T
    return MovedMasks(frames, sources, tracks, table[:, 3:].copy())


def _gaps(person: _Person, info: VideoInfo, shot_starts: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield the rows before and after each short gap within a shot."""
    seconds = info.pts_seconds[person.frames]
    shots = np.searchsorted(shot_starts, person.frames, side="right")
    for row in np.flatnonzero(np.diff(person.frames) > 1).tolist():
        if seconds[row + 1] - seconds[row] <= _LONGEST_SECONDS and shots[row] == shots[row + 1]:
            yield row, row + 1


def _moved(
    person: _Person, before: int, after: int, subject: Subject, info: VideoInfo, world_from_source: Transforms
) -> Iterator[tuple[int, int, int, float, float]]:
    """Yield frame, source frame, track and offset of both masks in each frame of a gap."""
    seconds = info.pts_seconds
    times = seconds[person.frames]
    ends = []
    for gap_end, rows in ((before, range(before + 1)), (after, range(after, len(times)))):
        # A row of another shot lies farther away in time, or is not of this person.
        near = [row for row in rows if abs(times[row] - times[gap_end]) <= _BEFORE_SECONDS and _is_known(person, row)]
        if near:
            ends.append(max(near, key=lambda row: (person.mask_px[row], -abs(row - gap_end))))
    if len(ends) < 2:
        return
    places = [apply_transform(world_from_source[person.frames[row]], person.hips[row][None])[0] for row in ends]
    for frame in range(int(person.frames[before]) + 1, int(person.frames[after])):
        share = (seconds[frame] - times[ends[0]]) / (times[ends[1]] - times[ends[0]])
        in_world = (1 - share) * places[0] + share * places[1]
        hips = apply_transform(np.linalg.inv(world_from_source[frame]), in_world[None])[0]
        for row in ends:
            x, y = (float(value) for value in hips - person.hips[row])
            if _is_close(subject, frame, person.boxes_xyxy[row] + (x, y, x, y)):
                yield frame, int(person.frames[row]), int(person.track_ids[row]), x, y


def _is_known(person: _Person, row: int) -> bool:
    return bool(np.isfinite(person.hips[row]).all() and person.mask_px[row] > 0)


def _is_close(subject: Subject, frame: int, box_xyxy: NDArray[np.float64]) -> bool:
    """Return whether a box lies within reach of the subject."""
    if subject.presence[frame] == Presence.ABSENT:
        return False
    own = subject.boxes_xyxy[frame]
    apart = float(np.maximum(box_xyxy[:2] - own[2:], own[:2] - box_xyxy[2:]).max())
    return apart < _CLOSE_BH * float(subject.body_height_px[frame])
