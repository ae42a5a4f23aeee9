"""Whether burnt-in graphics survive, and harm nothing: `python -m benchmarks.graphics [BASE ...] [--style 1]`.

Draws the graphics of ``benchmarks.burnt_in`` on walk_a, on the same walk in front of a still camera, and on walk_d
(``--footage`` names the folder that holds it), runs the ``preview`` job and prints for each clip, and for the base
without graphics:

* kept: share of the graphics' pixels on and near the subject that came through (``figures.KeptShare``);
* old person left: mean weight of the source over the subject's visible pixels beside the graphics;
* plate: PSNR over those pixels against the true background;
* right person: share of the subject's frames in which they are the person replaced.

Thresholds were chosen on style 0 of walk_a and the still camera; the rest only judges.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.burnt_in import STYLES, Style, drawn, laid_on
from benchmarks.figures import clip_of, load_truth, right_share
from benchmarks.framed import FRAMES
from benchmarks.judged_job import run
from benchmarks.picture_figures import KeptShare, SquareError
from benchmarks.shake import read_rgb, write_video
from benchmarks.stage import Actor, Stage, own_ground
from pipeline.maths.masks import grow
from pipeline.media.decode import open_clip
from pipeline.media.ffv1 import read_artifact
from pipeline.media.pixels import rgb_of

ROOT = Path(__file__).resolve().parents[1]
BASES = ("walk_a", "still", "walk_d")
GROUPS: dict[str, tuple[str, ...]] = {
    "none": (),
    "caption": ("caption",),
    "hook": ("hook",),
    "karaoke": ("karaoke",),
    "panel": ("panel",),
    "lower_third": ("lower_third",),
    "pop": ("pop", "progress"),
    "sticker": ("sticker",),
    "watermark": ("watermark", "letterbox"),
    "emoji": ("emoji", "app"),
    "pillarbox": ("pillarbox",),
    "title_bars": ("title_bars",),
    "blurred_sides": ("blurred_sides",),
    "blurred_top": ("blurred_top",),
}
STILL_FRAME = 75
_NEAR_PX = 8
"""How far around the subject a graphic is at risk."""
_SOLID = 0.6
_EDGE_PX = 2

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A clip with ground truth, before graphics are drawn on it."""

    pictures: list[Picture]
    plates: list[Picture]
    subject: Masks
    others: Masks


@dataclass(frozen=True, slots=True)
class GraphicsFigures:
    """What became of the graphics of one clip, and of what is beneath them."""

    kept: float
    left_percent: float
    plate_db: float
    right: float


def load_base(name: str, footage: Path) -> Base:
    """Read a base: ``walk_a``, ``still`` (walk_a's subject before one picture of its background), or ``walk_d``."""
    folder = footage / "walk_d" if name == "walk_d" else ROOT / "assets" / "walk_a"
    truth = load_truth(folder)
    plates = list(read_rgb(folder / "plate.mp4"))
    nobody = np.zeros_like(truth.masks)
    if name != "still":
        return Base(
            list(read_rgb(clip_of(folder))), plates, truth.masks, nobody if truth.others is None else truth.others
        )
    count = len(truth.masks)
    stage = Stage([Actor([*range(count)], own_ground)], (), [STILL_FRAME] * count)
    pictures = list(stage.pictures())
    return Base(pictures, [plates[STILL_FRAME]] * count, np.stack([masks[0] for masks in stage.masks]), nobody)


def write_clip(
    base: Base, kinds: tuple[str, ...], style: Style, out: Path
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Write a base with graphics on it; return their coverage (H, W) in each frame."""
    coverage = []

    def pictures() -> Iterator[Picture]:
        for t, picture in enumerate(base.pictures):
            graphics = laid(kinds, t, picture, style)
            coverage.append(graphics[1])
            yield laid_on(picture, graphics)

    write_video(out, pictures(), crf=18)
    return coverage


def laid(kinds: tuple[str, ...], t: int, picture: Picture, style: Style) -> tuple[Picture, NDArray[np.float32]]:
    """Return what lies on frame ``t``: the graphics of some kinds, or what one kind of frame puts around it."""
    if kinds and kinds[0] in FRAMES:
        return FRAMES[kinds[0]](picture, t, STYLES.index(style))
    return drawn(kinds, t, (picture.shape[1], picture.shape[0]), style)


def judge(base: Base, kinds: tuple[str, ...], style: Style, work: Path) -> GraphicsFigures:
    """Run the job on a base with graphics; ``work`` is an empty folder."""
    clip = work / "clip.mp4"
    coverage = write_clip(base, kinds, style, clip)
    made = run(clip, work, "output=lossless", artifacts=("mask", "plate", "edit_region"))
    out = work / "out"
    kept = KeptShare()
    plate_error = SquareError()
    left = 0.0
    subject_px = 0
    assert made.video is not None
    files = zip(
        open_clip(clip).frames(), open_clip(made.video).frames(), read_artifact(out / "edit_region.mkv"),
        read_artifact(out / "plate.mkv"), strict=True,
    )  # fmt: skip
    for source, result, region, plate in files:
        t = source.index
        subject = base.subject[t]
        kept.add(rgb_of(source), rgb_of(result), (coverage[t] >= _SOLID) & grow(subject, _NEAR_PX))
        beside = subject & ~grow(coverage[t] > 0.05, _EDGE_PX)
        left += float(np.sum(1 - region[beside] / 255.0))
        subject_px += int(np.count_nonzero(beside))
        if beside.any():
            plate_error.add(plate, base.plates[t], beside)
    right = right_share(read_artifact(out / "mask.mkv"), base.subject, base.others)
    return GraphicsFigures(kept.share, 100 * left / max(subject_px, 1), plate_error.psnr_db, right)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphics", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("bases", nargs="*", choices=[*BASES, []], help="only these")
    parser.add_argument("--groups", nargs="*", choices=[*GROUPS], default=[*GROUPS], help="only these graphics")
    parser.add_argument("--style", type=int, choices=range(len(STYLES)), default=1)
    parser.add_argument("--footage", type=Path, default=ROOT / "shared" / "footage", help="the folder of walk_d")
    parser.add_argument("--keep", type=Path, help="leave clips and results there")
    arguments = parser.parse_args()
    for name in arguments.bases or BASES:
        base = load_base(name, arguments.footage)
        for group in arguments.groups:
            with tempfile.TemporaryDirectory(prefix="graphics-") as temporary:
                work = Path(temporary)
                if arguments.keep is not None:
                    work = arguments.keep / f"{name}_{group}_{arguments.style}"
                    work.mkdir(parents=True, exist_ok=True)
                found = judge(base, GROUPS[group], STYLES[arguments.style], work)
            print(f"{name:<8} {group:<10} kept {found.kept:.3f}  old person left {found.left_percent:.3f} %  "
                  f"plate {found.plate_db:.2f} dB  right person {found.right:.3f}", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
