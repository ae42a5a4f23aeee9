"""Whether carried and moving things survive whole: `python -m benchmarks.things [CLIP ...] [--light dusk]`.

Runs the ``preview`` job on the clips of ``benchmarks.constructed_things``, whose truth is exact, and prints for each:

* kept: share of the thing's visible pixels that came through (``figures.KeptShare``);
* whole: share of the frames that show the thing in which at least 95 % of it or at most 5 % came through: never half;
* old person left: mean weight of the source over the subject's visible pixels, away from the thing's blurred edge.

Thresholds were chosen on ``carried_things.TUNED_ON``; the others only judge.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.carried_things import CLIPS, TUNED_ON
from benchmarks.constructed_things import MadeThings, make
from benchmarks.judged_job import run
from benchmarks.picture_figures import KeptShare
from benchmarks.relight import LIGHTS
from pipeline.maths.masks import grow
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of

KEPT_AIM = 0.95
LEFT_AIM_PERCENT = 0.5
_WHOLE = 0.95
_LEAST_PX = 60
"""Fewer pixels of a thing in a frame do not say whether it is whole."""
_BLUR_PX = 2


@dataclass(frozen=True, slots=True)
class ThingFigures:
    """What became of the things of one clip."""

    kept: float
    whole: float
    left_percent: float


def figures_of(made: MadeThings, out: Path) -> ThingFigures:
    """Judge the files of a job in ``out`` (``edit_region`` and the lossless result)."""
    pairs = zip(
        open_clip(made.path).frames(),
        open_clip(next(out.glob("result.*"))).frames(),
        read_artifact(out / "edit_region.mkv"),
        strict=True,
    )
    kept = KeptShare()
    shares = []
    left = 0.0
    subject_px = 0
    for source, result, region in pairs:
        number = source.index
        before, after = rgb_of(source), rgb_of(result)
        thing = made.carried[number] | made.moving[number]
        kept.add(before, after, thing)
        if np.count_nonzero(thing) >= _LEAST_PX:
            one = KeptShare()
            one.add(before, after, thing)
            shares.append(one.share)
        old = made.subject[number] & ~grow(thing, _BLUR_PX)
        left += float(np.sum(1 - region[old] / 255.0))
        subject_px += int(np.count_nonzero(old))
    halves = [1 - _WHOLE < share < _WHOLE for share in shares]
    return ThingFigures(kept.share, 1 - float(np.mean(halves)), 100 * left / max(subject_px, 1))


def judge(name: str, folder: Path, light: str | None, overrides: Sequence[str] = ()) -> ThingFigures:
    """Make a clip in an empty folder, run the job on it, and return its figures."""
    made = make(name, folder / "clip", light)
    (folder / "job").mkdir()
    run(made.path, folder / "job", *overrides, "output=lossless", artifacts=("edit_region",))
    return figures_of(made, folder / "job" / "out")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.things", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", metavar="CLIP", help=f"of {', '.join(CLIPS)}; all where none is named")
    parser.add_argument("--light", choices=sorted(LIGHTS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, Hydra's grammar")
    arguments = parser.parse_args()
    passed = True
    print(f"{'clip':<16}{'kept':>8}{'whole':>8}{'old left, %':>13}")
    for name in arguments.clips or CLIPS:
        with tempfile.TemporaryDirectory(prefix="things-") as temporary:
            found = judge(name, Path(temporary), arguments.light, arguments.set)
        good = found.kept >= KEPT_AIM and found.left_percent <= LEFT_AIM_PERCENT
        passed &= good
        role = "tuned" if name in TUNED_ON else "judged"
        print(
            f"{name:<16}{found.kept:>8.3f}{found.whole:>8.3f}{found.left_percent:>13.3f}"
            f"  {role}{'' if good else ', MISSED'}",
            flush=True,
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
