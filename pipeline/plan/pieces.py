"""Cut tracks into pieces (tracklets) so that no piece covers two people: at occlusions, encounters and jumps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import Track
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.boxes import overlap_of_smaller
from pipeline.maths.geometry import apply_transform
from pipeline.plan.body_height import HEIGHT_OF_TRUNK
from pipeline.plan.cut_off import HEIGHT_OF_LEG, leg_lengths
from pipeline.plan.likeness import bhattacharyya, mean_histogram
from pipeline.shaped import Shaped, Shapes

MAX_GAP_SECONDS = 0.1
"""Longer gaps are bridged only by ``linking``."""
WINDOW_SECONDS = 0.2
"""Time over which appearance and motion before and after a frame are compared."""
MIN_CHANGE_OF_LOOKS = 0.18
"""1 - similarity of the frames before and after: at most 0.15 within one person (entering the picture), 0.23 and more
where a track switched to somebody in other clothes."""
MAX_STEP_BH = 0.2
"""Distance of the hips from their extrapolated position, frame to frame; a runner covers 0.15 body heights in a frame
at 30 fps."""
MEETING_SHARE = 0.15
"""Overlap of two boxes, as a fraction of the smaller one, from which their tracks may be swapped."""
MEETING_SECONDS = 0.13
"""Length of the pieces into which tracks are cut while people overlap."""
CUT_OFF_PX = 2.0
"""A box that begins this near to the picture's upper edge is cut off by it."""
DUPLICATE_SECONDS = 0.2
"""A second track on one body lasts a few frames; two people who meet have longer ones."""
DUPLICATE_SHARE = 0.7
"""Of the smaller box that lies in the other one, and of the larger one's area that the smaller one has."""
DUPLICATE_LIKENESS = 0.85
SPEED_RIDGE_SECONDS = 0.02
QUICK_SECONDS = 0.1
COURSE_SECONDS = 0.33
"""Time over which a piece's velocity at its ends is measured."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Piece(Shaped):
    """A part of a track that belongs to one person, and what linking needs to know about it. ``world`` px, seconds."""

    SHAPES: ClassVar[Shapes] = {
        "places": (2, 2),
        "velocities": (2, 2),
        "quick_velocities": (2, 2),
        "looks": ("parts", "bins"),
    }

    track: Track
    """Restricted to the piece's frames."""
    shot: int
    places: NDArray[np.float64]
    """(2, 2): the hips' middle in the first and the last frame, smoothed."""
    velocities: NDArray[np.float64]
    """(2, 2): px per second at both ends, from the whole track around them."""
    quick_velocities: NDArray[np.float64]
    """(2, 2): the same over a few frames: a jumping person reverses faster than the other one shows."""
    height_px: float
    """Approximate standing height."""
    looks: NDArray[np.float64]
    """(3, 70), ``mean_histogram``."""
    seen_frames: int
    """Number of frames with a color histogram."""
    is_cut_off: bool
    """Whether the picture's upper edge cuts the person off in most frames: then the height is a guess."""

    @property
    def first(self) -> int:
        return int(self.track.frames[0])

    @property
    def last(self) -> int:
        return int(self.track.frames[-1])


def cut_tracks(
    tracks: Iterable[Track],
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    world_from_source: Transforms,
) -> list[Piece]:
    """Return the pieces of all tracks in order of their first frame."""
    tracks = tuple(tracks)
    meetings = _meetings(tracks)
    pieces: list[Piece] = []
    for track, met in zip(tracks, meetings, strict=True):
        path = apply_transform(world_from_source[track.frames], _middles(track))
        height = heights_of(track)
        hard = sorted(
            {0, len(track.frames)}
            | set(_at_shots(track, shot_starts))
            | set(_at_gaps(track, pts_seconds))
            | set(_at_jumps(path, height, track.frames))
            | set(_at_new_looks(track, pts_seconds))
        )
        soft = list(_at_meetings(met, track, pts_seconds))
        for begin, end in pairwise(hard):
            borders = [begin, *(row for row in soft if begin < row < end), end]
            stretch = _Stretch(track, begin, end, path, height, pts_seconds[track.frames])
            shot = int(np.searchsorted(shot_starts, track.frames[begin], side="right")) - 1
            pieces.extend(stretch.piece(start, stop, shot) for start, stop in pairwise(borders))
    return sorted(pieces, key=lambda piece: (piece.first, piece.track.track_id))


