"""What an editor does to a clip, with exact ground truth: `python -m benchmarks.edits FOOTAGE [NAME ...]`.

Fades through black and white, whip pans, zoom punches, speed ramps, frozen frames, flashes, mirrored and re-cropped
shots, and cross-fades, made of the rendered clips ``FOOTAGE/walk_a`` and ``FOOTAGE/walk_d``. The preview job runs on
each: whom does it replace, which cuts does it find, and does it tell the times at which the original person is left?
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import mask_iou
from benchmarks.judged_job import run, video_of
from benchmarks.reframed import Footage, Reframed, Shown, crop, judge_reframed, mirror, write_reframed
from pipeline.datatypes.arrays import Float64Array
from pipeline.media.ffv1 import read_artifact

SIZE_WH = (640, 360)
AIM = 0.99
LEAST_PX = 500
KEPT = 0.2
"""Mean weight of the source over the subject's pixels from which a frame shows the original person."""
Frames = Sequence[int]


@dataclass(frozen=True, slots=True, eq=False)
class Edit:
    """One edited clip."""

    entries: list[Shown]
    cuts: Frames = ()
    """First frames of new shots that have to be found, within ``slack`` frames."""
    optional: Frames = ()
    """Frames at which a new shot is no fault: the camera's motion cannot be told from a cut."""
    slack: int = 0


def _plain(frames: Iterable[int], matrix: Float64Array | None = None) -> list[Shown]:
    shown = np.eye(3) if matrix is None else matrix
    return [Shown(frame, shown) for frame in frames]


def _dimmed(entries: list[Shown], weights: Iterable[float], *, white: bool) -> list[Shown]:
    """Return entries with a weight of black or white each."""
    return [
        Shown(entry.frame, entry.matrix, white=weight) if white else Shown(entry.frame, entry.matrix, gain=1 - weight)
        for entry, weight in zip(entries, weights, strict=True)
    ]


