"""Cut time: shots at hard cuts, segments by the subject's motion, chunks by length."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.plan import Chunk, Presence, Segment, Subject
from pipeline.joints import JOINT
from pipeline.maths.geometry import apply_transform, pair_motions
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth, shot_slices, true_runs, velocity
from pipeline.settings import SegmentSettings

_SPEED_SIGMA_SECONDS = 0.1
_HOLD_SHARE_OF_WALK = 0.18
_HOLD_SPEED_BH_PER_S = (0.10, 0.25)
"""Bounds of the speed below which the subject stands still: sway of the landmarks, a slow stroll."""
_SHORTEST_HOLD_SECONDS = 0.4
_SHORTEST_MOVE_SECONDS = 0.25
_LONGEST_ONSET_SECONDS = 0.3


_Kind = Literal["approach", "hold", "exit", "whole", "part"]


def cut_segments(
    subject: Subject,
    world_from_source: Transforms,
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    settings: SegmentSettings,
) -> tuple[Segment, ...]:
    """Cut each shot into segments; every frame belongs to exactly one.

    ``settings.count`` 0: one segment ("whole") in shots under ``short_shot_seconds``, else three. Three segments are
    approach, hold and exit, from the speed of the hips with camera motion removed; where motion is inconclusive, three
    equal "part"s. Other counts give equal parts. A shot with fewer frames than segments gets one segment per frame.
    """
    segments: list[Segment] = []
    for number, shot in enumerate(shot_slices(shot_starts, len(pts_seconds))):
        length = shot.stop - shot.start
        count = num_segments(_seconds(pts_seconds, shot), length, settings)
        segment_kinds: tuple[_Kind, ...]
        hold = find_hold(subject, world_from_source, pts_seconds, shot) if count == 3 else None
        if hold is not None:
            borders = [shot.start, *hold, shot.stop]
            segment_kinds = ("approach", "hold", "exit")
        else:
            borders = equal_borders(shot.start, shot.stop, count)
            kind: _Kind = "whole" if count == 1 else "part"
            segment_kinds = (kind,) * count
        segments.extend(
            Segment(number, a, b, kind) for (a, b), kind in zip(pairwise(borders), segment_kinds, strict=True)
        )
    return tuple(segments)


def num_segments(seconds: float, frames: int, settings: SegmentSettings) -> int:
    """Return into how many segments a shot is cut."""
    automatic = 1 if seconds < settings.short_shot_seconds else 3
    return min(settings.count or automatic, frames)


def equal_borders(start: int, stop: int, count: int) -> list[int]:
    """Return the ``count`` + 1 boundaries that split [start, stop) into parts as equal as whole frames allow."""
    return [start + (stop - start) * i // count for i in range(count + 1)]


def find_hold(
    subject: Subject, world_from_source: Transforms, pts_seconds: NDArray[np.float64], shot: slice
) -> tuple[int, int] | None:
    """Return the frames in which the subject starts and stops standing still inside a shot, or None.

    The hold is the longest stretch in which the hips are slower than a fraction of the subject's own walking speed. It
    ends where the rise in speed, traced back, begins: a body accelerates for some tenths of a second.
    """
    speed = _hip_speed(subject, world_from_source, pts_seconds, shot)
    if speed is None:
        return None
    t = pts_seconds[shot]
    limit = float(np.clip(_HOLD_SHARE_OF_WALK * np.percentile(speed, 90), *_HOLD_SPEED_BH_PER_S))
    runs = true_runs(speed < limit)
    if not runs:
        return None
    start, stop = max(runs, key=lambda run: t[run[1] - 1] - t[run[0]])
    faster = np.flatnonzero(speed[stop:] >= 2 * limit)
    if stop < len(t) and len(faster):
        rise = t[stop + faster[0]] - t[stop]
        onset = t[stop] - min(rise, _LONGEST_ONSET_SECONDS)
        stop = max(int(np.searchsorted(t, onset)), start + 1)
    speeds_around = speed[:start].tolist(), speed[stop:].tolist()
    if (
        start == 0
        or stop == len(t)
        or t[stop] - t[start] < _SHORTEST_HOLD_SECONDS
        or min(t[start] - t[0], t[-1] - t[stop]) < _SHORTEST_MOVE_SECONDS
        or min(max(move) for move in speeds_around) < 2 * limit
    ):
        return None
    return shot.start + start, shot.start + stop


def _hip_speed(
    subject: Subject, world_from_source: Transforms, pts_seconds: NDArray[np.float64], shot: slice
) -> NDArray[np.float64] | None:
    """Return the speed (N,) of the hips against the background, body heights per second; None if mostly unknown."""
    middle = _mean_of_known(subject.joints[shot, JOINT["left_hip"] : JOINT["right_hip"] + 1, :2].astype(np.float64))
    middle[subject.presence[shot] == Presence.ABSENT] = np.nan
    if len(middle) < 3 or np.isfinite(middle).all(1).sum() < 0.3 * len(middle):
        return None
    t = pts_seconds[shot]
    body = fill_gaps(subject.body_height_px[shot], t)
    middle = fill_gaps(middle, t)
    # Pair by pair: the ``world`` of the first frame distorts what a pan has left far behind.
    step = np.zeros_like(middle)
    step[1:] = middle[1:] - apply_transform(pair_motions(world_from_source[shot])[1:], middle[:-1])
    path = gaussian_smooth(np.cumsum(step / body[:, None], axis=0), t, _SPEED_SIGMA_SECONDS)
    return np.linalg.norm(velocity(path, t), axis=1)


def _mean_of_known(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the middle axis of (N, K, 2) without NaN."""
    known = np.isfinite(points)
    count = known.sum(1)
    return np.where(count > 0, np.where(known, points, 0).sum(1) / np.maximum(count, 1), np.nan)


def _seconds(pts_seconds: NDArray[np.float64], frames: slice) -> float:
    """Duration of frames, including that of the last one (its predecessor's spacing at the clip's end)."""
    if frames.stop < len(pts_seconds):
        end = pts_seconds[frames.stop]
    else:
        end = 2 * pts_seconds[-1] - pts_seconds[-2] if len(pts_seconds) > 1 else pts_seconds[-1]
    return float(end - pts_seconds[frames.start])


def cut_chunks(
    segments: tuple[Segment, ...], pts_seconds: NDArray[np.float64], chunk_seconds: float
) -> tuple[Chunk, ...]:
    """Cut segments into chunks of at most ``chunk_seconds``, even within a segment.

    A frame that lasts longer than that is a chunk of its own.
    """
    chunks: list[Chunk] = []
    for number, segment in enumerate(segments):
        length = segment.stop - segment.start
        count = max(1, int(np.ceil(_seconds(pts_seconds, slice(segment.start, segment.stop)) / chunk_seconds)))
        while True:
            count = min(count, length)
            borders = equal_borders(segment.start, segment.stop, count)
            parts = list(pairwise(borders))
            longest = max(_seconds(pts_seconds, slice(a, b)) for a, b in parts)
            # A microsecond of tolerance: 120 frames of 1/30 s are 4 s.
            if longest <= chunk_seconds + 1e-6 or count == length:
                break
            count += 1
        first = len(chunks)
        chunks.extend(Chunk(first + i, segment.shot, number, a, b) for i, (a, b) in enumerate(parts))
    return tuple(chunks)
