"""What it costs to link two stretches of tracks: the way between them, appearance, size and time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.maths.boxes import box_iou
from pipeline.plan.likeness import bhattacharyya, mean_histogram
from pipeline.plan.pieces import MAX_GAP_SECONDS, Piece

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
END_SECONDS = 0.3
"""At the ends of a run without gaps: how long somebody may be half hidden."""
LOOKS_SECONDS = 1.0
"""At the ends of a run: how long somebody's appearance is the same in changing light."""
SIZE_SCALE = 1.5
"""Log-ratio of two sizes that costs 1."""
BOX_SCALE = 0.6
"""1 - IoU of the boxes of half a body in neighboring frames that costs 1."""
GUESSED_SHARE = 0.3
"""Of the cost of a change of size where the picture's edge cuts one of both off: of the same man hips alone were 0.5 of
the height that hips and legs were."""
SAME_TRACK_SHARE, UNBROKEN_SHARE = 0.6, 0.35
"""Trust in the tracker: factors on the cost of links within one track, smaller where the track was not interrupted."""


def link_cost(
    before: list[Piece], after: list[Piece], pts_seconds: NDArray[np.float64], unbroken_share: float = UNBROKEN_SHARE
) -> float:
    """Return the cost of linking two runs of pieces; ``unbroken_share`` is the factor within an unbroken track.

    The last pieces before somebody is hidden show a part of them: those a moment earlier may tell better where they
    went, and those a moment later where they came from.
    """
    ends = _near(before, pts_seconds, pts_seconds[before[-1].last] - END_SECONDS)
    starts = _near(after, pts_seconds, pts_seconds[after[0].first] + END_SECONDS, from_start=True)
    moved = min(
        _motion_cost(end, start, float(pts_seconds[start.first] - pts_seconds[end.last]))
        for end in ends
        for start in starts
    )
    cost = moved + _looks_cost(
        _near(before, pts_seconds, pts_seconds[before[-1].last] - LOOKS_SECONDS),
        _near(after, pts_seconds, pts_seconds[after[0].first] + LOOKS_SECONDS, from_start=True),
    )
    if before[-1].track.track_id != after[0].track.track_id:
        return cost
    gap = pts_seconds[after[0].first] - pts_seconds[before[-1].last]
    return cost * (unbroken_share if gap <= QUICK_GAP_SECONDS else SAME_TRACK_SHARE)


def _near(
    run: list[Piece], pts_seconds: NDArray[np.float64], limit_s: float, *, from_start: bool = False
) -> list[Piece]:
    """Return the pieces of a run up to a time, or from it on; at least the one at that end."""
    if from_start:
        return [piece for piece in run if piece is run[0] or pts_seconds[piece.last] <= limit_s]
    return [piece for piece in run if piece is run[-1] or pts_seconds[piece.first] >= limit_s]


def _motion_cost(before: Piece, after: Piece, gap_seconds: float) -> float:
    """Return the cost of the way, the change of size and the time between two pieces."""
    is_guessed = before.is_cut_off or after.is_cut_off
    mean = np.sqrt(before.height_px * after.height_px)
    height = float(max(before.height_px, after.height_px) if is_guessed else max(1.0, mean))
    is_same_track = before.track.track_id == after.track.track_id
    cost = _course_cost(before, after, gap_seconds, height, (before.velocities[1], after.velocities[0]))
    if is_same_track and gap_seconds <= QUICK_GAP_SECONDS:
        quick = (before.quick_velocities[1], after.quick_velocities[0])
        cost = min(cost, _course_cost(before, after, gap_seconds, height, quick))
    if is_guessed and gap_seconds <= MAX_GAP_SECONDS + 1e-9:
        # The hips of half a body jump from frame to frame; the box does not.
        cost = min(cost, (1 - box_iou(before.track.boxes_xyxy[-1], after.track.boxes_xyxy[0])) / BOX_SCALE)
    growth = (GUESSED_SHARE if is_guessed else 1.0) * abs(float(np.log(after.height_px / before.height_px)))
    return cost + growth / (SIZE_SCALE * (1 + gap_seconds)) + GAP_COST_PER_S * gap_seconds


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


def _looks_cost(before: Sequence[Piece], after: Sequence[Piece]) -> float:
    likeness = bhattacharyya(_looks_of_ends(before), _looks_of_ends(after))
    if likeness is None:
        return 0.0
    # One or two frames of a half-occluded person carry little information.
    frames = min(sum(piece.seen_frames for piece in pieces) for pieces in (before, after))
    return (1 - likeness) / LOOKS_SCALE * frames / (frames + 2)


def _looks_of_ends(pieces: Sequence[Piece]) -> NDArray[np.float64]:
    return (
        pieces[0].looks
        if len(pieces) == 1
        else mean_histogram(np.concatenate([piece.track.colors for piece in pieces]))
    )
