"""Link track pieces (tracklets) into persons: jointly over a shot by motion, appearance and size, then by appearance
alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import Track
from pipeline.maths.boxes import overlap_of_smaller
from pipeline.plan.likeness import bhattacharyya, mean_histogram
from pipeline.plan.link_costs import SAME_TRACK_SHARE, UNBROKEN_SHARE, link_cost
from pipeline.plan.pieces import MAX_GAP_SECONDS, MEETING_SHARE, Piece, cut_tracks, without_duplicates, without_overlaps

MAX_LINK_SECONDS = 3.0
"""Beyond it the position where a person left carries no information; appearance decides."""
MAX_HIDDEN_SECONDS = 1.0
"""How long somebody may be hidden behind another person, whose track may have become theirs in the meantime."""
END_COST = 0.5
"""Cost of a person appearing, or disappearing, within the picture: a link may cost twice as much."""
SIGHTING_SECONDS = 0.15
"""A shorter run is proportionally cheaper to leave alone: it is often a false detection, or half of a body, and two
whole ends would pay for a link that is almost wrong."""
REACH_BH, FASTEST_BH_PER_S = 0.5, 4.0
"""Body heights that places of one person may lie apart: at once, and more for each second. A runner covers three."""
ASIDE_BH = 0.3
"""How far beside the way between its neighbors a piece may lie that fills a gap."""
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
    tracks = without_overlaps(without_duplicates(tracks, pts_seconds), pts_seconds)
    pieces = cut_tracks(tracks, shot_starts, pts_seconds, world_from_source)
    persons: list[list[Piece]] = []
    for shot in range(len(shot_starts)):
        of_shot = [piece for piece in pieces if piece.shot == shot]
        for chain in _join_in_shot(of_shot, pts_seconds):
            persons.append(chain)
    persons = _join_alike(persons, pts_seconds)
    whole = [tuple(piece.track for piece in sorted(person, key=lambda piece: piece.first)) for person in persons]
    return sorted(whole, key=lambda person: (int(person[0].frames[0]), person[0].track_id))


def likeness_of(one: Sequence[Track], other: Sequence[Track]) -> float | None:
    """Return the similarity of two people over all frames, the best of those in their own light and in that of their
    shot's first frame, which may itself be an unusual one; None where no part was visible of both."""
    ways = ["color_histograms"] if one[0].lit_histograms is None else ["color_histograms", "lit_histograms"]
    found = [bhattacharyya(_looks(one, way), _looks(other, way)) for way in ways]
    return max((likeness for likeness in found if likeness is not None), default=None)


def _looks(person: Sequence[Track], way: str) -> NDArray[np.float64]:
    return mean_histogram(np.concatenate([getattr(track, way) for track in person]))


def _join_in_shot(pieces: list[Piece], pts_seconds: NDArray[np.float64]) -> list[list[Piece]]:
    """Return the chains of pieces of one shot, by the assignment of least total cost, in two rounds.

    A piece lasts a few frames where people meet, and may show an arm of them. So the links over gaps are decided once
    more between whole stretches without a gap, each with its appearance over a second; and so are those within a track
    that may have changed from one person to another who was hidden behind the first.
    """
    single = [[piece] for piece in pieces]
    chains = _chains(single, _possible_links(single, pts_seconds, UNBROKEN_SHARE))
    whole = [run for chain in chains for run in _unbroken(chain, pts_seconds)]
    runs = [part for run in whole for part in _cut_where_swapped(run, whole, pts_seconds)]
    runs.sort(key=lambda run: (run[0].first, run[0].track.track_id))
    links = _possible_links(runs, pts_seconds, SAME_TRACK_SHARE)
    return _chains(runs, links | _left_alone(runs, pts_seconds))


def _unbroken(chain: list[Piece], pts_seconds: NDArray[np.float64]) -> list[list[Piece]]:
    """Cut a chain at its gaps."""
    runs = [[chain[0]]]
    for before, after in pairwise(chain):
        if pts_seconds[after.first] - pts_seconds[before.last] > MAX_GAP_SECONDS + 1e-9:
            runs.append([])
        runs[-1].append(after)
    return runs


def _cut_where_swapped(
    run: list[Piece], runs: Sequence[list[Piece]], pts_seconds: NDArray[np.float64]
) -> list[list[Piece]]:
    """Cut a run in two where its track has probably gone over from one person to another.

    While one run ends on its box and another one begins on it soon afterwards, two people passed each other, and one
    was hidden. If the tracker kept to the wrong one, both are continued better crosswise.
    """
    hidden = [other for other in runs if other is not run and _meets(run, other[-1].track, -1)]
    shown = [other for other in runs if other is not run and _meets(run, other[0].track, 0)]
    most, at = 0.0, 0
    for before, after in product(hidden, shown):
        first, last = before[-1].last, after[0].first
        if not 0 < pts_seconds[last] - pts_seconds[first] <= MAX_HIDDEN_SECONDS:
            continue
        for row in range(1, len(run)):
            if first < run[row].first <= last + 1:
                gain = _swap_gain((before, run[:row]), (after, run[row:]), pts_seconds)
                most, at = max((most, at), (gain, row))
    return [run[:at], run[at:]] if at else [run]


def _swap_gain(
    ends: tuple[list[Piece], list[Piece]], starts: tuple[list[Piece], list[Piece]], pts_seconds: NDArray[np.float64]
) -> float:
    """Return by how much the crosswise links of two runs that end to two that start are cheaper than the direct ones;
    the second of each are of one track."""
    cost = [[link_cost(end, start, pts_seconds, SAME_TRACK_SHARE) for start in starts] for end in ends]
    return cost[0][0] + cost[1][1] - cost[0][1] - cost[1][0]