def without_duplicates(tracks: Sequence[Track], pts_seconds: NDArray[np.float64]) -> list[Track]:
    """Return the tracks without short ones that lie on a longer track in all of their frames and look alike: half a
    body is at times found twice."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: -len(track.frames)):
        seconds = float(pts_seconds[track.frames[-1]] - pts_seconds[track.frames[0]])
        if seconds > DUPLICATE_SECONDS or not any(_is_on(track, other) for other in kept):
            kept.append(track)
    return sorted(kept, key=lambda track: track.track_id)


def without_overlaps(tracks: Sequence[Track], pts_seconds: NDArray[np.float64]) -> list[Track]:
    """Return the tracks, those that end on a new track of the same body without the frames they share: for a moment
    a body is followed twice before the old track is lost, and frames that both have would keep them from being linked.
    """
    return [_before_its_successor(track, tracks, pts_seconds) for track in tracks]


def _before_its_successor(track: Track, tracks: Sequence[Track], pts_seconds: NDArray[np.float64]) -> Track:
    for other in tracks:
        start = int(np.searchsorted(track.frames, other.frames[0]))
        if not 0 < start < len(track.frames) or other.frames[-1] <= track.frames[-1]:
            continue
        shared_seconds = float(pts_seconds[track.frames[-1]] - pts_seconds[other.frames[0]])
        end = part_of(track, start, len(track.frames))
        # A new track may have no colors in its first frames.
        early = np.searchsorted(pts_seconds[other.frames], pts_seconds[other.frames[0]] + COURSE_SECONDS)
        if shared_seconds <= DUPLICATE_SECONDS and _is_within(end, other) and _looks_like(end, other, slice(early)):
            return part_of(track, 0, start)
    return track


def _is_within(track: Track, other: Track) -> bool:
    """Return whether, in all frames of a track, one of its box and another track's lies mostly in the other."""
    frames, rows, rows_other = np.intersect1d(track.frames, other.frames, return_indices=True)
    shared = overlap_of_smaller(track.boxes_xyxy[rows], other.boxes_xyxy[rows_other])
    return len(frames) == len(track.frames) and bool((shared > DUPLICATE_SHARE).all())


def _looks_like(track: Track, other: Track, rows: slice | NDArray[np.bool_]) -> bool:
    likeness = bhattacharyya(mean_histogram(track.colors), mean_histogram(other.colors[rows]))
    return likeness is not None and likeness > DUPLICATE_LIKENESS


def _is_on(track: Track, other: Track) -> bool:
    if not _is_within(track, other):
        return False
    rows = np.isin(other.frames, track.frames)
    sizes = [np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (track.boxes_xyxy, other.boxes_xyxy[rows])]
    is_same_size = np.minimum(*sizes) > DUPLICATE_SHARE * np.maximum(*sizes)
    return bool(is_same_size.all()) and _looks_like(track, other, rows)


def part_of(track: Track, start: int, stop: int) -> Track:
    """Return rows ``start`` to ``stop`` (exclusive) of a track."""
    rows = slice(start, stop)
    return Track(
        track_id=track.track_id,
        frames=track.frames[rows],
        boxes_xyxy=track.boxes_xyxy[rows],
        scores=track.scores[rows],
        joints=track.joints[rows],
        skeletons=track.skeletons[rows],
        color_histograms=track.color_histograms[rows],
        visible=track.visible[rows],
        mask_px=track.mask_px[rows],
        limb_edges=None if track.limb_edges is None else track.limb_edges[rows],
        lit_histograms=None if track.lit_histograms is None else track.lit_histograms[rows],
    )


def heights_of(track: Track) -> NDArray[np.float64]:
    """(N,) approximate standing heights, px: from the trunk, or from the box where the trunk is implausibly short; from
    the legs where the picture's upper edge cuts the trunk off."""
    middle = _middles(track)
    shoulders = track.joints[:, SHOULDERS, :2].astype(np.float64).mean(axis=1)
    trunk = HEIGHT_OF_TRUNK * np.linalg.norm(shoulders - middle, axis=1)
    box = track.boxes_xyxy[:, 3] - track.boxes_xyxy[:, 1]
    legs = np.where(track.boxes_xyxy[:, 1] < CUT_OFF_PX, HEIGHT_OF_LEG * leg_lengths(track.joints), 0.0)
    return np.maximum(np.where(np.isfinite(trunk), trunk, box), np.fmax(0.5 * box, legs))


def _middles(track: Track) -> NDArray[np.float64]:
    """(N, 2) source px: the middle of the hips, or of the box where they are unknown."""
    hips = track.joints[:, HIPS, :2].astype(np.float64).mean(axis=1)
    box = (track.boxes_xyxy[:, :2] + track.boxes_xyxy[:, 2:]) / 2
    return np.where(np.isfinite(hips), hips, box)


def _at_shots(track: Track, shot_starts: NDArray[np.int64]) -> Iterator[int]:
    yield from (int(row) for row in np.searchsorted(track.frames, shot_starts))


def _at_gaps(track: Track, pts_seconds: NDArray[np.float64]) -> Iterator[int]:
    pause = np.diff(pts_seconds[track.frames])
    missing = np.diff(track.frames) > 1
    yield from (int(row) + 1 for row in np.flatnonzero(missing & (pause > MAX_GAP_SECONDS)))


def _at_jumps(path: NDArray[np.float64], height: NDArray[np.float64], frames: NDArray[np.int64]) -> Iterator[int]:
    """Rows at which the hips are not where their path led."""
    if len(path) < 3:
        return
    step = np.diff(path, axis=0) / np.diff(frames)[:, None]
    # The previous displacement predicts the next; the median of three is robust to one bad frame.
    usual = np.stack([np.median(step[max(0, i - 3) : i], axis=0) if i else step[0] for i in range(len(step))])
    miss = np.linalg.norm(step - usual, axis=1) / height[1:]
    yield from (int(row) + 1 for row in np.flatnonzero(miss > MAX_STEP_BH))


