"""Link circles over time, and tell which of their tracks are balls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from pipeline.datatypes.arrays import Float64Array
from pipeline.scene.balls import Balls, BodyPath, Circles

_STEP_BH = 0.13
"""Largest displacement between two frames of 1/30 s."""
_RADIUS_RATIO = 1.25
_COLOR_LAB = 22.0
_GAP_FRAMES = 4
"""Before its first circle and after its last one, in which a ball was there, too, where the clip begins or ends."""
_MOST_GAP_FRAMES = 7
"""Frames without a circle within a track: words pass over the ball, a hand, a limb."""
_LEAST_SECONDS = 0.4
_LEAST_FOUND = 0.7
"""Fraction of a track's frames in which its circle was found."""
_LEAST_WAY_BH = 0.2
_LEAST_SPEED_BH = 0.3
"""Typical speed, body heights per second."""
_MOST_TURN = 0.75
"""Typical change of velocity in 1/30 s, relative to the speed: ballistic motion, with a kick twice a second."""
_KNOWN_SECONDS = 0.2
_KNOWN_RATIO = 1.3
_KNOWN_LAB = 12.0
_KNOWN_TURN = 1.0
"""What has size and color of a ball that is known needs a shorter flight, near joints or not."""
_JOINT_BH = 0.05
_MOST_AT_JOINT = 0.6
"""A circle that follows the same joint for longer is a head, a fist or a shoe."""
_SAME_PLACE = 0.5
"""Radii between two circles of one ball."""
_MOST_DOUBLE = 0.5
_STEADY_FRAMES = 15
"""A ball's radius is the median over this many frames: the true one is constant from frame to frame, the detected one
is not."""


@dataclass(slots=True, eq=False)
class _Track:
    frames: list[int] = field(default_factory=list)
    discs: list[NDArray[np.float64]] = field(default_factory=list)
    """x, y, radius."""
    color: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    def add(self, frame: int, disc: NDArray[np.float64], color: NDArray[np.float64]) -> None:
        # The first color is the circle's own; later ones adapt to the light.
        self.color = color if not self.frames else 0.8 * self.color + 0.2 * color
        self.frames.append(frame)
        self.discs.append(disc)

    def cost(self, frame: int, disc: NDArray[np.float64], color: NDArray[np.float64], step_px: float) -> float:
        """Return the cost (below 3) of continuing a track with a circle; infinite where it does not fit."""
        gap = frame - self.frames[-1]
        last = self.discs[-1]
        there = last[:2]
        if len(self.frames) > 1:
            speed = (last[:2] - self.discs[-2][:2]) / (self.frames[-1] - self.frames[-2])
            there = last[:2] + gap * speed
        # It may have just been kicked: then it is near its last position.
        way = min(float(np.hypot(*(disc[:2] - there))), float(np.hypot(*(disc[:2] - last[:2]))) * 1.5) / (gap * step_px)
        size = abs(float(np.log(disc[2] / last[2]))) / np.log(_RADIUS_RATIO)
        apart = float(np.linalg.norm(color - self.color)) / _COLOR_LAB
        return way + size + apart if max(way, size, apart) < 1 else np.inf


def follow_balls(circles: Sequence[Circles], body: BodyPath, frame_rate: float, stride: int = 1) -> Balls:
    """Return the balls among the circles of every ``stride``-th frame, in order; short gaps are filled."""
    most_gap = max(_MOST_GAP_FRAMES, 2 * stride)
    done: list[_Track] = []
    running: list[_Track] = []
    for found in circles:
        height = float(body.height_px[found.frame])
        done += [track for track in running if found.frame - track.frames[-1] > most_gap]
        running = [track for track in running if found.frame - track.frames[-1] <= most_gap]
        discs = np.column_stack([found.centers_xy, found.radii_px])
        step_px = _STEP_BH * height * 30.0 / frame_rate
        pairs = sorted(
            (track.cost(found.frame, disc, color, step_px), t, k)
            for t, track in enumerate(running)
            for k, (disc, color) in enumerate(zip(discs, found.colors, strict=True))
        )
        taken: set[int] = set()
        grown: set[int] = set()
        for cost, t, k in pairs:
            if np.isfinite(cost) and t not in grown and k not in taken:
                running[t].add(found.frame, discs[k], found.colors[k])
                grown.add(t)
                taken.add(k)
        for k in range(len(discs)):
            if k not in taken:
                track = _Track()
                track.add(found.frame, discs[k], found.colors[k])
                running.append(track)
    every = done + running
    tracks = [track for track in every if _is_ball(track, body, frame_rate, stride)]
    tracks += [track for track in every if track not in tracks and _is_known(track, tracks, body, frame_rate, stride)]
    return _filled(_without_doubles(tracks), circles[0].frame, circles[-1].frame) if tracks else Balls.none()


