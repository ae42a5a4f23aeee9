"""Link track pieces (tracklets) into persons: jointly over a shot by motion, appearance and size, then by appearance
alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import Track
from pipeline.plan.likeness import bhattacharyya, mean_histogram
from pipeline.plan.pieces import Piece, cut_tracks

MAX_LINK_SECONDS = 3.0
"""Beyond it the position where a person left carries no information; appearance decides."""
END_COST = 0.5
"""Cost of a person appearing, or disappearing, within the picture: a link may cost twice as much."""
LOOKS_SCALE = 0.22
"""Loss of similarity that costs 1: within one person up to 0.06, to somebody in other clothes 0.25 and more."""
MISS_SCALE_BH, MISS_SCALE_BH_PER_S = 0.12, 0.8
"""Distance of the hips from both extrapolated paths that costs 1: with no gap, and the increase per second of the
gap."""
SPEED_SCALE_BH_PER_S = 2.5
"""A change of velocity that costs 1 where the gap is short: a person standing still is not the one who walked."""
QUICK_GAP_SECONDS = 0.1
"""Within one track, up to this gap, the motion over a few frames may support a link."""
GAP_COST_PER_S = 0.15
"""A person who disappears within the picture reappears soon, or may be somebody else."""
SIZE_SCALE = 1.5
"""Log-ratio of two sizes that costs 1."""
SAME_TRACK_SHARE, UNBROKEN_SHARE = 0.6, 0.35
"""Trust in the tracker: factors on the cost of links within one track, smaller where the track was not interrupted."""
REACH_BH, FASTEST_BH_PER_S = 0.5, 4.0
"""Body heights that places of one person may lie apart: at once, and more for each second. A runner covers three."""
MIN_ALIKE = 0.82
"""Similarity above which two stretches of a clip are one person where only appearance is available."""


def link_tracklets(
    tracks: Sequence[Track],
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    world_from_source: Transforms,
) -> list[tuple[Track, ...]]:
    """Return one tuple of (parts of) tracks for each person, persons and their tracks in order of first appearance.

    Within a shot the pieces (``pieces.cut_tracks``) are linked by the assignment of least total cost: each piece has at
    most one successor and one predecessor, and every start and end in between has a cost too. So a piece is not linked
    to the nearest one where that would leave a third one without a plausible origin.
    """
    pieces = cut_tracks(tracks, shot_starts, pts_seconds, world_from_source)
    persons: list[list[Piece]] = []
    for shot in range(len(shot_starts)):
        of_shot = [piece for piece in pieces if piece.shot == shot]
        for chain in _join_in_shot(of_shot, pts_seconds):
            persons.append(chain)
    persons = _join_alike(persons, pts_seconds)
    whole = [tuple(piece.track for piece in sorted(person, key=lambda piece: piece.first)) for person in persons]
    return sorted(whole, key=lambda person: (int(person[0].frames[0]), person[0].track_id))


def looks_of(person: Sequence[Track]) -> NDArray[np.float64]:
    """Return (3, 70): a person's appearance over all frames."""
    return mean_histogram(np.concatenate([track.color_histograms for track in person]))


def _join_in_shot(pieces: list[Piece], pts_seconds: NDArray[np.float64]) -> list[list[Piece]]:
    """Return the chains of pieces of one shot, by the assignment of least total cost."""
    following = _successors(len(pieces), _possible_links(pieces, pts_seconds))
    chains = []
    for first in sorted(set(range(len(pieces))) - set(following.values())):
        chain = [pieces[first]]
        at = first
        while at in following:
            at = following[at]
            chain.append(pieces[at])
        chains.append(chain)
    return chains


def _possible_links(pieces: list[Piece], pts_seconds: NDArray[np.float64]) -> dict[tuple[int, int], float]:
    """Cost of each pair that may be linked; pieces are in order of their first frame."""
    firsts = np.array([piece.first for piece in pieces])
    links: dict[tuple[int, int], float] = {}
    for i, before in enumerate(pieces):
        for j in range(int(np.searchsorted(firsts, before.last + 1)), len(pieces)):
            gap = float(pts_seconds[pieces[j].first] - pts_seconds[before.last])
            if gap > MAX_LINK_SECONDS:
                break
            cost = link_cost(before, pieces[j], gap)
            if cost < 2 * END_COST:
                links[i, j] = cost
    return links


def _successors(count: int, links: dict[tuple[int, int], float]) -> dict[int, int]:
    """Return the successor of each piece that has one, by least total cost of links, starts and ends.

    A square assignment of twice the size: row i to column j is a link, row i to column count + i an end, row
    count + j to column j a start; the rest pairs up at no cost.
    """
    if not links:
        return {}
    rows = []
    columns = []
    costs = []
    for (i, j), cost in links.items():
        rows += [i, count + j]
        columns += [j, count + i]
        costs += [cost, 0.0]
    for i in range(count):
        rows += [i, count + i]
        columns += [count + i, i]
        costs += [END_COST, END_COST]
    # Entries of 0 would mean no edge; adding a constant to each of the 2 n pairs changes nothing.
    weights = np.asarray(costs) + 1.0
    matched = min_weight_full_bipartite_matching(coo_array((weights, (rows, columns)), (2 * count, 2 * count)).tocsr())
    return {int(i): int(j) for i, j in zip(*matched, strict=True) if i < count and j < count}


