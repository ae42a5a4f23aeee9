"""Clips in which walk_a's subject carries something, or something moves beside them, with the truth of each pixel.

The things are drawn in the clip's true 3D: they hang from the true joints, stand on the true ground, and are seen by
the true camera, in front of the subject or behind as their depth says. They cast no shadows. Each function writes one
clip and returns what is true of it. ``CLIPS`` are the clips by name; thresholds were chosen on those of ``TUNED_ON``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, load_truth
from benchmarks.relight import background_shifts, relit
from benchmarks.shake import read_rgb, write_video

WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
_SUN = np.array([-0.4, -0.6, 0.7])
_UP = np.array([0.0, 0.0, 1.0])
_SHIFT_BITS = 4
"""Fractional bits of OpenCV's drawing coordinates."""
_FIST_M = 0.09
"""From the wrist to the middle of the fist."""
_FIST_RADIUS_M = 0.05
_LEFT, _RIGHT = 0, 1
_SHOULDERS, _ELBOWS, _WRISTS, _HIPS = slice(5, 7), slice(7, 9), slice(9, 11), slice(11, 13)

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Point = NDArray[np.float64]
Color = tuple[int, int, int]


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


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """A cuboid."""

    center: Point
    axes: NDArray[np.float64]
    """(3, 3) rows: unit vectors of its sides."""
    halves_m: tuple[float, float, float]
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Tube:
    """A stick, strap or limb between two points."""

    first: Point
    second: Point
    radius_m: float
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """A sphere."""

    center: Point
    radius_m: float
    rgb: Color


@dataclass(frozen=True, slots=True, eq=False)
class Canopy:
    """An open umbrella, its apex up."""

    apex: Point
    radius_m: float
    height_m: float
    rgb: Color


Shape = Box | Tube | Ball | Canopy


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where the subject's limbs are in one frame, m."""

    frame: int
    joints: NDArray[np.float64]
    """(17, 3)."""

    def fist(self, side: int) -> Point:
        """Return the middle of a fist."""
        wrist, elbow = self.joints[_WRISTS][side], self.joints[_ELBOWS][side]
        return np.asarray(wrist + _FIST_M * (wrist - elbow) / np.linalg.norm(wrist - elbow))

    @property
    def axes(self) -> NDArray[np.float64]:
        """(3, 3): unit vectors to the subject's left, to the front, and up."""
        shoulders, hips = self.joints[_SHOULDERS], self.joints[_HIPS]
        left = shoulders[_LEFT] - shoulders[_RIGHT] + hips[_LEFT] - hips[_RIGHT]
        left[2] = 0.0
        left /= np.linalg.norm(left)
        return np.stack([left, np.cross(left, _UP), _UP])

    @property
    def chest(self) -> Point:
        """The middle of the torso."""
        return np.asarray(self.joints[_SHOULDERS].mean(axis=0) * 0.65 + self.joints[_HIPS].mean(axis=0) * 0.35)


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Something near the subject."""

    shapes: Callable[[Pose], Sequence[Shape]]
    is_carried: bool
    fists: tuple[int, ...] = ()
    """Hands that close around it, and are in front of it."""


@dataclass(slots=True, eq=False)
class _Stage:
    things: Sequence[Thing]
    subject: list[NDArray[np.bool_]] = field(default_factory=list)
    carried: list[NDArray[np.bool_]] = field(default_factory=list)
    moving: list[NDArray[np.bool_]] = field(default_factory=list)

    def pictures(self) -> Iterator[Picture]:
        truth = _truth()
        for t, source in enumerate(read_rgb(WALK_A / "sample.mp4")):
            pose = Pose(t, _joints()[t])
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
        truth = _truth()
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
    for each in sorted(thing.shapes(pose), key=lambda each: -_depth(_middle(each), pose.frame)):
        for outline, rgb in _faces(each, pose.frame):
            cover = np.zeros(shape, np.uint8)
            points = np.rint(outline * (1 << _SHIFT_BITS)).astype(np.int32)
            cv2.fillConvexPoly(cover, points, 255, cv2.LINE_AA, _SHIFT_BITS)
            weight = cover.astype(np.float32) / 255
            where = weight > 0
            color[where] = rgb
            alpha = np.maximum(alpha, weight)
    return color, alpha


def _faces(shape: Shape, frame: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    """Yield the visible convex outlines (K, 2) px of a shape and their colors, farther ones first."""
    if isinstance(shape, Box):
        yield from _sides(shape, frame)
        return
    rgb = np.array(shape.rgb, np.float32)
    if isinstance(shape, Tube):
        ends = np.stack([_project(shape.first, frame), _project(shape.second, frame)])
        radii = [_radius_px(point, shape.radius_m, frame) for point in (shape.first, shape.second)]
        yield _hull([_circle(end, radius) for end, radius in zip(ends, radii, strict=True)]), rgb
    elif isinstance(shape, Ball):
        at, radius = _project(shape.center, frame), _radius_px(shape.center, shape.radius_m, frame)
        yield _circle(at, radius), 0.8 * rgb
        yield _circle(at - 0.15 * radius, 0.8 * radius), rgb
    else:
        angles = np.linspace(0, 2 * np.pi, 13)
        rim = [
            shape.apex + shape.radius_m * np.array([np.cos(a), np.sin(a), 0.0]) - shape.height_m * _UP for a in angles
        ]
        for first, second in sorted(pairwise(rim), key=lambda pair: -_depth(pair[0], frame)):
            outline = np.stack([_project(point, frame) for point in (shape.apex, first, second)])
            side = np.cross(first - shape.apex, second - shape.apex)
            yield _hull([outline]), _lit(rgb, side * np.sign(side[2]))


def _sides(box: Box, frame: int) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
    eye = _eye(frame)
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = sign * box.axes[axis]
            middle = box.center + normal * box.halves_m[axis]
            if normal @ (eye - middle) <= 0:
                continue
            first, second = (k for k in range(3) if k != axis)
            yield _rectangle(box, middle, (first, second), 1.0, frame), _lit(np.array(box.rgb, np.float32), normal)
            # A pocket or a label: things are seldom of one color.
            lighter = np.array(box.rgb, np.float32) * 0.8 + 40
            yield _rectangle(box, middle, (first, second), 0.45, frame), _lit(lighter, normal)


def _rectangle(box: Box, middle: Point, sides: tuple[int, int], size: float, frame: int) -> NDArray[np.float64]:
    first, second = (size * box.halves_m[k] * box.axes[k] for k in sides)
    corners = (middle + first + second, middle + first - second, middle - first - second, middle - first + second)
    return _hull([np.stack([_project(corner, frame) for corner in corners])])


def _lit(rgb: NDArray[np.float32], normal: Point) -> NDArray[np.float32]:
    light = 0.6 + 0.4 * max(0.0, float(normal @ _SUN) / float(np.linalg.norm(normal) * np.linalg.norm(_SUN)))
    return np.asarray(rgb * np.float32(light))


def _hiding(thing: Thing, pose: Pose, subject: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the subject (h, w) is in front of a thing: all of them, or the fists that hold it."""
    hidden = np.zeros_like(subject)
    centers = np.stack([_middle(each) for each in thing.shapes(pose)])
    depths = [_depth(center, pose.frame) for center in centers]
    if float(np.median(depths)) > _depth(pose.chest, pose.frame):
        hidden |= subject
    for side in thing.fists:
        fist = pose.fist(side)
        x, y = _project(fist, pose.frame)
        rows, columns = np.ogrid[: subject.shape[0], : subject.shape[1]]
        hidden |= subject & (np.hypot(columns - x, rows - y) <= _radius_px(fist, _FIST_RADIUS_M, pose.frame))
    return hidden