def _meets(run: list[Piece], other: Track, row: int) -> bool:
    """Return whether a run's box overlaps that of a row of another track, in that frame."""
    frame = int(other.frames[row])
    for piece in run:
        own = np.flatnonzero(piece.track.frames == frame)
        if len(own):
            shared = overlap_of_smaller(piece.track.boxes_xyxy[own[0]], other.boxes_xyxy[row])
            return bool(shared > MEETING_SHARE)
    return False


def _chains(runs: list[list[Piece]], links: dict[tuple[int, int], float]) -> list[list[Piece]]:
    """Join runs of pieces, in order of their first frames, by the assignment of least total cost."""
    following = _successors(len(runs), links)
    chains = []
    for first in sorted(set(range(len(runs))) - set(following.values())):
        chain = list(runs[first])
        at = first
        while at in following:
            at = following[at]
            chain.extend(runs[at])
        chains.append(chain)
    return chains


def _possible_links(
    runs: list[list[Piece]], pts_seconds: NDArray[np.float64], unbroken_share: float
) -> dict[tuple[int, int], float]:
    """Cost of each pair of runs that may be linked; runs are in order of their first frame."""
    firsts = np.array([run[0].first for run in runs])
    links: dict[tuple[int, int], float] = {}
    for i, before in enumerate(runs):
        for j in range(int(np.searchsorted(firsts, before[-1].last + 1)), len(runs)):
            if pts_seconds[runs[j][0].first] - pts_seconds[before[-1].last] > MAX_LINK_SECONDS:
                break
            cost = link_cost(before, runs[j], pts_seconds, unbroken_share)
            if cost < 2 * END_COST:
                links[i, j] = cost
    return links


def _left_alone(runs: list[list[Piece]], pts_seconds: NDArray[np.float64]) -> dict[tuple[int, int], float]:
    """Return the cost of being linked to nobody of each short run, as that of a link to itself."""
    frame_seconds = float(np.median(np.diff(pts_seconds))) if len(pts_seconds) > 1 else 0.0
    costs = {}
    for i, run in enumerate(runs):
        seconds = float(pts_seconds[run[-1].last] - pts_seconds[run[0].first]) + frame_seconds
        if seconds < SIGHTING_SECONDS:
            costs[i, i] = 2 * END_COST * seconds / SIGHTING_SECONDS
    return costs


def _successors(count: int, links: dict[tuple[int, int], float]) -> dict[int, int]:
    """Return the successor of each piece that has one, by least total cost of links, starts and ends.

    A square assignment of twice the size: row i to column j is a link, row i to column count + i an end, row
    count + j to column j a start; the rest pairs up at no cost. A link to itself leaves a piece alone.
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
    return {int(i): int(j) for i, j in zip(*matched, strict=True) if i < count and j < count and i != j}


def _join_alike(chains: list[list[Piece]], pts_seconds: NDArray[np.float64]) -> list[list[Piece]]:
    """Merge chains that are never visible at the same time and look alike: across cuts, and long after somebody left.

    Shot by shot, new chains are assigned to the persons of earlier frames by a joint optimal assignment.
    """
    persons: list[list[Piece]] = []
    for shot in sorted({chain[0].shot for chain in chains}):
        of_shot = _with_gaps_filled([c for c in chains if c[0].shot == shot])
        # Within a shot a chain may continue one that ended earlier: process it in rounds of chains that start before
        # any of them has ended.
        while of_shot:
            ended = min(chain[-1].last for chain in of_shot)
            now = [chain for chain in of_shot if chain[0].first <= ended]
            of_shot = of_shot[len(now) :]
            _join(persons, now, pts_seconds)
    return persons


def _with_gaps_filled(chains: list[list[Piece]]) -> list[list[Piece]]:
    """Return the chains of one shot, in order of their first frame; those that lie in a gap of one that looks alike and
    is on either side of them belong to it. Half bodies behind something are found now and then."""
    whole: list[list[Piece]] = []
    for chain in sorted(chains, key=lambda c: (c[0].first - c[-1].last, c[0].first)):
        gaps = [(person, row) for person in whole if (row := _gap_for(person, chain)) is not None]
        if not gaps:
            whole.append(chain)
            continue
        person, row = max(gaps, key=lambda gap: _likeness(gap[0], chain) or 0.0)
        person[row:row] = chain
    return sorted(whole, key=lambda c: c[0].first)


def _gap_for(person: list[Piece], chain: list[Piece]) -> int | None:
    """Return the row of a person's pieces before which a chain fits; None where it fits nowhere."""
    row = sum(piece.last < chain[0].first for piece in person)
    if not 0 < row < len(person) or chain[-1].last >= person[row].first:
        return None
    likeness = _likeness(person, chain)
    before, after = person[row - 1], person[row]
    height = max(piece.height_px for piece in (before, after, *chain))
    low, high = np.sort([before.places[1], after.places[0]], axis=0)
    places = np.concatenate([piece.places for piece in chain])
    room = ASIDE_BH * height
    is_between = bool(((places > low - room) & (places < high + room)).all())
    return row if is_between and likeness is not None and likeness >= MIN_ALIKE else None


def _join(persons: list[list[Piece]], chains: list[list[Piece]], pts_seconds: NDArray[np.float64]) -> None:
    """Assign each chain to a person of earlier frames, or make it a new one."""
    unlike = np.full((len(persons), len(chains)), 1.0)
    for i, person in enumerate(persons):
        for j, chain in enumerate(chains):
            if person[-1].last < chain[0].first and _is_in_reach(person[-1], chain[0], pts_seconds):
                likeness = _likeness(person, chain)
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


def _likeness(one: Sequence[Piece], other: Sequence[Piece]) -> float | None:
    return likeness_of([piece.track for piece in one], [piece.track for piece in other])