def _at_new_looks(track: Track, pts_seconds: NDArray[np.float64]) -> Iterator[int]:
    """Rows at which the colors change: local maxima of the dissimilarity."""
    seconds = pts_seconds[track.frames]
    change = np.zeros(len(seconds))
    first = np.searchsorted(seconds, seconds - WINDOW_SECONDS - 1e-6)
    last = np.searchsorted(seconds, seconds + WINDOW_SECONDS - 1e-6)
    for row in range(2, len(seconds) - 1):
        before = mean_histogram(track.colors[first[row] : row])
        likeness = bhattacharyya(before, mean_histogram(track.colors[row : last[row]]))
        change[row] = 0.0 if likeness is None else 1 - likeness
    for found in np.flatnonzero(change > MIN_CHANGE_OF_LOOKS).tolist():
        if change[found] == change[first[found] : last[found]].max():
            yield found


def _meetings(tracks: tuple[Track, ...]) -> list[NDArray[np.bool_]]:
    """For each track (N,): whether its box overlaps somebody else's in that frame."""
    met = [np.zeros(len(track.frames), np.bool_) for track in tracks]
    for i, one in enumerate(tracks):
        for j in range(i):
            other = tracks[j]
            _, rows_one, rows_other = np.intersect1d(one.frames, other.frames, return_indices=True)
            near = overlap_of_smaller(one.boxes_xyxy[rows_one], other.boxes_xyxy[rows_other]) > MEETING_SHARE
            met[i][rows_one[near]] = True
            met[j][rows_other[near]] = True
    return met


def _at_meetings(met: NDArray[np.bool_], track: Track, pts_seconds: NDArray[np.float64]) -> Iterator[int]:
    """Cut regularly where people overlap, and afterwards for as long as somebody may be hidden."""
    if not met.any():
        return
    seconds = pts_seconds[track.frames]
    last = seconds[0]
    met_at = seconds[met]
    for row in range(1, len(seconds)):
        at = int(np.searchsorted(met_at, seconds[row]))
        near = [abs(seconds[row] - met_at[k]) for k in (at - 1, at) if 0 <= k < len(met_at)]
        if min(near) <= 4 * MEETING_SECONDS and seconds[row] - last >= MEETING_SECONDS - 1e-6:
            yield row
            last = seconds[row]


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """Rows ``begin`` to ``end`` (exclusive) of a track, without evidence against a single path."""

    track: Track
    begin: int
    end: int
    path: NDArray[np.float64]
    height: NDArray[np.float64]
    seconds: NDArray[np.float64]

    def piece(self, start: int, stop: int, shot: int) -> Piece:
        part = part_of(self.track, start, stop)
        # Velocities are those of the stretch before and after: the pieces are too short to have their own.
        begins, ends = self._ends(start, stop, COURSE_SECONDS)
        quick_begins, quick_ends = self._ends(start, stop, QUICK_SECONDS)
        looked_at = self._histograms(start, stop)
        return Piece(
            track=part,
            shot=shot,
            places=np.stack([quick_begins[0], quick_ends[0]]),
            velocities=np.stack([begins[1], ends[1]]),
            quick_velocities=np.stack([quick_begins[1], quick_ends[1]]),
            height_px=max(1.0, float(np.median(self.height[start:stop]))),
            looks=mean_histogram(looked_at),
            seen_frames=int(np.count_nonzero(looked_at.any(axis=(1, 2)))),
            is_cut_off=bool(np.median(part.boxes_xyxy[:, 1]) < CUT_OFF_PX),
        )

    def _histograms(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Return the color histograms of rows, or of neighboring rows where backward tracking left none in these."""
        histograms = self.track.colors
        if histograms[start:stop].any():
            return histograms[start:stop]
        near = int(np.searchsorted(self.seconds, self.seconds[stop - 1] + COURSE_SECONDS, side="right"))
        return histograms[start : min(near, self.end)]

    def _ends(
        self, start: int, stop: int, seconds: float
    ) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Position and velocity at the first and the last row."""
        after = int(np.searchsorted(self.seconds, self.seconds[start] + seconds, side="right"))
        before = int(np.searchsorted(self.seconds, self.seconds[stop - 1] - seconds))
        return self._course(start, min(after, self.end), start), self._course(max(before, self.begin), stop, stop - 1)

    def _course(self, start: int, stop: int, at: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return position at row ``at`` and velocity of a straight line through rows ``start`` to ``stop``."""
        t = self.seconds[start:stop] - self.seconds[at]
        points = self.path[start:stop]
        # Ridge penalty: the velocity of two or three frames is mostly noise.
        spread = float(((t - t.mean()) ** 2).sum()) + len(t) * SPEED_RIDGE_SECONDS**2
        velocity = ((t - t.mean())[:, None] * (points - points.mean(axis=0))).sum(axis=0) / spread
        return points.mean(axis=0) - velocity * t.mean(), velocity
