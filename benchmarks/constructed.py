"""Clips with known truth, made of walk_a's subject, the place without them, and its true camera.

People are cut out of walk_a and put back elsewhere in the place: their feet stand on true points of the ground, their
size follows from the depth, so that the camera's motion fits them. What hides them (a lamp post) is drawn at its depth,
too. Each function writes one clip and returns what is true of it.
"""

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
_SKIN_HUES = 28, 165
"""Of 180: reds and yellows lie outside."""

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MadeClip:
    """A clip and the truth about its subject."""

    path: Path
    subject: Masks
    """(T, H, W) the visible pixels of the subject; empty where they are not in the picture."""
    others: Masks
    """(T, H, W) everybody else's, as far as they were put there."""
    shot_starts: tuple[int, ...] = (0,)
    choice: SubjectChoice = "largest"
    """What a caller says to have the subject replaced."""

    def right_share(self, masks: Iterable[NDArray[np.uint8]]) -> float:
        """Share of the subject's frames in which they are the person replaced (``figures.right_share``)."""
        return right_share(masks, self.subject, self.others)

    def wrong_frames(self, masks: Iterable[NDArray[np.uint8]]) -> int:
        """Frames without the subject in which somebody was replaced all the same."""
        shown = self.subject.any(axis=(1, 2))
        return sum(bool(mask.any()) and not there for mask, there in zip(masks, shown, strict=True))


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody cut out of walk_a, and where they are in each frame of a made clip."""

    poses: Sequence[int | None]
    """Frame of walk_a whose cutout is shown; None where the person is absent."""
    ground: Callable[[int], tuple[float, float]]
    """x, y in m of a frame of the made clip, between the ankles."""
    size: float = 1.0
    hue: int = 0
    """Turned by so many of 180 steps; 0 leaves the clothes as they are."""
    mirrored: bool = False
    keeps_skin: bool = False
    """Turn no hues of skin and hair."""


@dataclass(frozen=True, slots=True)
class Post:
    """An upright occluder."""

    x: float
    y: float
    width_m: float
    height_m: float = 3.2
    rgb: tuple[int, int, int] = (72, 78, 74)


@dataclass(slots=True, eq=False)
class _Stage:
    """The pictures of one composed clip and the masks that belong to them."""

    actors: Sequence[Actor]
    posts: Sequence[Post] = ()
    camera: Sequence[int] = ()
    """Frame of walk_a whose background and camera each frame shows."""
    masks: list[list[Masks]] = field(default_factory=list)
    """A frame's visible masks, one an actor."""

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
        """Write the clip; the first actor is the subject, and a caller clicks on them in the frame ``clicked``."""
        write_video(out, self.pictures(), crf=18)
        subject = np.stack([of_frame[0] for of_frame in self.masks])
        others = np.stack([np.logical_or.reduce([np.zeros_like(m[0]), *m[1:]]) for m in self.masks])
        rows, columns = np.nonzero(subject[clicked])
        choice = PointChoice(float(np.median(columns)), float(np.median(rows)), clicked / 30)
        return MadeClip(out, subject, others, shot_starts, choice)


def behind_a_post(out: Path) -> MadeClip:
    """Write a man who walks behind a lamp post wider than the person; beside it stands another one in other clothes."""
    frames = range(150)
    walker = Actor([*frames], _own_ground)
    bystander = Actor(_standing(150), lambda t: (-1.05, 0.85), hue=75, mirrored=True)
    post = Post(-0.62, -0.4, 0.42)
    return _Stage([walker, bystander], [post], frames).written(out, 20)


def in_uniform(out: Path) -> MadeClip:
    """Write three men alike: the subject walks in, one walks the other way behind the subject, one stands."""
    frames = range(150)
    walk = [*range(62), *range(92, 150)]
    other = [walk[t - 18] if 18 <= t < 18 + len(walk) else None for t in frames]
    passer = Actor(other, lambda t: _mirrored_ground(walk[t - 18], shift=0.35, farther=1.1), mirrored=True)
    stander = Actor(_standing(150), lambda t: (1.15, 1.0))
    return _Stage([Actor([*frames], _own_ground), passer, stander], (), frames).written(out, 20)


