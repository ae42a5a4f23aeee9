"""Compose people cut out of walk_a into its background, seen by its true camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, load_truth, right_share
from benchmarks.shake import read_rgb, write_video
from pipeline.request import PointChoice, SubjectChoice

WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
SIZE_WH = (640, 360)
HOLD = range(62, 90)
"""Frames of walk_a in which the subject stands."""
SKIN_HUES = 28, 165
"""Range of 180 hues; reds and yellows lie outside."""
Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MadeClip:
    """A clip and the ground truth of its subject."""

    path: Path
    subject: Masks
    """(T, H, W) the visible pixels of the subject; empty where they are not in the picture."""
    others: Masks
    """(T, H, W) the visible pixels of everybody else who was composited."""
    shot_starts: tuple[int, ...] = (0,)
    choice: SubjectChoice = "largest"
    """How a caller selects the subject."""

    def right_share(self, masks: Iterable[NDArray[np.uint8]]) -> float:
        """Fraction of the subject's frames in which they are the person replaced (``figures.right_share``)."""
        return right_share(masks, self.subject, self.others)

    def wrong_frames(self, masks: Iterable[NDArray[np.uint8]]) -> int:
        """Number of frames without the subject in which somebody was replaced."""
        shown = np.asarray(self.subject.any(axis=(1, 2)))
        return sum(bool(mask.any()) and not there for mask, there in zip(masks, shown, strict=True))


@dataclass(frozen=True, slots=True)
class Actor:
    """A person cut out of walk_a, and their position in each frame of a composed clip."""

    poses: Sequence[int | None]
    """Frame of walk_a whose cutout is shown; None where the person is absent."""
    ground: Callable[[int], tuple[float, float]]
    """Maps a frame of the composed clip to x, y in m, between the ankles."""
    size: float = 1.0
    hue: int = 0
    """Hue rotation of the clothes, of 180 steps; 0 leaves them unchanged."""
    mirrored: bool = False
    keeps_skin: bool = False
    """Leave the hues of skin and hair unchanged."""


@dataclass(frozen=True, slots=True)
class Post:
    """An upright occluder."""

    x: float
    y: float
    width_m: float
    height_m: float = 3.2
    rgb: tuple[int, int, int] = (72, 78, 74)


@dataclass(slots=True, eq=False)
class Stage:
    """The pictures of one composed clip and their masks."""

    actors: Sequence[Actor]
    posts: Sequence[Post] = ()
    camera: Sequence[int] = ()
    """Frame of walk_a whose background and camera each frame shows."""
    masks: list[list[Masks]] = field(default_factory=list)
    """Visible masks of each frame, one per actor."""

    def pictures(self) -> Iterator[Picture]:
        plates = _plates()
        for t, shown in enumerate(self.camera):
            picture = plates[shown].copy()
            visible = [np.zeros(picture.shape[:2], np.bool_) for _ in self.actors]
            things: list[tuple[float, int | Post]] = [(post.y, post) for post in self.posts]
            things += [(actor.ground(t)[1], i) for i, actor in enumerate(self.actors) if actor.poses[t] is not None]
            for _, thing in sorted(things, key=lambda entry: -entry[0]):
                if isinstance(thing, Post):
                    hidden = _draw_post(picture, thing, shown)
                else:
                    hidden = _draw_actor(picture, self.actors[thing], t, shown)
                visible = [mask & ~hidden for mask in visible]
                if not isinstance(thing, Post):
                    visible[thing] = hidden
            self.masks.append(visible)
            yield picture

    def written(self, out: Path, clicked: int, shot_starts: tuple[int, ...] = (0,)) -> MadeClip:
        """Write the clip; the first actor is the subject, whom a caller selects by a point in the frame ``clicked``."""
        write_video(out, self.pictures(), crf=18)
        subject = np.stack([of_frame[0] for of_frame in self.masks])
        others = np.stack([np.logical_or.reduce([np.zeros_like(m[0]), *m[1:]]) for m in self.masks])
        rows, columns = np.nonzero(subject[clicked])
        choice = PointChoice(float(np.median(columns)), float(np.median(rows)), clicked / 30)
        return MadeClip(out, subject, others, shot_starts, choice)


