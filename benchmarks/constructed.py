"""Clips with known ground truth, composed of walk_a's subject, its clean background and its true camera.

People are cut out of walk_a and composited elsewhere in the scene: their feet stand on true ground points and their
size follows from depth, so that they are consistent with the camera's motion. Occluders (a lamp post) are drawn at
their own depth. Each function writes one clip and returns its ground truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.figures import Truth
from benchmarks.shake import write_video
from benchmarks.stage import (
    SIZE_WH,
    Actor,
    Floats,
    MadeClip,
    Post,
    Stage,
    mirrored_ground,
    own_ground,
    sources_of_walk,
    standing_poses,
    there_and_back,
    truth_of_walk,
)
from pipeline.request import PointChoice


def behind_a_post(out: Path) -> MadeClip:
    """Write a man who walks behind a broad lamp post, while another one in other clothes stands beside it."""
    frames = range(150)
    walker = Actor([*frames], own_ground)
    bystander = Actor(standing_poses(150), lambda t: (-1.05, 0.85), hue=75, mirrored=True)
    post = Post(-0.62, -0.4, 0.42)
    return Stage([walker, bystander], [post], frames).written(out, 20)


def in_uniform(out: Path) -> MadeClip:
    """Write three men who look alike: the subject enters, one walks the other way behind the subject, one stands."""
    frames = range(150)
    walk = [*range(62), *range(92, 150)]
    other = [walk[t - 18] if 18 <= t < 18 + len(walk) else None for t in frames]
    passer = Actor(other, lambda t: mirrored_ground(walk[t - 18], shift=0.35, farther=1.1), mirrored=True)
    stander = Actor(standing_poses(150), lambda t: (1.15, 1.0))
    return Stage([Actor([*frames], own_ground), passer, stander], (), frames).written(out, 20)


def duet(out: Path, *, farther: float = 1.1, delay: int = 18) -> tuple[MadeClip, MadeClip]:
    """Write two men who walk past each other, both to be replaced; return the ground truth of each.

    The second is walk_a's man mirrored and delayed, in other clothes, ``farther`` m behind the first one's path, or in
    front of it where that is negative.
    """
    walk = [*range(62), *range(92, 150)]
    frames = range(len(walk))
    other = [walk[t - delay] if t >= delay else None for t in frames]
    first = Actor(walk, lambda t: own_ground(walk[t]))
    second = Actor(
        other,
        lambda t: mirrored_ground(walk[t - delay], shift=0.35, farther=farther),
        hue=75,
        mirrored=True,
        keeps_skin=True,
    )
    made = Stage([first, second], (), frames).written(out, 20)
    clicked = delay + 22
    rows, columns = np.nonzero(made.others[clicked])
    choice = PointChoice(float(np.median(columns)), float(np.median(rows)), clicked / 30)
    return made, MadeClip(out, made.others, made.subject, choice=choice)


def leaves_and_returns(out: Path) -> MadeClip:
    """Write a man who leaves the picture and returns two seconds later, while another one stands there all the time."""
    poses: list[int | None] = [*range(100, 149), *[None] * 60, *range(8, 60)]
    walker = Actor(poses, lambda t: own_ground(poses[t] or 0))
    stander = Actor(standing_poses(len(poses)), lambda t: (-0.95, 1.3), hue=100, mirrored=True)
    camera = there_and_back(len(poses), 149)
    return Stage([walker, stander], (), camera).written(out, 10)


def jump_cuts_on_a_tripod(out: Path) -> MadeClip:
    """Write one tripod shot with three jump cuts and a second man who stands there."""
    poses = [*range(18, 48), *range(58, 88), *range(104, 134), *range(30, 60)]
    walker = Actor(poses, lambda t: own_ground(poses[t]))
    stander = Actor(standing_poses(120), lambda t: (1.0, 1.2), hue=100)
    return Stage([walker, stander], (), [75] * 120).written(out, 10, (0, 30, 60, 90))


def jump_cuts_by_hand(out: Path) -> MadeClip:
    """Write walk_a itself, hand-held, with three jump cuts."""
    parts = (range(14, 44), range(70, 96), range(112, 138), range(40, 66))
    return _joined(out, [[(t, None) for t in part] for part in parts])


def cut_to_a_close_up(out: Path) -> MadeClip:
    """Write a full shot, a cut to a close-up of the same man, and a cut back."""
    parts = (range(20, 56), range(56, 92), range(92, 128))
    return _joined(out, [[(t, 3.0 if part == parts[1] else None) for t in part] for part in parts])


def walks_up_to_the_camera(out: Path) -> MadeClip:
    """Write one shot that zooms in on the subject until only head and chest are visible, and out again."""
    zoom = 1 + 2.2 * np.sin(np.pi * np.arange(120) / 119)
    return _joined(out, [[(t + 15, float(z)) for t, z in enumerate(zoom)]])


def _joined(out: Path, shots: Sequence[Sequence[tuple[int, float | None]]]) -> MadeClip:
    """Write shots of walk_a's frames, each unchanged or zoomed in on head and chest by a factor."""
    truth = truth_of_walk()
    sources = sources_of_walk()
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
    """(2, 3): a zoom about a point that moves from the picture's center to the subject's chest as the factor grows."""
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


CLIPS = (
    behind_a_post,
    in_uniform,
    leaves_and_returns,
    jump_cuts_on_a_tripod,
    jump_cuts_by_hand,
    cut_to_a_close_up,
    walks_up_to_the_camera,
)
