"""Resolve the points that a caller clicked to a person: one point selects, several correct each other over time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Track
from pipeline.errors import InvalidInput
from pipeline.plan.pieces import part_of
from pipeline.request import PointChoice

NEAR_SECONDS = 0.15
"""A person not detected in the exact frame of a point may be in one this near."""


def person_at(persons: Sequence[Sequence[Track]], info: VideoInfo, choice: PointChoice) -> int:
    """Return the index of the person at a point; of several, the one whose joints are nearest.

    Raises ``InvalidInput`` where there is nobody.
    """
    frame = _frame_of(info, choice)
    seconds = info.pts_seconds
    point = np.array([choice.x, choice.y])
    near: list[tuple[float, float, int]] = []
    for index, person in enumerate(persons):
        for track in person:
            row = int(np.argmin(np.abs(seconds[track.frames] - seconds[frame])))
            apart_s = abs(float(seconds[track.frames[row]] - seconds[frame]))
            box = track.boxes_xyxy[row]
            if apart_s <= NEAR_SECONDS and (box[:2] <= point).all() and (point <= box[2:]).all():
                joints = np.linalg.norm(track.joints[row, :, :2] - point, axis=1)
                apart = float(np.nanmin(joints)) if np.isfinite(joints).any() else 0.0
                near.append((apart_s, apart, index))
    if not near:
        raise InvalidInput(f"nobody is at ({choice.x:g}, {choice.y:g}) at {choice.at_s:g} s", field="subject")
    return min(near)[2]


def person_by_points(
    persons: Sequence[tuple[Track, ...]],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    points: Sequence[PointChoice],
) -> tuple[Track, ...]:
    """Return the tracks of the person that several points select.

    Where two consecutive points select different persons, a track was assigned to the wrong one in between: it is
    switched at the first cut between the points, or else where the two are nearest to each other.
    """
    ordered = sorted(points, key=lambda choice: choice.at_s)
    named = [(_frame_of(info, choice), person_at(persons, info, choice)) for choice in ordered]
    borders = [0]
    owners = [named[0][1]]
    for (before, one), (after, other) in pairwise(named):
        if one != other:
            borders.append(_changeover(persons[one], persons[other], before, after, shot_starts))
            owners.append(other)
    borders.append(info.num_frames)
    parts: list[Track] = []
    for owner, (start, stop) in zip(owners, pairwise(borders), strict=True):
        for track in persons[owner]:
            first, last = np.searchsorted(track.frames, [start, stop])
            if first < last:
                parts.append(part_of(track, int(first), int(last)))
    return tuple(parts)


def _frame_of(info: VideoInfo, choice: PointChoice) -> int:
    return int(np.argmin(np.abs(info.pts_seconds - choice.at_s)))


def _changeover(
    one: Sequence[Track], other: Sequence[Track], before: int, after: int, shot_starts: NDArray[np.int64]
) -> int:
    cuts = shot_starts[(shot_starts > before) & (shot_starts <= after)]
    if len(cuts):
        return int(cuts[0])
    frames = np.arange(before + 1, after + 1)
    apart = np.linalg.norm(_path(one, frames) - _path(other, frames), axis=1)
    return int(frames[np.argmin(apart)]) if len(frames) else after


def _path(person: Sequence[Track], frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, 2) box centers, held and interpolated where the person is not detected."""
    at = np.concatenate([track.frames for track in person])
    boxes = np.concatenate([track.boxes_xyxy for track in person])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.column_stack([np.interp(frames, at, middles[:, axis]) for axis in range(2)])