def _through(footage: Footage, length: int, blank: int, *, white: bool) -> Edit:
    """Return two shots that fade through a plain picture."""
    other = _framing(footage, 100, 1.35)
    first = _plain(range(25, 70))
    second = _plain(range(95, 140), other)
    weights = np.linspace(0, 1, length + 2)[1:-1]
    out = _dimmed(first[-length:], weights, white=white)
    blanks = _dimmed([first[-1]] * blank, np.ones(blank), white=white)
    back = _dimmed(second[:length], weights[::-1], white=white)
    entries = [*first[:-length], *out, *blanks, *back, *second[length:]]
    return Edit(entries, (len(first) + blank,), slack=length // 2 + 1)


def _framing(footage: Footage, frame: int, zoom: float) -> Float64Array:
    """(3, 3): a still crop about the subject in a frame."""
    center = footage.truth.keypoints[frame][[5, 6, 11, 12]].mean(axis=0)
    return crop(center, SIZE_WH[1] / zoom, SIZE_WH, SIZE_WH)


def _zoomed(footage: Footage, zooms: Float64Array, first: int) -> list[Shown]:
    """Return one shot with a zoom factor in each frame, about the picture's center."""
    middle = np.array([(SIZE_WH[0] - 1) / 2, (SIZE_WH[1] - 1) / 2])
    del footage
    return [Shown(first + t, crop(middle, SIZE_WH[1] / zoom, SIZE_WH, SIZE_WH)) for t, zoom in enumerate(zooms)]


def _punched(footage: Footage, zoom: float, frames: int) -> Edit:
    """Return a shot with a zoom punch within so many frames, held, and released likewise."""
    knots = np.array([0, 30, 30 + frames, 65, 65 + frames, 100])
    zooms = np.interp(np.arange(100), knots, [1.0, 1.0, zoom, zoom, 1.0, 1.0])
    return Edit(_zoomed(footage, zooms, 25))


def _whipped(footage: Footage, frames: int) -> Edit:
    """Return a shot that whips from the subject across the scene and back, blurred by its motion."""
    focus = footage.focus((5, 6, 11, 12), 8.0)
    height = 250.0
    entries: list[Shown] = []
    away = np.zeros(90)
    ramp = np.linspace(0, 1, frames + 2)
    away[30 : 30 + len(ramp)] = ramp
    away[30 + len(ramp) : 50] = 1
    away[50 : 50 + len(ramp)] = ramp[::-1]
    side = 1.0 if focus[60, 0] < SIZE_WH[0] / 2 else -1.0
    centers = focus[30:120] + side * away[:, None] * np.array([170.0, 0])
    for t, center in enumerate(centers):
        speed = abs(away[min(t + 1, 89)] - away[max(t - 1, 0)]) / 2 * 170 * SIZE_WH[1] / height
        entries.append(Shown(30 + t, crop(center, height, SIZE_WH, SIZE_WH), blur_px=(0.5 * speed, 0)))
    return Edit(entries, optional=range(28, 52 + len(ramp)))


def _ramped(footage: Footage) -> Edit:
    """Return a shot whose speed goes from a third over three times to one, in whole frames."""
    del footage
    speeds = np.interp(np.arange(110), [0, 30, 50, 70, 80, 110], [1 / 3, 1 / 3, 3, 3, 1, 1])
    frames = np.floor(5 + np.cumsum(speeds)).astype(int)
    return Edit(_plain(frames[frames < 148].tolist()))


def _frozen(footage: Footage) -> Edit:
    del footage
    return Edit(_plain([*range(15, 45), *[45] * 15, *range(46, 110), *[110] * 8, *range(111, 130)]))


def _flashed(footage: Footage) -> Edit:
    del footage
    entries = _plain(range(20, 120))
    for frame, white in ((20, 0.9), (21, 0.5), (50, 1.0), (51, 0.7), (52, 0.35), (75, 0.6)):
        entries[frame] = Shown(entries[frame].frame, entries[frame].matrix, white=white)
    return Edit(entries)


def _mirrored(footage: Footage) -> Edit:
    del footage
    first = _plain(range(25, 65))
    second = _plain(range(65, 105), mirror(SIZE_WH))
    third = _plain(range(105, 140))
    return Edit([*first, *second, *third], (40, 80))


def _recropped(footage: Footage, gap: int) -> Edit:
    """Return jump cuts between two framings, ``gap`` frames left out at each."""
    near = _framing(footage, 70, 1.5)
    first = range(20, 50)
    second = range(50 + gap, 85 + gap)
    third = range(85 + 2 * gap, 115 + gap)
    return Edit([*_plain(first), *_plain(second, near), *_plain(third)], (30, 65))


def _cross_faded(footage: Footage, length: int) -> Edit:
    near = _framing(footage, 110, 1.5)
    return _faded_over(_plain(range(20, 70)), _plain(range(85, 135), near), length)


def _cross_faded_in_motion(footage: Footage, length: int, step_px: float) -> Edit:
    """Return a cross-fade between two framings that follow the subject and pass them in opposite directions."""
    focus = footage.focus((5, 6, 11, 12), 8.0)
    shots = []
    for frames, height_px, side in ((range(25, 60), 300.0, 1.0), (range(90, 125), 230.0, -1.0)):
        away = side * step_px * (np.arange(len(frames)) - len(frames) / 2)
        centers = focus[list(frames)] + np.stack([away, np.zeros(len(frames))], axis=1)
        pairs = zip(frames, centers, strict=True)
        shots.append([Shown(frame, crop(center, height_px, SIZE_WH, SIZE_WH)) for frame, center in pairs])
    return _faded_over(shots[0], shots[1], length)


def _faded_over(first: list[Shown], second: list[Shown], length: int) -> Edit:
    """Return two shots of which the last and the first ``length`` frames are mixed."""
    entries = first[:-length]
    for t in range(length):
        early = first[len(first) - length + t]
        entries.append(Shown(early.frame, early.matrix, blended=second[t], weight=(t + 1) / (length + 1)))
    entries += second[length:]
    return Edit(entries, (len(first) - length // 2,), slack=length // 2 + 2)


EDITS: dict[str, Callable[[Footage], Edit]] = {
    "fade_black": lambda footage: _through(footage, 10, 4, white=False),
    "fade_white": lambda footage: _through(footage, 8, 2, white=True),
    "dip_black": lambda footage: _through(footage, 3, 1, white=False),
    "punch_10_1": lambda footage: _punched(footage, 1.1, 1),
    "punch_20_1": lambda footage: _punched(footage, 1.2, 1),
    "punch_30_1": lambda footage: _punched(footage, 1.3, 1),
    "punch_30_3": lambda footage: _punched(footage, 1.3, 3),
    "punch_25_6": lambda footage: _punched(footage, 1.25, 6),
    "whip_4": lambda footage: _whipped(footage, 4),
    "whip_8": lambda footage: _whipped(footage, 8),
    "speed_ramp": _ramped,
    "frozen": _frozen,
    "flashes": _flashed,
    "mirrored": _mirrored,
    "recropped": lambda footage: _recropped(footage, 0),
    "jump_and_crop": lambda footage: _recropped(footage, 12),
    "cross_fade": lambda footage: _cross_faded(footage, 12),
    "cross_fade_moving": lambda footage: _cross_faded_in_motion(footage, 10, 4.0),
}


@dataclass(frozen=True, slots=True)
class Told:
    """How an edited clip was treated."""

    right: float
    """Fraction of the subject's frames in which they are the person replaced."""
    kept: int
    """Frames that keep the original person."""
    silent: int
    """Those among them that no warning names."""
    missed_cuts: int
    false_cuts: tuple[int, ...]


def judged_edit(edit: Edit, clip: Reframed, made: Path, warnings: Sequence[str]) -> Told:
    """Compare a job's artifacts with the truth of an edited clip."""
    with np.load(made / "analysis.npz") as analysis:
        starts = [int(start) for start in analysis["shot_starts"] if start > 0]
    near = {cut: [start for start in starts if abs(start - cut) <= edit.slack] for cut in edit.cuts}
    explained = {start for found in near.values() for start in found[:1]}
    false = tuple(start for start in starts if start not in explained and start not in edit.optional)
    right: list[bool] = []
    kept: list[int] = []
    regions = read_artifact(made / "edit_region.mkv")
    for t, (mask, region) in enumerate(zip(read_artifact(made / "mask.mkv"), regions, strict=True)):
        true = clip.masks[t]
        if np.count_nonzero(true) < LEAST_PX or _is_blank(edit.entries[t]):
            continue
        overlap = mask_iou(mask > 0, true)
        right.append(overlap > 0.5 and overlap > mask_iou(mask > 0, clip.others[t]))
        if float(np.mean(1 - region[true] / 255.0)) > KEPT:
            kept.append(t)
    told = told_frames(warnings, len(clip.masks), 30.0)
    return Told(
        float(np.mean(right)),
        len(kept),
        int(np.count_nonzero(~told[kept])),
        sum(not found for found in near.values()),
        false,
    )


def _is_blank(entry: Shown) -> bool:
    return entry.gain < 0.06 or entry.white > 0.94


def told_frames(warnings: Sequence[str], num_frames: int, rate: float) -> NDArray[np.bool_]:
    """Return (T,): the frames named by the sentences that say what is not replaced, as "1.6 to 3.6 s"."""
    told = np.zeros(num_frames, np.bool_)
    for warning in warnings:
        if not re.search(r"untouched|shine through|unchanged|original person", warning):
            continue
        for start, stop in re.findall(r"([\d.]+) to ([\d.]+)", warning):
            told[max(0, round((float(start) - 0.05) * rate)) : round((float(stop) + 0.05) * rate) + 1] = True
    return told


def judge(footage: Footage, name: str, work: Path) -> bool:
    """Make a clip, run the job on it, print its line; return whether an aim was missed."""
    edit = EDITS[name](footage)
    folder = work / footage.name / name
    folder.mkdir(parents=True, exist_ok=True)
    clip = write_reframed(footage, edit.entries, SIZE_WH, folder / "clip.mp4")
    result = run(clip.path, folder, artifacts=("mask", "analysis", "edit_region"))
    found = judged_edit(edit, clip, video_of(result).parent, result.report.warnings)
    missed = found.right < AIM or found.silent > 0 or found.missed_cuts > 0 or len(found.false_cuts) > 0
    print(
        f"{footage.name:<7} {name:<14} right {found.right:.3f} (aim {AIM}); original kept in {found.kept} frames, "
        f"{found.silent} of them not told; cuts missed {found.missed_cuts} of {len(edit.cuts)}, false "
        f"{list(found.false_cuts)}  {'MISSED' if missed else 'ok'}",
        flush=True,
    )
    return missed


def main() -> int:
    return judge_reframed("edits", __doc__ or "", list(EDITS), judge)


if __name__ == "__main__":
    sys.exit(main())