def _middle(shape: Shape) -> Point:
    if isinstance(shape, Tube):
        return np.asarray((shape.first + shape.second) / 2)
    return shape.apex if isinstance(shape, Canopy) else shape.center


def _hull(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return cv2.convexHull(np.concatenate(parts).astype(np.float32))[:, 0].astype(np.float64)


def _circle(center: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, 25)[:-1]
    return center + radius * np.column_stack([np.cos(angles), np.sin(angles)])


def _project(point: Point, frame: int) -> NDArray[np.float64]:
    truth = _truth()
    seen = truth.RT[frame, :, :3] @ point + truth.RT[frame, :, 3]
    return np.asarray((truth.K[frame] @ seen)[:2] / seen[2])


def _depth(point: Point, frame: int) -> float:
    truth = _truth()
    return float(truth.RT[frame, 2, :3] @ point + truth.RT[frame, 2, 3])


def _radius_px(point: Point, radius_m: float, frame: int) -> float:
    return float(_truth().K[frame, 0, 0] * radius_m / _depth(point, frame))


def _eye(frame: int) -> Point:
    pose = _truth().RT[frame]
    return np.asarray(-pose[:, :3].T @ pose[:, 3])


@lru_cache(maxsize=1)
def _truth() -> Truth:
    return load_truth(WALK_A)


@lru_cache(maxsize=1)
def _joints() -> NDArray[np.float64]:
    with np.load(WALK_A / "gt.npz") as saved:
        return saved["keypoints3d"].astype(np.float64)


# --- the things -------------------------------------------------------------------------------------------------


def _hanging(pose: Pose, swing: float, rgb: Color, halves_m: tuple[float, float, float]) -> list[Shape]:
    """Return a bag that hangs from the right fist, turned by ``swing`` radians to the front."""
    left, front, up = pose.axes
    down = -np.cos(swing) * up + np.sin(swing) * front
    along = np.cos(swing) * front + np.sin(swing) * up
    fist = pose.fist(_RIGHT)
    top = fist + 0.14 * down
    bag = Box(top + halves_m[2] * down, np.stack([along, left, -down]), halves_m, rgb)
    strap = [Tube(fist, top + side * 0.7 * halves_m[0] * along, 0.012, (50, 40, 40)) for side in (-1, 1)]
    return [bag, *strap]


def _bag(pose: Pose) -> list[Shape]:
    return _hanging(pose, 0.0, (150, 40, 45), (0.18, 0.06, 0.14))


def _swinging_bag(pose: Pose) -> list[Shape]:
    return _hanging(pose, 0.45 * float(np.sin(2 * np.pi * pose.frame / 27)), (60, 130, 90), (0.15, 0.05, 0.18))


def _shoulder_bag(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    hip = pose.joints[_HIPS][_RIGHT] - 0.17 * left
    bag = Box(hip - 0.08 * up, np.stack([front, left, up]), (0.16, 0.05, 0.12), (190, 150, 60))
    chest = pose.chest + 0.14 * front
    strap = [
        Tube(pose.joints[_SHOULDERS][_LEFT] + 0.06 * up, chest, 0.018, (170, 130, 50)),
        Tube(chest, hip + 0.05 * up, 0.018, (170, 130, 50)),
    ]
    return [bag, *strap]


def _backpack(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.chest - 0.2 * front, np.stack([left, front, up]), (0.17, 0.11, 0.24), (88, 92, 45))]


def _box_in_front(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.chest + 0.3 * front - 0.12 * up, np.stack([left, front, up]), (0.22, 0.15, 0.15), (175, 135, 90))]