def duet(out: Path, *, farther: float = 1.1, delay: int = 18) -> tuple[MadeClip, MadeClip]:
    """Write two men who walk past each other, both to be replaced; return the truth about each.

    The second is walk_a's man mirrored and delayed, in other clothes, ``farther`` m behind the first one's line, or in
    front of it where that is negative.
    """
    walk = [*range(62), *range(92, 150)]
    frames = range(len(walk))
    other = [walk[t - delay] if t >= delay else None for t in frames]
    first = Actor(walk, lambda t: _own_ground(walk[t]))
    second = Actor(
        other,
        lambda t: _mirrored_ground(walk[t - delay], shift=0.35, farther=farther),
        hue=75,
        mirrored=True,
        keeps_skin=True,
    )
    made = _Stage([first, second], (), frames).written(out, 20)
    clicked = delay + 22
    rows, columns = np.nonzero(made.others[clicked])
    choice = PointChoice(float(np.median(columns)), float(np.median(rows)), clicked / 30)
    return made, MadeClip(out, made.others, made.subject, choice=choice)


def leaves_and_returns(out: Path) -> MadeClip:
    """Write a man who walks out and comes back two seconds later, while another one stands there all the time."""
    poses: list[int | None] = [*range(100, 149), *[None] * 60, *range(8, 60)]
    walker = Actor(poses, lambda t: _own_ground(poses[t] or 0))
    stander = Actor(_standing(len(poses)), lambda t: (-0.95, 1.3), hue=100, mirrored=True)
    camera = _there_and_back(len(poses), 149)
    return _Stage([walker, stander], (), camera).written(out, 10)


def jump_cuts_on_a_tripod(out: Path) -> MadeClip:
    """Write one scene on a tripod from which time was cut three times, with a second man who stands there."""
    poses = [*range(18, 48), *range(58, 88), *range(104, 134), *range(30, 60)]
    walker = Actor(poses, lambda t: _own_ground(poses[t]))
    stander = Actor(_standing(120), lambda t: (1.0, 1.2), hue=100)
    return _Stage([walker, stander], (), [75] * 120).written(out, 10, (0, 30, 60, 90))


def jump_cuts_by_hand(out: Path) -> MadeClip:
    """Write walk_a itself, hand-held, with time cut out of it three times."""
    parts = (range(14, 44), range(70, 96), range(112, 138), range(40, 66))
    return _joined(out, [[(t, None) for t in part] for part in parts])


def cut_to_a_close_up(out: Path) -> MadeClip:
    """Write a whole-body shot, a cut to head and chest of the same man, and back."""
    parts = (range(20, 56), range(56, 92), range(92, 128))
    return _joined(out, [[(t, 3.0 if part == parts[1] else None) for t in part] for part in parts])


def walks_up_to_the_camera(out: Path) -> MadeClip:
    """Write one shot in which the picture closes in on the subject until only head and chest are seen, and opens
    again."""
    zoom = 1 + 2.2 * np.sin(np.pi * np.arange(120) / 119)
    return _joined(out, [[(t + 15, float(z)) for t, z in enumerate(zoom)]])


def _joined(out: Path, shots: Sequence[Sequence[tuple[int, float | None]]]) -> MadeClip:
    """Write shots of walk_a's frames, each as it is or enlarged so many times about head and chest."""
    truth = _truth()
    sources = _sources()
    flat = [entry for shot in shots for entry in shot]
    matrices = [np.eye(3)[:2] if zoom is None else _closer(truth, t, zoom) for t, zoom in flat]
    write_video(
        out,
        (
            np.asarray(cv2.warpAffine(sources[t], m, SIZE_WH, flags=cv2.INTER_CUBIC), np.uint8)
            for (t, _), m in zip(flat, matrices, strict=True)
        ),
        crf=18,
    )
    subject = np.stack(
        [
            cv2.warpAffine(truth.masks[t].view(np.uint8), m, SIZE_WH, flags=cv2.INTER_NEAREST) > 0
            for (t, _), m in zip(flat, matrices, strict=True)
        ]
    )
    starts = np.cumsum([0, *(len(shot) for shot in shots[:-1])])
    return MadeClip(out, subject, np.zeros_like(subject), tuple(int(start) for start in starts))