def _is_ball(track: _Track, body: BodyPath, frame_rate: float, stride: int) -> bool:
    frames = np.array(track.frames)
    if not _is_dense(frames, _LEAST_SECONDS * frame_rate, stride):
        return False
    discs = np.array(track.discs)
    height = body.height_px[frames]
    from_hips = (discs[:, :2] - body.hips_xy[frames]) / height[:, None]
    in_world = _in_world(track, body)
    if min(_spread(from_hips), _spread(in_world)) < _LEAST_WAY_BH or not _flies(
        in_world, frames, frame_rate, stride, _MOST_TURN
    ):
        return False
    distance = np.linalg.norm(body.joints_xy[frames] - discs[:, None, :2], axis=2)
    at_joint = distance < discs[:, 2:] + _JOINT_BH * height[:, None]
    return bool(at_joint.mean(axis=0).max(initial=0.0) < _MOST_AT_JOINT)


def _is_known(track: _Track, balls: Sequence[_Track], body: BodyPath, frame_rate: float, stride: int) -> bool:
    """Return whether a track shows one of the ``balls`` for a short time, between two kicks out of the picture."""
    frames = np.array(track.frames)
    if not _is_dense(frames, _KNOWN_SECONDS * frame_rate, stride):
        return False
    size = _size_bh(track, body)
    alike = [
        max(size, known) <= _KNOWN_RATIO * min(size, known)
        for each in balls
        if np.linalg.norm(each.color - track.color) < _KNOWN_LAB and np.isfinite(known := _size_bh(each, body))
    ]
    return any(alike) and _flies(_in_world(track, body), frames, frame_rate, stride, _KNOWN_TURN)


def _is_dense(frames: NDArray[np.int64], least: float, stride: int) -> bool:
    length = frames[-1] - frames[0] + 1
    return bool(length >= least and stride * len(frames) >= _LEAST_FOUND * length)


def _size_bh(track: _Track, body: BodyPath) -> float:
    return float(np.median(np.array(track.discs)[:, 2] / body.height_px[track.frames]))


def _in_world(track: _Track, body: BodyPath) -> Float64Array:
    """Return the course (N, 2) against the background, in body heights."""
    points = np.column_stack([np.array(track.discs)[:, :2], np.ones(len(track.discs))])
    placed = np.einsum("tij,tj->ti", body.world_from_source[track.frames], points)
    return np.asarray(placed[:, :2] / placed[:, 2:] / float(np.median(body.height_px[track.frames])))


def _flies(in_world: Float64Array, frames: NDArray[np.int64], frame_rate: float, stride: int, most_turn: float) -> bool:
    """Return whether a course (N, 2), body heights, is a flight: a track that jumps between background features stands
    still most of the time, or reverses at every step. Two points show no change of speed, so they are none."""
    if len(frames) < 3:
        return False
    speeds = np.diff(in_world, axis=0) / np.diff(frames)[:, None]
    usual = float(np.median(np.linalg.norm(speeds, axis=1)))
    turns = float(np.median(np.linalg.norm(np.diff(speeds, axis=0), axis=1)))
    return usual * frame_rate >= _LEAST_SPEED_BH and turns <= most_turn * usual * stride * 30.0 / frame_rate


