"""List the people of a clip so that a caller can choose: when each is visible, how large, and where best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Track
from pipeline.errors import InvalidInput
from pipeline.maths.boxes import overlap_of_smaller
from pipeline.mode_results import BoxInStill, PersonPoint, PersonReport
from pipeline.plan.points import person_at
from pipeline.plan.subject import pick_person
from pipeline.request import NAMED_CHOICES, PointChoice

MAX_PEOPLE = 64
"""Largest number of people that can be chosen by index."""
EDGE_SHARE = 0.01
"""Of the picture's width and height: a box this near to the edge counts as cut off."""
CUT_WEIGHT, HIDDEN_WEIGHT = 0.3, 0.9
"""Penalties of a still in which a person is cut off by the picture's edge, and fully covered by somebody else."""


def describe_people(persons: Sequence[tuple[Track, ...]], info: VideoInfo) -> tuple[PersonReport, ...]:
    """Return a description of each person, in order of first appearance; at most ``MAX_PEOPLE``."""
    named: dict[int, list[str]] = {}
    for choice in NAMED_CHOICES:
        named.setdefault(pick_person(persons, info, choice), []).append(choice)
    boxes_in_frame = _boxes_by_frame(persons)
    return tuple(
        _describe(number, persons, info, boxes_in_frame, tuple(named.get(number, ())))
        for number in range(min(len(persons), MAX_PEOPLE))
    )


def _boxes_by_frame(persons: Sequence[tuple[Track, ...]]) -> dict[int, list[tuple[int, NDArray[np.float64]]]]:
    """Return for every frame with people (number, box (4,)) of each."""
    boxes: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for number, person in enumerate(persons):
        for track in person:
            for frame, box in zip(track.frames.tolist(), track.boxes_xyxy, strict=True):
                boxes.setdefault(frame, []).append((number, box))
    return boxes


def _describe(
    number: int,
    persons: Sequence[tuple[Track, ...]],
    info: VideoInfo,
    boxes_in_frame: dict[int, list[tuple[int, NDArray[np.float64]]]],
    chosen_by: tuple[str, ...],
) -> PersonReport:
    person = persons[number]
    frames = np.unique(np.concatenate([track.frames for track in person]))
    boxes = np.concatenate([track.boxes_xyxy for track in person])
    seconds = info.pts_seconds
    durations = info.durations[frames] * float(info.time_base)
    track, row = _best_row(number, person, info, boxes_in_frame)
    frame = int(track.frames[row])
    beside = [
        BoxInStill(number=other, box_xyxy=_rounded(box))
        for other, box in boxes_in_frame[frame]
        if other != number and other < MAX_PEOPLE
    ]
    return PersonReport(
        number=number,
        chosen_by=chosen_by,
        first_s=round(float(seconds[frames[0]]), 6),
        last_s=round(float(seconds[frames[-1]] + durations[-1]), 6),
        seen_s=round(float(durations.sum()), 6),
        seen_frames=len(frames),
        height_percent=round(100 * float(np.median(boxes[:, 3] - boxes[:, 1])) / info.size_wh[1], 1),
        still_frame=frame,
        box_xyxy=_rounded(track.boxes_xyxy[row]),
        point=_telling_point(number, persons, info, track, row),
        others=tuple(beside),
    )


def _rounded(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(value), 1) for value in box)
    return x0, y0, x1, y1


def _best_row(
    number: int,
    person: tuple[Track, ...],
    info: VideoInfo,
    boxes_in_frame: dict[int, list[tuple[int, NDArray[np.float64]]]],
) -> tuple[Track, int]:
    """Return track and row in which a person is best visible: large, confident, complete and unoccluded."""
    best: tuple[float, Track, int] | None = None
    for track in person:
        for row, frame in enumerate(track.frames.tolist()):
            box = track.boxes_xyxy[row]
            others = [other for owner, other in boxes_in_frame[frame] if owner != number]
            hidden = max((float(overlap_of_smaller(box, other)) for other in others), default=0.0)
            worth = float(track.scores[row]) * float(box[3] - box[1]) * (1 - HIDDEN_WEIGHT * hidden)
            if _is_cut(box, info):
                worth *= CUT_WEIGHT
            if best is None or worth > best[0]:
                best = worth, track, row
    assert best is not None
    return best[1], best[2]


def _is_cut(box: NDArray[np.float64], info: VideoInfo) -> bool:
    width, height = info.size_wh
    room_x, room_y = EDGE_SHARE * width, EDGE_SHARE * height
    return bool(box[0] < room_x or box[1] < room_y or box[2] > width - 1 - room_x or box[3] > height - 1 - room_y)


def _telling_point(
    number: int, persons: Sequence[tuple[Track, ...]], info: VideoInfo, track: Track, row: int
) -> PersonPoint | None:
    """Return a joint in the still that identifies this person alone; None where every joint would select another
    one."""
    x0, y0, x1, y1 = track.boxes_xyxy[row]
    joints = track.joints[row].astype(np.float64)
    inside = (joints[:, 0] > x0) & (joints[:, 0] < x1) & (joints[:, 1] > y0) & (joints[:, 1] < y1)
    middle = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])
    order = np.argsort(-joints[inside, 2], kind="stable")
    at_s = float(info.pts_seconds[track.frames[row]])
    for x, y in np.concatenate([middle, joints[inside][order, :2]]).tolist():
        point = PointChoice(round(max(x, 0.0), 1), round(max(y, 0.0), 1), round(at_s, 6))
        try:
            if person_at(persons, info, point) == number:
                return PersonPoint(x=point.x, y=point.y, at_s=point.at_s)
        except InvalidInput:
            continue
    return None
