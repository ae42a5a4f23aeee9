"""The depth order of several subjects, frame by frame.

Derived from the feet on the ground (lower in the picture is nearer: both stand on one ground, seen by one camera) and
from visible occlusion: a person whose joints lie in the other one's mask is behind. Decided once per encounter, so that
the order never changes while two overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence, Subject
from pipeline.joints import ANKLES
from pipeline.maths.boxes import overlap_of_smaller
from pipeline.maths.smoothing import equal_runs

MaskOf = Callable[[int], Mask]
"""Frame to the (H, W) mask of a subject."""
ROOM_BH = 0.15
"""Margin around both boxes, body heights: the new people may be wider than the original ones."""
MAX_PAUSE_SECONDS = 0.5
"""After a shorter separation two people have not changed places."""
MAX_SAMPLES = 24
"""Number of frames of an encounter whose masks are examined."""
MIN_CONFIDENCE = 0.3
FEET_SCALE_BH = 0.04
"""Vertical distance, in body heights, above which the lower person is certainly nearer: ankles are accurate to 2 %."""
COVERED_WEIGHT = 1.5
"""Weight of visible occlusion, which is observed, against feet, which are inferred."""


def depth_order(
    subjects: Sequence[Subject], masks: Sequence[MaskOf], info: VideoInfo, shot_starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return (T, K): the indices of the K subjects in each frame, from the farthest to the nearest."""
    count = len(subjects)
    total = info.num_frames
    in_front = np.zeros((total, count, count), np.bool_)
    for a, b in combinations(range(count), 2):
        a_is_nearer = _nearer(subjects[a], subjects[b], (masks[a], masks[b]), info, shot_starts)
        in_front[:, a, b] = a_is_nearer
        in_front[:, b, a] = ~a_is_nearer
    # Stable sort: of several in front of equally many, the first of the request lies lower.
    return np.argsort(in_front.sum(axis=2), axis=1, kind="stable")


def _nearer(
    a: Subject, b: Subject, masks: tuple[MaskOf, MaskOf], info: VideoInfo, shot_starts: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return (T,) whether ``a`` is nearer than ``b``; where they are far apart it does not matter, and the feet
    decide."""
    feet = feet_apart_bh(a, b)
    nearer = np.nan_to_num(feet) > 0
    for start, stop in encounters(a, b, info, shot_starts):
        frames = np.arange(start, stop)
        known = feet[frames][np.isfinite(feet[frames])]
        by_feet = float(np.clip(np.median(known) / FEET_SCALE_BH, -1, 1)) if len(known) else 0.0
        nearer[start:stop] = by_feet + COVERED_WEIGHT * _covering(a, b, masks, frames) > 0
    return nearer


def feet_apart_bh(a: Subject, b: Subject) -> NDArray[np.float64]:
    """Return (T,) how much lower in the picture ``a`` stands than ``b``, body heights; NaN where unknown."""
    height = (a.body_height_px + b.body_height_px) / 2
    return (_lowest_ankle(a) - _lowest_ankle(b)) / np.maximum(height, 1.0)


def _lowest_ankle(subject: Subject) -> NDArray[np.float64]:
    ankles = subject.joints[:, ANKLES].astype(np.float64)
    rows = np.where(ankles[..., 2] >= MIN_CONFIDENCE, ankles[..., 1], np.nan)
    return np.fmax.reduce(rows, axis=1)


def encounters(a: Subject, b: Subject, info: VideoInfo, shot_starts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the stretches [start, stop) in which the boxes of two subjects overlap, including short pauses."""
    both = (a.presence > Presence.ABSENT) & (b.presence > Presence.ABSENT)
    room = ROOM_BH * np.nan_to_num((a.body_height_px + b.body_height_px) / 2)
    grow = np.stack([-room, -room, room, room], axis=1)
    share = overlap_of_smaller(np.nan_to_num(a.boxes_xyxy) + grow, np.nan_to_num(b.boxes_xyxy) + grow)
    met = both & (share > 0)
    runs = [(start, stop) for start, stop in equal_runs(met) if met[start]]
    joined: list[tuple[int, int]] = []
    cuts = set(shot_starts.tolist())
    seconds = info.pts_seconds
    for start, stop in runs:
        if joined and seconds[start] - seconds[joined[-1][1] - 1] <= MAX_PAUSE_SECONDS:
            pause = range(joined[-1][1], start + 1)
            if not cuts.intersection(pause):
                joined[-1] = joined[-1][0], stop
                continue
        joined.append((start, stop))
    return [part for whole in joined for part in _parted(whole, cuts)]


def _parted(stretch: tuple[int, int], cuts: set[int]) -> list[tuple[int, int]]:
    borders = [stretch[0], *sorted(cut for cut in cuts if stretch[0] < cut < stretch[1]), stretch[1]]
    return list(pairwise(borders))


def _covering(a: Subject, b: Subject, masks: tuple[MaskOf, MaskOf], frames: NDArray[np.int64]) -> float:
    """Return -1..1: how much more of ``b``'s joints ``a`` covers than the other way round."""
    covered = np.zeros(2)
    found = frames[(a.presence[frames] == Presence.FOUND) | (b.presence[frames] == Presence.FOUND)]
    if not len(found):
        return 0.0
    for frame in np.unique(found[np.linspace(0, len(found) - 1, MAX_SAMPLES).astype(int)]).tolist():
        mask_a, mask_b = masks[0](frame), masks[1](frame)
        covered += _joints_in(b, frame, mask_a & ~mask_b), _joints_in(a, frame, mask_b & ~mask_a)
    return float((covered[0] - covered[1]) / (covered.sum() + 2.0))


def _joints_in(subject: Subject, frame: int, mask: Mask) -> int:
    points = subject.joints[frame, :, :2].astype(np.float64)
    height, width = mask.shape
    inside = np.isfinite(points).all(axis=1)
    columns, rows = np.rint(points[inside]).astype(int).T
    seen = (columns >= 0) & (rows >= 0) & (columns < width) & (rows < height)
    return int(np.count_nonzero(mask[rows[seen], columns[seen]]))