def _spread(points: Float64Array) -> float:
    """Return the longer side of the bounding box of most points (N, 2)."""
    low, high = np.nanpercentile(points, (5, 95), axis=0)
    return float((high - low).max())


def _without_doubles(tracks: Sequence[_Track]) -> list[_Track]:
    """Return the tracks, those of the same ball as one.

    A ball has a circle in lightness and one in color, and a track of each. The shorter one counts before and after the
    longer one, and where that one leaves the ball for a moment, for a shoe that it meets.
    """
    kept: list[_Track] = []
    for track in sorted(tracks, key=lambda each: len(each.frames), reverse=True):
        longer = next((each for each in kept if _coincide(track, each)), None)
        if longer is None:
            kept.append(track)
            continue
        known = _joined(
            dict(zip(longer.frames, longer.discs, strict=True)), dict(zip(track.frames, track.discs, strict=True))
        )
        longer.frames = sorted(known)
        longer.discs = [known[frame] for frame in longer.frames]
    return kept


def _joined(
    longer: Mapping[int, NDArray[np.float64]], shorter: Mapping[int, NDArray[np.float64]]
) -> dict[int, NDArray[np.float64]]:
    """Return the discs by frame of two tracks of one ball: of all courses through them, the one with the least sum of
    squared steps (Viterbi); one that leaves the ball for something else has a long one."""
    frames = sorted(longer.keys() | shorter.keys())
    discs = [np.array([each[frame] for each in (longer, shorter) if frame in each]) for frame in frames]
    costs = np.zeros(len(discs[0]))
    origins = []
    for k in range(1, len(frames)):
        steps = np.sum((discs[k][:, None, :2] - discs[k - 1][None, :, :2]) ** 2, axis=2) / (frames[k] - frames[k - 1])
        total = costs + steps
        origins.append(total.argmin(axis=1))
        costs = total.min(axis=1)
    which = [int(costs.argmin())]
    for origin in reversed(origins):
        which.append(int(origin[which[-1]]))
    return {frame: disc[k] for frame, disc, k in zip(frames, discs, reversed(which), strict=True)}


def _coincide(track: _Track, longer: _Track) -> bool:
    frames = np.array(track.frames)
    discs = np.array(track.discs)
    known = np.array(longer.discs)
    # In many frames only one of them has a circle.
    there = np.column_stack([np.interp(frames, longer.frames, known[:, axis]) for axis in range(2)])
    same = np.linalg.norm(discs[:, :2] - there, axis=1) < _SAME_PLACE * discs[:, 2]
    same &= (frames >= longer.frames[0]) & (frames <= longer.frames[-1])
    return bool(same.mean() > _MOST_DOUBLE)


def _filled(tracks: Sequence[_Track], first: int, last: int) -> Balls:
    """Return the discs of the tracks in all their frames.

    A ball found soon after the ``first`` frame was there from the start, in a hand that hides its outline, and so it is
    at the end: there it goes on as it moved.
    """
    frames = []
    discs = []
    for track in tracks:
        known = np.array(track.discs)
        known[:, 2] = median_filter(known[:, 2], _STEADY_FRAMES, mode="nearest")
        start = first if track.frames[0] - first <= _GAP_FRAMES else track.frames[0]
        stop = last if last - track.frames[-1] <= _GAP_FRAMES else track.frames[-1]
        every = np.arange(start, stop + 1)
        found = np.column_stack([np.interp(every, track.frames, known[:, axis]) for axis in range(3)])
        few = min(_GAP_FRAMES, len(known)) - 1
        for end, near in ((0, few), (-1, -1 - few)):
            step = (known[near, :2] - known[end, :2]) / (track.frames[near] - track.frames[end])
            beyond = np.flatnonzero((every < track.frames[0]) if end == 0 else (every > track.frames[-1]))
            found[beyond, :2] += step * (every[beyond] - track.frames[end])[:, None]
        frames.append(every)
        discs.append(found)
    numbers = np.concatenate(frames)
    order = np.argsort(numbers, kind="stable")
    return Balls(numbers[order].astype(np.int64), np.concatenate(discs)[order])
