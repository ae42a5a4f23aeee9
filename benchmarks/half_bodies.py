"""Half bodies and close-ups with exact ground truth: `python -m benchmarks.half_bodies FOOTAGE [NAME ...]`.

Crops, zooms and tilts of the rendered clips ``FOOTAGE/walk_a`` and ``FOOTAGE/walk_d``: from the waist up, legs alone,
head and shoulders, somebody who comes closer until only the chest is in the picture, feet that leave and return,
vertical pictures, and somebody far away, whose picture is surrounded by its own border. The preview job runs on each;
the placed joints of the new person are compared with the true ones that are in the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import right_share
from benchmarks.judged_job import run, video_of
from benchmarks.picture_figures import RegionArea
from benchmarks.reframed import Footage, Reframed, Shown, crop, judge_reframed, write_reframed
from pipeline.datatypes.arrays import Float64Array
from pipeline.media.ffv1 import read_artifact

WIDE, TALL, LARGE = (640, 360), (360, 640), (848, 480)
NOSE, SHOULDERS, HIPS, KNEES, ANKLES = [0], [5, 6], [11, 12], [13, 14], [15, 16]
AIM_BH = 0.05
AIM_SHARE = 0.95
LEFT_AIM_PERCENT = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """How a clip is cropped."""

    size_wh: tuple[int, int]
    joints: tuple[int, ...]
    """Joints in whose middle the crop's center lies."""
    height_bh: Callable[[float], float]
    """Height of the crop in body heights, by time in 0..1."""
    down_bh: Callable[[float], float] = lambda _: 0.0
    """How far the crop's center lies below the joints, body heights."""
    follows: bool = True
    """Whether the crop follows the subject across; else it stays in the place."""
    reaches_beyond: bool = False
    """Whether the crop may be larger than the picture, whose border then continues."""


def _constant(value: float) -> Callable[[float], float]:
    return lambda _: value


def _there_and_back(low: float, high: float) -> Callable[[float], float]:
    """Return a function that is ``low`` at the ends and ``high`` in the middle, smooth."""
    return lambda at: low + (high - low) * float(np.sin(np.pi * at)) ** 2


VIEWS: dict[str, View] = {
    "waist_up": View(WIDE, (5, 6), _constant(0.62), _constant(0.08)),
    "legs_only": View(WIDE, (13, 14), _constant(0.62), _constant(-0.02)),
    "close_up": View(WIDE, (0,), _constant(0.4), _constant(0.04)),
    "comes_close": View(WIDE, (5, 6), _there_and_back(1.3, 0.45), _there_and_back(0.25, 0.06)),
    "feet_leave": View(WIDE, (11, 12), _constant(0.95), _there_and_back(0.0, -0.22)),
    "at_the_shins": View(WIDE, (11, 12), _constant(0.85), lambda at: -0.05 + 0.04 * float(np.sin(9 * np.pi * at))),
    "tilts": View(WIDE, (11, 12), _constant(0.7), lambda at: 0.28 * float(np.cos(2 * np.pi * at))),
    "vertical": View(TALL, (11, 12), _constant(1.25)),
    "vertical_half": View(TALL, (5, 6), _constant(0.75), _constant(0.12)),
    "walks_through": View(WIDE, (5, 6), _constant(0.75), _constant(0.1), follows=False),
    "far_away": View(LARGE, (11, 12), _constant(6.5), follows=False, reaches_beyond=True),
}
TUNED = ("walk_a",)
"""Thresholds were chosen on this footage; the other one only judges."""


def reframed_entries(footage: Footage, view: View) -> Iterator[Shown]:
    """Yield what each frame of the cropped clip shows."""
    truth = footage.truth
    limits = (truth.masks.shape[2], truth.masks.shape[1])
    focus = footage.focus(view.joints, 6.0)
    if not view.follows:
        focus = np.tile(np.median(focus, axis=0), (len(focus), 1))
    heights = truth.body_height_px
    for frame, center in enumerate(focus):
        at = frame / (len(focus) - 1)
        down = np.array([0.0, view.down_bh(at) * heights[frame]])
        height = view.height_bh(at) * heights[0 if view.reaches_beyond else frame]
        whole = None if view.reaches_beyond else limits
        yield Shown(frame, crop(center + down, height, view.size_wh, whole))