def _draw_actor(picture: Picture, actor: Actor, t: int, camera: int) -> NDArray[np.bool_]:
    """Composite an actor into the picture, in place; return the pixels that they cover."""
    pose = actor.poses[t]
    assert pose is not None
    cutout, alpha = _cutout(pose, actor.hue, keeps_skin=actor.keeps_skin)
    feet = truth_of_walk().ankles[pose].mean(axis=0)
    there = np.array([*actor.ground(t), feet[2]])
    (here_px, here_depth) = _projected(feet, pose)
    (there_px, there_depth) = _projected(there, camera)
    scale = actor.size * here_depth / there_depth
    flip = -1.0 if actor.mirrored else 1.0
    turn = np.diag([scale * flip, scale])
    matrix = np.column_stack([turn, there_px - turn @ here_px])
    # Area-like resampling is not needed: scales are near 1.
    warped = cv2.warpAffine(cutout, matrix, SIZE_WH, flags=cv2.INTER_LINEAR)
    weight = cv2.warpAffine(alpha, matrix, SIZE_WH, flags=cv2.INTER_LINEAR)
    mixed = picture + weight[..., None] * (warped.astype(np.float32) - picture)
    picture[...] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return np.asarray(weight >= 0.5)


def _draw_post(picture: Picture, post: Post, camera: int) -> NDArray[np.bool_]:
    corners = [
        _projected(np.array([post.x + side * post.width_m / 2, post.y, z]), camera)[0]
        for side, z in ((-1, 0.0), (1, 0.0), (1, post.height_m), (-1, post.height_m))
    ]
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners).astype(np.int32), 1)
    columns = np.flatnonzero(inside.any(axis=0))
    if len(columns):
        # A lit cylinder with worn paint: not one flat color.
        across = np.linspace(-1, 1, len(columns))
        light = (0.75 + 0.35 * np.sqrt(1 - across**2) - 0.15 * across).astype(np.float32)
        shade = np.zeros(picture.shape[:2], np.float32)
        shade[:, columns] = light
        rows = np.arange(picture.shape[0], dtype=np.float32)[:, None]
        shade *= 1 + 0.04 * np.sin(rows / 9)
        painted = np.clip(shade[..., None] * np.array(post.rgb, np.float32), 0, 255).astype(np.uint8)
        picture[inside > 0] = painted[inside > 0]
    return np.asarray(inside > 0)


def own_ground(t: int) -> tuple[float, float]:
    x, y, _ = truth_of_walk().ankles[t].mean(axis=0)
    return float(x), float(y)


def mirrored_ground(t: int, shift: float, farther: float) -> tuple[float, float]:
    x, y = own_ground(t)
    return shift - x, y + farther


def standing_poses(count: int) -> list[int]:
    """Return poses of somebody who stands for ``count`` frames, played back and forth."""
    return [HOLD.start + step for step in there_and_back(count, len(HOLD))]


def there_and_back(count: int, length: int) -> list[int]:
    cycle = [*range(length), *range(length - 2, 0, -1)]
    return [cycle[t % len(cycle)] for t in range(count)]


def _projected(point: Floats, camera: int) -> tuple[Floats, float]:
    """Return px (2,) and depth in m of a point (3,) in walk_a's camera of a frame."""
    truth = truth_of_walk()
    seen = truth.RT[camera, :, :3] @ point + truth.RT[camera, :, 3]
    return (truth.K[camera] @ seen)[:2] / seen[2], float(seen[2])


def _cutout(t: int, hue: int, *, keeps_skin: bool = False) -> tuple[Picture, NDArray[np.float32]]:
    """Return walk_a's subject in one frame, (H, W, 3), and a soft outline (H, W)."""
    picture = sources_of_walk()[t]
    if hue:
        turned = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        is_turned = np.ones(picture.shape[:2], np.bool_)
        if keeps_skin:
            is_turned = (turned[..., 0] > SKIN_HUES[0]) & (turned[..., 0] < SKIN_HUES[1])
        turned[is_turned, 0] = (turned[is_turned, 0].astype(np.int16) + hue) % 180
        turned[is_turned, 1] = np.minimum(turned[is_turned, 1].astype(np.int16) + 50, 255)
        picture = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), np.uint8)
    soft = cv2.GaussianBlur(truth_of_walk().masks[t].astype(np.float32), (0, 0), 0.7)
    return picture, soft


@lru_cache(maxsize=1)
def truth_of_walk() -> Truth:
    return load_truth(WALK_A)


@lru_cache(maxsize=1)
def sources_of_walk() -> list[Picture]:
    return list(read_rgb(WALK_A / "sample.mp4"))


@lru_cache(maxsize=1)
def _plates() -> list[Picture]:
    return list(read_rgb(WALK_A / "plate.mp4"))