def link_cost(before: Piece, after: Piece, gap_seconds: float) -> float:
    """Return the cost of linking two pieces, ``gap_seconds`` apart."""
    height = max(1.0, float(np.sqrt(before.height_px * after.height_px)))
    is_same_track = before.track.track_id == after.track.track_id
    cost = _course_cost(before, after, gap_seconds, height, (before.velocities[1], after.velocities[0]))
    if is_same_track and gap_seconds <= QUICK_GAP_SECONDS:
        quick = (before.quick_velocities[1], after.quick_velocities[0])
        cost = min(cost, _course_cost(before, after, gap_seconds, height, quick))
    cost += _looks_cost(before, after)
    growth = abs(float(np.log(after.height_px / before.height_px)))
    cost += growth / (SIZE_SCALE * (1 + gap_seconds)) + GAP_COST_PER_S * gap_seconds
    if not is_same_track:
        return cost
    return cost * (UNBROKEN_SHARE if gap_seconds <= QUICK_GAP_SECONDS else SAME_TRACK_SHARE)


def _course_cost(
    before: Piece, after: Piece, gap: float, height: float, velocities: tuple[NDArray[np.float64], NDArray[np.float64]]
) -> float:
    apart = after.places[0] - before.places[1]
    v_before, v_after = velocities
    onward = float(np.hypot(*(apart - v_before * gap)))
    backward = float(np.hypot(*(apart - v_after * gap)))
    # The person may have stopped or started while hidden: then each velocity holds for only part of the gap.
    between = float(np.hypot(*(apart - (v_before + v_after) / 2 * gap)))
    miss = min((onward + backward) / 2, between) / height
    change = float(np.hypot(*(v_after - v_before))) / height
    return miss / (MISS_SCALE_BH + MISS_SCALE_BH_PER_S * gap) + change / (SPEED_SCALE_BH_PER_S * (1 + gap))


def _looks_cost(before: Piece, after: Piece) -> float:
    likeness = bhattacharyya(before.looks, after.looks)
    if likeness is None:
        return 0.0
    # One or two frames of a half-occluded person carry little information.
    frames = min(before.seen_frames, after.seen_frames)
    return (1 - likeness) / LOOKS_SCALE * frames / (frames + 2)


def _join_alike(chains: list[list[Piece]], pts_seconds: NDArray[np.float64]) -> list[list[Piece]]:
    """Merge chains that are never visible at the same time and look alike: across cuts, and long after somebody left.

    Shot by shot, new chains are assigned to the persons of earlier frames by a joint optimal assignment.
    """
    persons: list[list[Piece]] = []
    for shot in sorted({chain[0].shot for chain in chains}):
        of_shot = sorted((c for c in chains if c[0].shot == shot), key=lambda c: c[0].first)
        # Within a shot a chain may continue one that ended earlier: process it in rounds of chains that start before
        # any of them has ended.
        while of_shot:
            ended = min(chain[-1].last for chain in of_shot)
            now = [chain for chain in of_shot if chain[0].first <= ended]
            of_shot = of_shot[len(now) :]
            _join(persons, now, pts_seconds)
    return persons


def _join(persons: list[list[Piece]], chains: list[list[Piece]], pts_seconds: NDArray[np.float64]) -> None:
    """Assign each chain to a person of earlier frames, or make it a new one."""
    unlike = np.full((len(persons), len(chains)), 1.0)
    for i, person in enumerate(persons):
        for j, chain in enumerate(chains):
            if person[-1].last < chain[0].first and _is_in_reach(person[-1], chain[0], pts_seconds):
                likeness = bhattacharyya(_looks(person), _looks(chain))
                unlike[i, j] = 1.0 if likeness is None else 1 - likeness
    rows, columns = linear_sum_assignment(np.minimum(unlike, 1 - MIN_ALIKE))
    taken = {int(j): int(i) for i, j in zip(rows, columns, strict=True) if unlike[i, j] < 1 - MIN_ALIKE}
    for j, chain in enumerate(chains):
        if j in taken:
            persons[taken[j]].extend(chain)
        else:
            persons.append(list(chain))


def _is_in_reach(before: Piece, after: Piece, pts_seconds: NDArray[np.float64]) -> bool:
    """Say whether a person can have come from one place to the other; after a cut anybody may be anywhere."""
    if before.shot != after.shot:
        return True
    gap = float(pts_seconds[after.first] - pts_seconds[before.last])
    height = max(1.0, float(np.sqrt(before.height_px * after.height_px)))
    apart = float(np.hypot(*(after.places[0] - before.places[1]))) / height
    return apart <= REACH_BH + FASTEST_BH_PER_S * gap


def _looks(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    return looks_of([piece.track for piece in pieces])
