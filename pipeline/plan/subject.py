"""Choose the subject among the people of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Subject
from pipeline.datatypes.survey import Track
from pipeline.errors import InvalidInput, NoPerson
from pipeline.maths.smoothing import shot_slices
from pipeline.plan.doubts import doubts_of
from pipeline.plan.gaps import subject_of_tracks
from pipeline.plan.hidden_gaps import boxes_by_frame
from pipeline.plan.linking import link_tracklets
from pipeline.plan.lost_people import others_lost
from pipeline.plan.points import person_at, person_by_points
from pipeline.plan.unfound_others import others_moved
from pipeline.request import NamedChoice, PointChoice, SubjectChoice

MIN_PERSON_SECONDS = 0.15
"""A shorter appearance in a longer shot is a false detection."""
MIN_SHARE_OF_LARGEST = 0.1
"""leftmost, rightmost and centre are chosen among people with at least this fraction of the largest one's time ×
area."""


def choose_subject(
    tracks: tuple[Track, ...],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world_from_source: Transforms,
    max_gap_seconds: float,
    choice: SubjectChoice = "largest",
    is_faded: NDArray[np.bool_] | None = None,
) -> tuple[Subject, tuple[str, ...]]:
    """Return the chosen person over all frames, and warnings.

    ``largest`` is the greatest sum of time × area; an index counts persons in order of first appearance, from 0;
    several points correct each other (``points.person_by_points``).
    Gaps of up to ``max_gap_seconds`` are interpolated, longer ones where somebody else occludes them throughout, and a
    person cut off by the picture's edge is extrapolated for ``EDGE_SECONDS``, as is one not found in the frames of a
    fade (``is_faded``, (T,)) at a shot's end: those frames are ``UNCERTAIN``. Joints and skeletons are smoothed in
    ``world``.

    Raises ``NoPerson`` where nobody is in the clip, ``InvalidInput`` where the choice selects nobody.
    """
    persons = find_persons(tracks, info, shot_starts, world_from_source)
    if not persons:
        raise NoPerson("Nobody was found anywhere in the clip.")
    if isinstance(choice, tuple):
        person = person_by_points(persons, info, shot_starts, choice)
        others = [other for other in persons if not set(map(_key, other)) & set(map(_key, person))]
        named = "by points"
    else:
        chosen = pick_person(persons, info, choice)
        person = persons[chosen]
        others = [*persons[:chosen], *persons[chosen + 1 :]]
        named = f"person {chosen} (of 0..{len(persons) - 1})"
    subject = subject_of_tracks(
        person, info, shot_starts, world_from_source, max_gap_seconds, boxes_by_frame(others), is_faded
    )
    subject = replace(
        subject,
        others_lost=others_lost(subject, others, info, shot_starts),
        others_moved=others_moved(subject, others, info, shot_starts, world_from_source),
    )
    warnings = [*doubts_of(subject, person, others, info)]
    if len(persons) > 1:
        warnings.append(f"{len(persons)} people are in the clip; {named} is replaced")
    return subject, tuple(warnings)


def find_persons(
    tracks: tuple[Track, ...],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world_from_source: Transforms,
) -> list[tuple[Track, ...]]:
    """Return every possible subject, each as a tuple of tracks, in order of first appearance."""
    persons = link_tracklets(tracks, shot_starts, info.pts_seconds, world_from_source)
    return [person for person in persons if _is_long_enough(person, info, shot_starts)]


def _key(track: Track) -> tuple[int, int]:
    """Key that identifies a piece of a track."""
    return track.track_id, int(track.frames[-1])


def _is_long_enough(person: tuple[Track, ...], info: VideoInfo, shot_starts: NDArray[np.int64]) -> bool:
    frames = np.concatenate([track.frames for track in person])
    needed = max(2, round(MIN_PERSON_SECONDS * float(info.frame_rate)))
    longest_shot = max(
        shot.stop - shot.start
        for shot in shot_slices(shot_starts, info.num_frames)
        if ((frames >= shot.start) & (frames < shot.stop)).any()
    )
    return bool(len(frames) >= min(needed, longest_shot))


def pick_person(persons: Sequence[tuple[Track, ...]], info: VideoInfo, choice: NamedChoice | int | PointChoice) -> int:
    """Return the index of the chosen person. Raises ``InvalidInput`` where the choice selects nobody."""
    if isinstance(choice, PointChoice):
        return person_at(persons, info, choice)
    if isinstance(choice, int):
        if not 0 <= choice < len(persons):
            known = "only person 0" if len(persons) == 1 else f"persons 0 to {len(persons) - 1}"
            raise InvalidInput(f"there is no person {choice}: the clip has {known}", field="subject")
        return choice
    boxes = [np.concatenate([track.boxes_xyxy for track in person]) for person in persons]
    frames = [np.concatenate([track.frames for track in person]) for person in persons]
    seconds = info.durations * float(info.time_base)
    sizes = [
        float(((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) * seconds[frame]).sum())
        for box, frame in zip(boxes, frames, strict=True)
    ]
    if choice == "largest":
        return int(np.argmax(sizes))
    middles = [float(np.median((box[:, 0] + box[:, 2]) / 2)) for box in boxes]
    scores = {
        "leftmost": [-x for x in middles],
        "rightmost": middles,
        "centre": [-abs(x - (info.size_wh[0] - 1) / 2) for x in middles],
    }[choice]
    able = [i for i, size in enumerate(sizes) if size >= MIN_SHARE_OF_LARGEST * max(sizes)]
    return max(able, key=lambda i: scores[i])
