"""Balls near the subject: round, of constant size and color, and moving differently from the subject and the
background.

A ball is recognized by its shape, so that it is found even where the background behind it was never seen, and is
complete in every frame. Circles are found by the Hough gradient transform, then linked over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from pipeline.datatypes.arrays import Float64Array, Mask, Picture
from pipeline.maths.reduce import reduced
from pipeline.shaped import Shaped, Shapes

BODY_PX = 240
"""Body height at which circles are detected."""
_RADIUS_BH = (0.026, 0.12)
"""From a handball next to a tall adult to a large beach ball in front of a child."""
_GRADIENT = 150.0
_WARM_GRADIENT = 300.0
_ROUNDNESS = 0.6
"""OpenCV's ``param1`` (of lightness and of color) and ``param2`` of ``HOUGH_GRADIENT_ALT``."""
_LEAST_APART_PX = 8
_MOST_CIRCLES = 16
_CALM_PX = 1.0
_SPOKES = 24
_EDGE_LAB = 14.0
_EDGE_SHARE = 0.75
"""Fraction of the outline at which the color changes."""
_STEP_BH = 0.13
"""Largest displacement between two frames of 1/30 s."""
_RADIUS_RATIO = 1.25
_COLOR_LAB = 22.0
_GAP_FRAMES = 4
_LEAST_SECONDS = 0.4
_LEAST_FOUND = 0.7
"""Fraction of a track's frames in which its circle was found."""
_LEAST_WAY_BH = 0.25
_LEAST_SPEED_BH = 0.3
"""Typical speed, body heights per second."""
_MOST_TURN = 0.75
"""Typical change of velocity in 1/30 s, relative to the speed: ballistic motion, with a kick twice a second."""
_JOINT_BH = 0.05
_MOST_AT_JOINT = 0.6
"""A circle that follows the same joint for longer is a head, a fist or a shoe."""
_ROOM_PX = 0.5
_STEADY_FRAMES = 15
"""A ball's radius is the median over this many frames: the true one is constant from frame to frame, the detected one
is not."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Circles(Shaped):
    """Circles detected in one frame, source px."""

    SHAPES: ClassVar[Shapes] = {"centers_xy": ("K", 2), "radii_px": ("K",), "colors": ("K", 3)}

    frame: int
    centers_xy: Float64Array
    """(K, 2)."""
    radii_px: Float64Array
    """(K,)."""
    colors: Float64Array
    """(K, 3) mean Lab inside."""

    def without(self, mask: Mask, origin_xy: tuple[int, int], factor: float) -> Circles:
        """Return those of which less than half lies in a mask (h, w), a part of the frame made smaller."""
        rows, columns = np.indices(mask.shape)
        kept = []
        for (x, y), radius in zip(self.centers_xy, self.radii_px, strict=True):
            column = (x - origin_xy[0] + 0.5) / factor - 0.5
            row = (y - origin_xy[1] + 0.5) / factor - 0.5
            disc = (columns - column) ** 2 + (rows - row) ** 2 <= (radius / factor) ** 2
            kept.append(np.count_nonzero(mask & disc) < 0.5 * np.count_nonzero(disc))
        which = np.array(kept, np.bool_)
        return Circles(self.frame, self.centers_xy[which], self.radii_px[which], self.colors[which])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BodyPath(Shaped):
    """What balls are distinguished from, in all frames: joints in source px, the subject's height, and the background's
    motion."""

    SHAPES: ClassVar[Shapes] = {
        "joints_xy": ("T", "J", 2),
        "hips_xy": ("T", 2),
        "height_px": ("T",),
        "world_from_source": ("T", 3, 3),
    }

    joints_xy: Float64Array
    """(T, J, 2) of head, hands and feet, NaN where not known."""
    hips_xy: Float64Array
    """(T, 2)."""
    height_px: Float64Array
    """(T,)."""
    world_from_source: Float64Array
    """(T, 3, 3)."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Balls(Shaped):
    """Discs by frame, source px."""

    SHAPES: ClassVar[Shapes] = {"frames": ("N",), "discs": ("N", 3)}

    frames: NDArray[np.int64]
    """(N,) ascending; a frame may occur more than once."""
    discs: Float64Array
    """(N, 3): x, y, radius."""

    @classmethod
    def none(cls) -> Balls:
        """Return an empty set of balls."""
        return cls(np.zeros(0, np.int64), np.zeros((0, 3)))

    @classmethod
    def load(cls, path: Path) -> Balls:
        """Read what ``save`` wrote; none where there is no file."""
        if not path.exists():
            return cls.none()
        with np.load(path) as saved:
            return cls(saved["frames"], saved["discs"])

    def save(self, path: Path) -> None:
        """Write to a file."""
        np.savez(path, frames=self.frames, discs=self.discs)

    def mask(self, frame: int, box_xyxy: tuple[int, int, int, int]) -> Mask | None:
        """Return the (h, w) mask of the balls in a box of a frame; None where there are none."""
        discs = self.discs[np.searchsorted(self.frames, frame) : np.searchsorted(self.frames, frame, side="right")]
        if not len(discs):
            return None
        x0, y0, x1, y1 = box_xyxy
        columns, rows = np.arange(x0, x1), np.arange(y0, y1)[:, None]
        found = np.zeros((y1 - y0, x1 - x0), np.bool_)
        for x, y, radius in discs:
            found |= (columns - x) ** 2 + (rows - y) ** 2 <= (radius + _ROOM_PX) ** 2
        return found