def _umbrella(pose: Pose) -> list[Shape]:
    fist = pose.fist(_LEFT)
    top = fist + 1.15 * _UP
    return [Tube(fist - 0.1 * _UP, top, 0.01, (60, 60, 65)), Canopy(top, 0.5, 0.2, (200, 60, 150))]


def _stick(pose: Pose) -> list[Shape]:
    _, front, up = pose.axes
    fist = pose.fist(_RIGHT)
    lean = up + 0.35 * front
    lean = lean / np.linalg.norm(lean)
    return [Tube(fist - 0.55 * lean, fist + 0.45 * lean, 0.014, (225, 205, 120))]


def _phone(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    return [Box(pose.fist(_LEFT) + 0.05 * up, np.stack([front, left, up]), (0.04, 0.008, 0.085), (20, 22, 30))]


def _dog(pose: Pose) -> list[Shape]:
    left, front, up = pose.axes
    hips = pose.joints[_HIPS].mean(axis=0)
    middle = np.array([hips[0], hips[1], 0.42]) - 0.6 * left + 0.25 * front
    middle[2] += 0.01 * np.sin(2 * np.pi * pose.frame / 9)
    rgb = (95, 62, 38)
    shapes: list[Shape] = [Tube(middle - 0.25 * front, middle + 0.25 * front, 0.11, rgb)]
    for k, (along, aside) in enumerate(((-0.22, -0.06), (-0.22, 0.06), (0.22, -0.06), (0.22, 0.06))):
        hip = middle + along * front + aside * left - 0.05 * up
        step = 0.12 * np.sin(2 * np.pi * pose.frame / 14 + np.pi * (k in (1, 2)))
        foot = hip + step * front
        foot[2] = 0.03
        shapes.append(Tube(hip, foot, 0.03, rgb))
    neck = middle + 0.36 * front + 0.16 * up
    shapes += [Ball(neck, 0.1, rgb), Tube(neck, neck + 0.13 * front - 0.03 * up, 0.045, (60, 40, 25))]
    tail = middle - 0.3 * front
    shapes.append(Tube(tail, tail - 0.16 * front + 0.16 * up, 0.02, rgb))
    shapes.append(Tube(neck, pose.fist(_RIGHT), 0.008, (180, 30, 30)))
    return shapes


def _thrown_ball(pose: Pose) -> list[Shape]:
    left, front, _ = pose.axes
    seconds = (pose.frame % 27) / 30
    rise = 4.4 * seconds - 4.9 * seconds**2
    start = pose.chest - 0.3 * left + 0.3 * front
    return [Ball(start + rise * _UP, 0.11, (235, 120, 40))]


CLIPS: dict[str, tuple[Thing, ...]] = {
    "bag": (Thing(_bag, is_carried=True, fists=(_RIGHT,)),),
    "swinging_bag": (Thing(_swinging_bag, is_carried=True, fists=(_RIGHT,)),),
    "shoulder_bag": (Thing(_shoulder_bag, is_carried=True),),
    "backpack": (Thing(_backpack, is_carried=True),),
    "box_in_front": (Thing(_box_in_front, is_carried=True),),
    "umbrella": (Thing(_umbrella, is_carried=True, fists=(_LEFT,)),),
    "stick": (Thing(_stick, is_carried=True, fists=(_RIGHT,)),),
    "phone": (Thing(_phone, is_carried=True, fists=(_LEFT,)),),
    "dog": (Thing(_dog, is_carried=False, fists=(_RIGHT,)),),
    "thrown_ball": (Thing(_thrown_ball, is_carried=False),),
}
TUNED_ON = ("bag", "backpack", "umbrella", "dog")
