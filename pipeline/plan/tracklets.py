"""Link tracklets into persons: by course and appearance inside a shot, by appearance across cuts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Track, Transforms
from pipeline.joints import JOINT
from pipeline.maths.geometry import apply_transform

MAX_LINK_SECONDS = 3.0
"""Beyond it the place where somebody left tells nothing; appearance decides."""
MAX_COST = 1.0
MIN_BHATTACHARYYA_ACROSS_CUTS = 0.75
"""Bhattacharyya coefficient of two appearances. Measured: one man in two takes 0.96-0.99, from two cameras 0.80, at 0.6
and 1.4 times the exposure 0.73 and 0.89; two people in one take 0.43, two dark silhouettes far off 0.74-0.84."""
HIPS = [JOINT["left_hip"], JOINT["right_hip"]]
COURSE_FRAMES = 10


def bhattacharyya(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the Bhattacharyya coefficient of two L1-normalised histograms: 1 where they are the same."""
    return float(np.sqrt(a.astype(np.float64) * b).sum())


def link_tracklets(
    tracks: tuple[Track, ...],
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    world_from_source: Transforms,
) -> list[tuple[Track, ...]]:
    """Return one tuple of tracks for each person, persons and their tracks in order of first appearance."""
    shot_of = {track.track_id: int(np.searchsorted(shot_starts, track.frames[0], side="right")) - 1 for track in tracks}
    ordered = sorted(tracks, key=lambda track: (int(track.frames[0]), track.track_id))
    persons: list[list[Track]] = []
    for shot in range(len(shot_starts)):
        chains = _join_in_shot([t for t in ordered if shot_of[t.track_id] == shot], pts_seconds, world_from_source)
        _join_across_cuts(persons, chains)
    whole = [tuple(sorted(person, key=lambda track: int(track.frames[0]))) for person in persons]
    return sorted(whole, key=lambda person: (int(person[0].frames[0]), person[0].track_id))


def mean_color_histogram(tracks: list[Track]) -> NDArray[np.float32]:
    """Return the mean over all frames of the tracks."""
    return np.average([t.color_histogram for t in tracks], axis=0, weights=[len(t.frames) for t in tracks])


def _join_in_shot(tracks: list[Track], pts_seconds: NDArray[np.float64], world: Transforms) -> list[list[Track]]:
    """Join the tracks of one shot that follow each other, cheapest pair first."""
    pairs = []
    for i, before in enumerate(tracks):
        for j, after in enumerate(tracks):
            if i != j and before.frames[-1] < after.frames[0]:
                pairs.append((_cost(before, after, pts_seconds, world), i, j))
    following: dict[int, int] = {}
    preceding: dict[int, int] = {}
    for cost, i, j in sorted(pairs):
        if cost > MAX_COST:
            break
        if i not in following and j not in preceding:
            following[i], preceding[j] = j, i
    chains = []
    for first in range(len(tracks)):
        if first not in preceding:
            chain, at = [tracks[first]], first
            while at in following:
                at = following[at]
                chain.append(tracks[at])
            chains.append(chain)
    return chains


def _cost(before: Track, after: Track, pts_seconds: NDArray[np.float64], world: Transforms) -> float:
    """Unlikeness of two tracks being one person; up to ``MAX_COST`` they are joined."""
    gap = float(pts_seconds[after.frames[0]] - pts_seconds[before.frames[-1]])
    unlike = (1 - bhattacharyya(before.color_histogram, after.color_histogram)) / 0.5
    if gap > MAX_LINK_SECONDS:
        return unlike + 0.5
    tail, head = before.frames[-COURSE_FRAMES:], after.frames[:COURSE_FRAMES]
    there = apply_transform(world[tail], before.joints[-COURSE_FRAMES:][:, HIPS, :2]).mean(axis=1)
    here = apply_transform(world[head], after.joints[:COURSE_FRAMES][:, HIPS, :2]).mean(axis=1)
    height = max(1.0, float(np.median(before.boxes_xyxy[-COURSE_FRAMES:, 3] - before.boxes_xyxy[-COURSE_FRAMES:, 1])))
    seconds = np.maximum(pts_seconds[[tail[-1], head[-1]]] - pts_seconds[[tail[0], head[0]]], 1e-3)
    speed = (there[-1] - there[0]) / seconds[0] if len(tail) > 3 else np.zeros(2)
    # They may have stopped behind the occluder or walked on: the nearer of both.
    miss = min(float(np.hypot(*(here[0] - there[-1] - speed * s))) for s in (0.0, gap)) / height
    return 0.5 * miss / (0.25 + 0.6 * gap) + unlike


def _join_across_cuts(persons: list[list[Track]], chains: list[list[Track]]) -> None:
    """Give each chain of a new shot to the person of earlier shots who is most alike, or to a new one."""
    offers = sorted(
        (-bhattacharyya(mean_color_histogram(person), mean_color_histogram(chain)), i, j)
        for i, person in enumerate(persons)
        for j, chain in enumerate(chains)
    )
    taken_persons: set[int] = set()
    taken_chains: set[int] = set()
    for likeness, i, j in offers:
        if -likeness >= MIN_BHATTACHARYYA_ACROSS_CUTS and i not in taken_persons and j not in taken_chains:
            persons[i].extend(chains[j])
            taken_persons.add(i)
            taken_chains.add(j)
    persons.extend(chain for j, chain in enumerate(chains) if j not in taken_chains)