def _closer(truth: Truth, t: int, zoom: float) -> Floats:
    """(2, 3): the picture enlarged about a point that goes from its middle to the subject's chest as it closes in."""
    width, height = SIZE_WH
    # Smoothed: the camera of a close-up does not follow every step.
    near = np.clip(np.arange(t - 6, t + 7), 0, len(truth.keypoints) - 1)
    chest = truth.keypoints[near][:, [0, 5, 6]].mean(axis=(0, 1))
    share = min(1.0, (zoom - 1) / 1.2)
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    focus = (1 - share) * middle + share * chest
    half = middle / zoom
    focus = np.clip(focus, half, 2 * middle - half)
    return np.column_stack([zoom * np.eye(2), middle - zoom * focus])


def _draw_actor(picture: Picture, actor: Actor, t: int, camera: int) -> NDArray[np.bool_]:
    """Paste an actor into the picture, in place; return the pixels that they cover."""
    pose = actor.poses[t]
    assert pose is not None
    cutout, alpha = _cutout(pose, actor.hue, keeps_skin=actor.keeps_skin)
    feet = _truth().ankles[pose].mean(axis=0)
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
        # Round, lit from the left, with some paint worn off: not one flat color.
        across = np.linspace(-1, 1, len(columns))
        light = (0.75 + 0.35 * np.sqrt(1 - across**2) - 0.15 * across).astype(np.float32)
        shade = np.zeros(picture.shape[:2], np.float32)
        shade[:, columns] = light
        rows = np.arange(picture.shape[0], dtype=np.float32)[:, None]
        shade *= 1 + 0.04 * np.sin(rows / 9)
        painted = np.clip(shade[..., None] * np.array(post.rgb, np.float32), 0, 255).astype(np.uint8)
        picture[inside > 0] = painted[inside > 0]
    return np.asarray(inside > 0)


def _own_ground(t: int) -> tuple[float, float]:
    x, y, _ = _truth().ankles[t].mean(axis=0)
    return float(x), float(y)


def _mirrored_ground(t: int, shift: float, farther: float) -> tuple[float, float]:
    x, y = _own_ground(t)
    return shift - x, y + farther


def _standing(count: int) -> list[int]:
    """Poses of somebody who stands for as long as wanted: there and back again."""
    return [HOLD.start + step for step in _there_and_back(count, len(HOLD))]


def _there_and_back(count: int, length: int) -> list[int]:
    cycle = [*range(length), *range(length - 2, 0, -1)]
    return [cycle[t % len(cycle)] for t in range(count)]


def _projected(point: Floats, camera: int) -> tuple[Floats, float]:
    """Return px (2,) and depth in m of a point (3,) seen by walk_a's camera of a frame."""
    truth = _truth()
    seen = truth.RT[camera, :, :3] @ point + truth.RT[camera, :, 3]
    return (truth.K[camera] @ seen)[:2] / seen[2], float(seen[2])


def _cutout(t: int, hue: int, *, keeps_skin: bool = False) -> tuple[Picture, NDArray[np.float32]]:
    """Return walk_a's subject in one frame, (H, W, 3), and a soft outline (H, W)."""
    picture = _sources()[t]
    if hue:
        turned = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        is_turned = np.ones(picture.shape[:2], np.bool_)
        if keeps_skin:
            is_turned = (turned[..., 0] > _SKIN_HUES[0]) & (turned[..., 0] < _SKIN_HUES[1])
        turned[is_turned, 0] = (turned[is_turned, 0].astype(np.int16) + hue) % 180
        turned[is_turned, 1] = np.minimum(turned[is_turned, 1].astype(np.int16) + 50, 255)
        picture = np.asarray(cv2.cvtColor(turned, cv2.COLOR_HSV2RGB), np.uint8)
    soft = cv2.GaussianBlur(_truth().masks[t].astype(np.float32), (0, 0), 0.7)
    return picture, soft


@lru_cache(maxsize=1)
def _truth() -> Truth:
    return load_truth(WALK_A)


@lru_cache(maxsize=1)
def _sources() -> list[Picture]:
    return list(read_rgb(WALK_A / "sample.mp4"))


@lru_cache(maxsize=1)
def _plates() -> list[Picture]:
    return list(read_rgb(WALK_A / "plate.mp4"))


CLIPS = (
    behind_a_post,
    in_uniform,
    leaves_and_returns,
    jump_cuts_on_a_tripod,
    jump_cuts_by_hand,
    cut_to_a_close_up,
    walks_up_to_the_camera,
)