def find_circles(frame: int, picture: Picture, origin_xy: tuple[int, int], height_px: float) -> Circles:
    """Return the circles whose outline is an edge in a part of a frame, (h, w, 3) RGB with its corner at
    ``origin_xy``."""
    factor = max(1.0, height_px / BODY_PX)
    size_wh = max(1, round(picture.shape[1] / factor)), max(1, round(picture.shape[0] / factor))
    small = cv2.GaussianBlur(reduced(picture, size_wh), (0, 0), _CALM_PX)
    low, high = (radius * height_px / factor for radius in _RADIUS_BH)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    circles = np.vstack([_hough(lab[..., 0], _GRADIENT, low, high), _hough(_warmth(lab), _WARM_GRADIENT, low, high)])
    lab = lab.astype(np.float32)
    kept = []
    colors = []
    for x, y, radius in circles:
        inside, outside = (_around(lab, x, y, radius * scale) for scale in (0.8, 1.25))
        if np.mean(np.linalg.norm(inside - outside, axis=1) > _EDGE_LAB) >= _EDGE_SHARE:
            kept.append((x, y, radius))
            colors.append(np.vstack([inside, _around(lab, x, y, radius * 0.4)]).mean(axis=0))
    discs = np.array(kept, np.float64).reshape(-1, 3)
    centers = (discs[:, :2] + 0.5) * factor - 0.5 + origin_xy
    return Circles(frame, centers, discs[:, 2] * factor, np.array(colors, np.float64).reshape(-1, 3))


def _warmth(lab: Picture) -> NDArray[np.uint8]:
    """Return (h, w): how red and yellow each pixel is; an orange ball may be as bright as a brick wall."""
    warm = 2 * (lab[..., 1].astype(np.int16) + lab[..., 2] - 256) + 128
    return np.asarray(warm.clip(0, 255), np.uint8)


def _hough(gray: NDArray[np.uint8], gradient: float, low: float, high: float) -> Float64Array:
    """Return (K, 3) circles: x, y, radius."""
    found = cv2.HoughCircles(
        np.ascontiguousarray(gray),
        cv2.HOUGH_GRADIENT_ALT,
        1.5,
        _LEAST_APART_PX,
        param1=gradient,
        param2=_ROUNDNESS,
        minRadius=max(3, round(low)),
        maxRadius=max(4, round(high)),
    )
    return np.zeros((0, 3)) if found is None else found[0, :_MOST_CIRCLES, :3].astype(np.float64)


def _around(lab: NDArray[np.float32], x: float, y: float, radius: float) -> NDArray[np.float64]:
    """Return (spokes, 3) the colors along a circle; the picture's border is replicated outside."""
    angles = np.arange(_SPOKES) * (2 * np.pi / _SPOKES)
    columns = np.clip(np.rint(x + radius * np.cos(angles)), 0, lab.shape[1] - 1).astype(int)
    rows = np.clip(np.rint(y + radius * np.sin(angles)), 0, lab.shape[0] - 1).astype(int)
    return lab[rows, columns].astype(np.float64)


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
    most_gap = max(_GAP_FRAMES, 2 * stride)
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
    tracks = [track for track in done + running if _is_ball(track, body, frame_rate, stride)]
    return _filled(tracks)


def _is_ball(track: _Track, body: BodyPath, frame_rate: float, stride: int) -> bool:
    frames = np.array(track.frames)
    length = frames[-1] - frames[0] + 1
    if length < _LEAST_SECONDS * frame_rate or stride * len(frames) < _LEAST_FOUND * length:
        return False
    discs = np.array(track.discs)
    height = body.height_px[frames]
    from_hips = (discs[:, :2] - body.hips_xy[frames]) / height[:, None]
    points = np.column_stack([discs[:, :2], np.ones(len(discs))])
    placed = np.einsum("tij,tj->ti", body.world_from_source[frames], points)
    in_world = placed[:, :2] / placed[:, 2:] / float(np.median(height))
    if min(_spread(from_hips), _spread(in_world)) < _LEAST_WAY_BH:
        return False
    # A track that jumps between background features stands still most of the time, or reverses at every step.
    speeds = np.diff(in_world, axis=0) / np.diff(frames)[:, None]
    usual = float(np.median(np.linalg.norm(speeds, axis=1)))
    turns = float(np.median(np.linalg.norm(np.diff(speeds, axis=0), axis=1)))
    if usual * frame_rate < _LEAST_SPEED_BH or turns > _MOST_TURN * usual * stride * 30.0 / frame_rate:
        return False
    distance = np.linalg.norm(body.joints_xy[frames] - discs[:, None, :2], axis=2)
    at_joint = distance < discs[:, 2:] + _JOINT_BH * height[:, None]
    return bool(at_joint.mean(axis=0).max(initial=0.0) < _MOST_AT_JOINT)


def _spread(points: Float64Array) -> float:
    """Return the longer side of the bounding box of most points (N, 2)."""
    low, high = np.nanpercentile(points, (5, 95), axis=0)
    return float((high - low).max())


def _filled(tracks: Sequence[_Track]) -> Balls:
    frames = []
    discs = []
    for track in tracks:
        every = np.arange(track.frames[0], track.frames[-1] + 1)
        known = np.array(track.discs)
        known[:, 2] = median_filter(known[:, 2], _STEADY_FRAMES, mode="nearest")
        frames.append(every)
        discs.append(np.column_stack([np.interp(every, track.frames, known[:, axis]) for axis in range(3)]))
    if not frames:
        return Balls.none()
    numbers = np.concatenate(frames)
    order = np.argsort(numbers, kind="stable")
    return Balls(numbers[order].astype(np.int64), np.concatenate(discs)[order])
