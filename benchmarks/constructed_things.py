"""Clips in which walk_a's subject carries something, or something moves beside them, with the truth of each pixel.

The things (``benchmarks.carried_things``) are drawn in the clip's true 3D: they hang from the true joints, stand on the
true ground, and are seen by the true camera, in front of the subject or behind as their depth says. They cast no
shadows. ``CLIPS`` are the clips by name; thresholds were chosen on those of ``TUNED_ON``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.carried_things import CLIPS, Pose, Thing
from benchmarks.relight import background_shifts, relit
from benchmarks.shake import read_rgb, write_video
from benchmarks.solids import WALK_A, depth, faces, joints, load_walk_a, middle, project, radius_px

_SHIFT_BITS = 4
"""Fractional bits of OpenCV's drawing coordinates."""
_FIST_RADIUS_M = 0.05

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MadeThings:
    """A clip and the truth about its subject and the things near them."""

    path: Path
    plate: Path
    """The same clip without the subject and the things."""
    subject: Masks
    """(T, H, W) the visible pixels of the subject."""
    carried: Masks
    """(T, H, W) the visible pixels of what they carry."""
    moving: Masks
    """(T, H, W) of what moves on its own."""


@dataclass(slots=True, eq=False)
class _Stage:
    things: Sequence[Thing]
    subject: list[NDArray[np.bool_]] = field(default_factory=list)
    carried: list[NDArray[np.bool_]] = field(default_factory=list)
    moving: list[NDArray[np.bool_]] = field(default_factory=list)

    def pictures(self) -> Iterator[Picture]:
        truth = load_walk_a()
        for t, source in enumerate(read_rgb(WALK_A / "sample.mp4")):
            pose = Pose(t, joints()[t])
            picture, subject = source.astype(np.float32), truth.masks[t].copy()
            masks = {True: np.zeros_like(subject), False: np.zeros_like(subject)}
            for thing in self.things:
                color, alpha = _painted(thing, pose, picture.shape[:2])
                alpha[_hiding(thing, pose, truth.masks[t])] = 0.0
                picture += alpha[..., None] * (color - picture)
                shown = alpha >= 0.5
                subject &= ~shown
                masks[thing.is_carried] |= shown
                masks[not thing.is_carried] &= ~shown
            self.subject.append(subject)
            self.carried.append(masks[True])
            self.moving.append(masks[False])
            yield np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def make(name: str, out: Path, light: str | None = None) -> MadeThings:
    """Write the clip ``name`` of ``CLIPS`` into the folder ``out``, in another light of ``benchmarks.relight``."""
    out.mkdir(parents=True, exist_ok=True)
    stage = _Stage(CLIPS[name])
    pictures, plates = stage.pictures(), read_rgb(WALK_A / "plate.mp4")
    if light is not None:
        truth = load_walk_a()
        shifts = background_shifts(truth.bg_tracks, truth.bg_visible)
        pictures, plates = relit(pictures, light, shifts), relit(plates, light, shifts)
    write_video(out / "rgb.mp4", pictures, crf=18)
    write_video(out / "plate.mp4", plates, crf=14)
    masks = np.stack(stage.subject), np.stack(stage.carried), np.stack(stage.moving)
    return MadeThings(out / "rgb.mp4", out / "plate.mp4", *masks)


def _painted(thing: Thing, pose: Pose, shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a thing's colors (h, w, 3) and its coverage (h, w), farther shapes first."""
    color = np.zeros((*shape, 3), np.float32)
    alpha = np.zeros(shape, np.float32)
    for each in sorted(thing.shapes(pose), key=lambda each: -depth(middle(each), pose.frame)):
        for outline, rgb in faces(each, pose.frame):
            cover = np.zeros(shape, np.uint8)
            points = np.rint(outline * (1 << _SHIFT_BITS)).astype(np.int32)
            cv2.fillConvexPoly(cover, points, 255, cv2.LINE_AA, _SHIFT_BITS)
            weight = cover.astype(np.float32) / 255
            where = weight > 0
            color[where] = rgb
            alpha = np.maximum(alpha, weight)
    return color, alpha


def _hiding(thing: Thing, pose: Pose, subject: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the subject (h, w) is in front of a thing: all of them, or the fists that hold it."""
    hidden = np.zeros_like(subject)
    centers = np.stack([middle(each) for each in thing.shapes(pose)])
    depths = [depth(center, pose.frame) for center in centers]
    if float(np.median(depths)) > depth(pose.chest, pose.frame):
        hidden |= subject
    for side in thing.fists:
        fist = pose.fist(side)
        x, y = project(fist, pose.frame)
        rows, columns = np.ogrid[: subject.shape[0], : subject.shape[1]]
        hidden |= subject & (np.hypot(columns - x, rows - y) <= radius_px(fist, _FIST_RADIUS_M, pose.frame))
    return hidden