@dataclass(frozen=True, slots=True)
class Placed:
    """How well the new person stands on the true joints in the picture, in per cent of body height."""

    near_share: float
    """Fraction of the frames whose mean distance is at most ``AIM_BH``."""
    median: float
    worst_frame: float
    jump_p99: float
    """99th percentile of what (placed - true) changes from frame to frame, over joints."""
    jump_max: float
    """The largest mean over a frame's joints."""
    height_error: float
    """Largest relative change of the placed body's size against the true one, from frame to frame."""
    missing: int
    """Frames that show joints of the subject without a placed person."""


def placed_figures(placed: Float64Array, clip: Reframed) -> Placed:
    """Compare placed joints (T, 21, 3) with the true ones in the picture."""
    heights = clip.body_height_px[:, None]
    off = (placed[:, :17, :2] - clip.keypoints) / heights[..., None]
    counted = clip.inside & np.isfinite(off).all(axis=-1)
    distance = np.where(counted, np.linalg.norm(np.nan_to_num(off), axis=-1), 0)
    shown = clip.inside.any(axis=1) & (np.count_nonzero(clip.masks, axis=(1, 2)) > 200)
    placed_there = counted.any(axis=1)
    per_frame = distance.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    per_frame = np.where(placed_there, per_frame, np.inf)[shown]
    both = counted[1:] & counted[:-1]
    steps = np.where(both, np.linalg.norm(np.nan_to_num(np.diff(off, axis=0)), axis=-1), 0)
    means = steps.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    sizes = _size_ratio(placed, clip)
    changes = np.abs(np.diff(np.log(sizes)))
    return Placed(
        float(np.mean(per_frame <= AIM_BH)),
        float(100 * np.median(per_frame)),
        float(100 * np.max(per_frame[np.isfinite(per_frame)], initial=0)),
        float(100 * np.quantile(steps[both], 0.99)) if both.any() else 0.0,
        float(100 * means.max(initial=0)),
        float(100 * np.nanmax(changes, initial=0)) if np.isfinite(changes).any() else 0.0,
        int(np.count_nonzero(shown & ~placed_there)),
    )


def _size_ratio(placed: Float64Array, clip: Reframed) -> Float64Array:
    """(T,): spread of all placed joints, in the picture or not, over that of the true ones."""

    def spread(points: Float64Array) -> Float64Array:
        return np.sqrt(((points - points.mean(axis=1, keepdims=True)) ** 2).sum(axis=(1, 2)))

    return np.asarray(spread(placed[:, :17, :2]) / spread(clip.keypoints))


def judge(footage: Footage, name: str, work: Path) -> bool:
    """Make a clip, run the job on it, print its line; return whether an aim was missed."""
    view = VIEWS[name]
    folder = work / footage.name / name
    folder.mkdir(parents=True, exist_ok=True)
    clip = write_reframed(footage, [*reframed_entries(footage, view)], view.size_wh, folder / "clip.mp4")
    result = run(clip.path, folder, artifacts=("mask", "analysis", "edit_region", "layer"))
    made = video_of(result).parent
    with np.load(made / "analysis.npz") as analysis:
        placed = analysis["placed_joints"].astype(np.float64)
        starts = analysis["shot_starts"]
    found = placed_figures(placed, clip)
    right = right_share(read_artifact(made / "mask.mkv"), clip.masks, clip.others)
    area = RegionArea()
    pictures = zip(read_artifact(made / "edit_region.mkv"), read_artifact(made / "layer.mkv"), clip.masks, strict=True)
    for region, layer, mask in pictures:
        area.add(region, mask, layer[..., 3])
    missed = found.near_share < AIM_SHARE or area.source_left_percent > LEFT_AIM_PERCENT or len(starts) > 1
    print(
        f"{footage.name:<7} {name:<14} near {found.near_share:.3f} (aim {AIM_SHARE}), median {found.median:.1f}, "
        f"worst {found.worst_frame:.1f}; jump p99 {found.jump_p99:.2f}, frame {found.jump_max:.2f}, "
        f"size {found.height_error:.2f} % bh; left {area.source_left_percent:.2f} % (aim {LEFT_AIM_PERCENT}); "
        f"right {right:.3f}; not placed {found.missing}; false cuts {len(starts) - 1}  {'MISSED' if missed else 'ok'}",
        flush=True,
    )
    return missed


def main() -> int:
    return judge_reframed("half_bodies", __doc__ or "", list(VIEWS), judge)


if __name__ == "__main__":
    sys.exit(main())
