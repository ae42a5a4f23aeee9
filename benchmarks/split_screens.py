"""Whether two videos shown at once are told apart: `python -m benchmarks.split_screens CLIP CLIP [CLIP ...]`.

Each clip of the list is shown beside, above, or behind the next one: layouts are drawn at
random by ``--seed``, with bars or borders in between, rounded corners and shadows, and encoded as social media do.
SURVEY is run on each, and on each clip alone:

* right: the videos were found, their limits at most ``_NEAR`` of the short side off;
* false: clips that show one video, alone or behind panels with words, in which two were found.

With ``--jobs`` whole jobs are run on that many of them, and the samples counted that differ in the video whose people
were not replaced. Seeds below 100 are those that thresholds were chosen on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.judged_job import run, video_of
from benchmarks.shake import read_rgb, write_video
from conf import compose_settings
from pipeline.maths.boxes import Box
from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of
from pipeline.models.loaded import load_models
from pipeline.survey.survey import survey_clip
from pipeline.workspace.masks import MaskStore

FRAMES = 60
_NEAR = 0.04
_SIZES_WH = ((640, 360), (360, 640), (404, 720), (854, 480))
_LINES = (0.5, 0.5, 0.4, 0.6, 0.35)
_ASPECTS = (16 / 9, 1.0, 3 / 4, 9 / 16)
_COLORS = ((255, 255, 255), (0, 0, 0), (250, 220, 40))

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Layout:
    """How two videos are shown at once."""

    size_wh: tuple[int, int]
    first: Box
    """Where the first video is; the whole picture where the second lies in front."""
    second: Box
    border_px: int
    radius_px: int
    """Of the second video's corners."""
    has_shadow: bool
    color: tuple[int, int, int]
    """Of borders, and of the bar in between."""
    crf: int


def random_layout(random: np.random.Generator) -> Layout:
    """Return an inset, or two videos side by side or one above the other."""
    width, height = size_wh = _SIZES_WH[random.integers(len(_SIZES_WH))]
    color = _COLORS[random.integers(len(_COLORS))]
    crf = int(random.choice([20, 26, 30]))
    short = min(size_wh)
    if random.random() < 0.4:
        is_stacked = width < height or random.random() < 0.5
        gap = 2 * int(random.choice([0, 0, 1, 3]))
        line = 2 * round(_LINES[random.integers(len(_LINES))] * (height if is_stacked else width) / 2)
        first = (0, 0, width, line - gap) if is_stacked else (0, 0, line - gap, height)
        second = (0, line + gap, width, height) if is_stacked else (line + gap, 0, width, height)
        return Layout(size_wh, first, second, 0, 0, False, color, crf)
    aspect = _ASPECTS[random.integers(len(_ASPECTS))]
    wide = min(random.uniform(0.22, 0.45) * width, 0.45 * height * aspect)
    inset_wh = 2 * round(wide / 2), 2 * round(wide / aspect / 2)
    margin = 2 * round(float(random.choice([0, 0.03, 0.06])) * short / 2)
    left, top = (
        margin if random.random() < 0.5 else size - inset - margin
        for size, inset in zip(size_wh, inset_wh, strict=True)
    )
    return Layout(
        size_wh,
        (0, 0, width, height),
        (left, top, left + inset_wh[0], top + inset_wh[1]),
        round(float(random.choice([0, 0, 0.006, 0.012])) * short),
        round(float(random.choice([0, 0, 0.06, 0.15])) * min(inset_wh)),
        bool(random.random() < 0.3),
        color,
        crf,
    )


def shown_at_once(one: Picture, two: Picture, layout: Layout) -> Picture:
    """Return a picture (H, W, 3) that shows two."""
    width, height = layout.size_wh
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = layout.color
    x0, y0, x1, y1 = layout.first
    picture[y0:y1, x0:x1] = _covering(one, (x1 - x0, y1 - y0))
    x0, y0, x1, y1 = layout.second
    border = layout.border_px
    outer = _rounded(layout.size_wh, layout.second, layout.radius_px)
    if layout.has_shadow:
        shade = cv2.GaussianBlur(outer, (0, 0), 0.012 * min(layout.size_wh))
        picture = _mixed(picture, np.zeros_like(picture), 0.5 * shade)
    framed = np.empty_like(picture)
    framed[:] = layout.color
    inner = (x0 + border, y0 + border, x1 - border, y1 - border)
    framed[inner[1] : inner[3], inner[0] : inner[2]] = _covering(two, (inner[2] - inner[0], inner[3] - inner[1]))
    return _mixed(picture, framed, outer)


@dataclass(frozen=True, slots=True)
class Panel:
    """A box behind words that is there all the time."""

    box: Box
    opacity: float
    color: tuple[int, int, int]


def random_panels(random: np.random.Generator, size_wh: tuple[int, int]) -> list[Panel]:
    """Return one to three panels."""
    panels = []
    for _ in range(random.integers(1, 4)):
        sides = random.uniform((0.3, 0.06), (0.9, 0.25)) * size_wh
        x, y = random.uniform(0, size_wh - sides)
        box = int(x), int(y), int(x + sides[0]), int(y + sides[1])
        panels.append(Panel(box, float(random.choice([1, 0.8, 0.55, 0.4])), _COLORS[random.integers(len(_COLORS))]))
    return panels


def behind_panels(picture: Picture, panels: Sequence[Panel]) -> Picture:
    """Return a picture (H, W, 3) behind panels with a word on each."""
    for panel in panels:
        x0, y0, x1, y1 = panel.box
        weight = np.zeros(picture.shape[:2], np.float32)
        weight[y0:y1, x0:x1] = panel.opacity
        picture = _mixed(picture, np.full_like(picture, panel.color), weight)
        ink = 0 if sum(panel.color) > 400 else 255
        cv2.putText(picture, "words", (x0 + 8, (y0 + y1) // 2 + 6), cv2.FONT_HERSHEY_DUPLEX, 0.7, (ink, ink, ink), 2)
    return picture


def _mixed(one: Picture, two: Picture, weight: NDArray[np.float32]) -> Picture:
    mixed = one + weight[..., None] * (two.astype(np.float32) - one)
    return np.asarray(np.rint(mixed), np.uint8)


def _rounded(size_wh: tuple[int, int], box: Box, radius: int) -> NDArray[np.float32]:
    """Return the coverage (H, W) of a box with rounded corners."""
    rows, columns = np.mgrid[0 : size_wh[1], 0 : size_wh[0]].astype(np.float32)
    x0, y0, x1, y1 = box
    away_x = np.abs(columns - (x0 + x1 - 1) / 2) - (x1 - x0) / 2 + radius
    away_y = np.abs(rows - (y0 + y1 - 1) / 2) - (y1 - y0) / 2 + radius
    # Signed distance from the outline.
    outside = np.hypot(np.maximum(away_x, 0), np.maximum(away_y, 0))
    distance = outside + np.minimum(np.maximum(away_x, away_y), 0) - radius
    return np.asarray(np.clip(0.5 - distance, 0, 1), np.float32)


def _covering(picture: Picture, size_wh: tuple[int, int]) -> Picture:
    """Return a picture resized and cropped about its middle."""
    height, width = picture.shape[:2]
    ratio = max(size_wh[0] / width, size_wh[1] / height)
    large_wh = max(size_wh[0], round(width * ratio)), max(size_wh[1], round(height * ratio))
    large = cv2.resize(picture, large_wh, interpolation=cv2.INTER_AREA)
    left, top = (large_wh[0] - size_wh[0]) // 2, (large_wh[1] - size_wh[1]) // 2
    return np.asarray(large[top : top + size_wh[1], left : left + size_wh[0]], np.uint8)


def write_clip(one: Path, two: Path, layout: Layout, out: Path) -> None:
    """Write the first frames of two clips, shown at once."""
    pairs = islice(zip(read_rgb(one), read_rgb(two), strict=False), FRAMES)
    write_video(out, (shown_at_once(first, second, layout) for first, second in pairs), crf=layout.crf)


def write_behind_panels(clip: Path, random: np.random.Generator, out: Path) -> None:
    """Write the first frames of a clip behind random panels."""
    size_wh = _SIZES_WH[random.integers(len(_SIZES_WH))]
    panels = random_panels(random, size_wh)
    pictures = (behind_panels(_covering(picture, size_wh), panels) for picture in islice(read_rgb(clip), FRAMES))
    write_video(out, pictures, crf=int(random.choice([20, 26, 30])))


def found_in(clip: Path, work: Path) -> list[Box]:
    """Return the box of the video that SURVEY chose, in each shot of a clip in which it found two."""
    settings = compose_settings("preview", ())
    opened = open_clip(clip)
    store = MaskStore(work / "masks.zip", opened.info.size_wh)
    people = load_models(settings).people
    survey = survey_clip(opened, people, store, settings, work, lambda: None, lambda stage, done, total: None)
    rows = [] if survey.split_screens is None else survey.split_screens[:, 2:].tolist()
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in rows]


def is_right(found: Sequence[Box], layout: Layout) -> bool:
    """Return whether one shot was found, and the chosen video where it is."""
    near = _NEAR * min(layout.size_wh)
    return len(found) == 1 and any(
        np.abs(np.subtract(found[0], part)).max() <= near for part in (layout.first, layout.second)
    )


def changed_in_other(clip: Path, layout: Layout, work: Path) -> tuple[int, int]:
    """Run a job; return how many samples of luma differ in the video whose people were not replaced, and in the
    other one."""
    made = video_of(run(clip, work, "output=lossless", artifacts=()))
    changed = [0, 0]
    for source, result in zip(open_clip(clip).frames(), open_clip(made).frames(), strict=True):
        differs = luma_of(source) != luma_of(result)
        x0, y0, x1, y1 = layout.second
        second = int(np.count_nonzero(differs[y0:y1, x0:x1]))
        changed[0] += int(np.count_nonzero(differs)) - second
        changed[1] += second
    return min(changed), max(changed)


def _compositions(clips: Sequence[Path], count: int, seed: int) -> Iterator[tuple[int, Path, Path, Layout]]:
    for number in range(count):
        yield (
            number,
            clips[number % len(clips)],
            clips[(number + 1) % len(clips)],
            random_layout(np.random.default_rng([seed, number])),
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.split_screens", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=0, help="run whole jobs on so many")
    arguments = parser.parse_args()
    right = 0
    for number, one, two, layout in _compositions(arguments.clips, arguments.count, arguments.seed):
        with tempfile.TemporaryDirectory(prefix="split-") as temporary:
            work = Path(temporary)
            write_clip(one, two, layout, work / "clip.mp4")
            found = found_in(work / "clip.mp4", work)
            right += is_right(found, layout)
            words = f"{number} {one.stem} {two.stem} {layout.first} {layout.second}: {found}"
            if number < arguments.jobs:
                words += "; samples changed: other video {}, chosen {}".format(
                    *changed_in_other(work / "clip.mp4", layout, work)
                )
            print(f"{words}  {'ok' if is_right(found, layout) else 'MISSED'}", flush=True)
    false = 0
    for number, clip in enumerate(arguments.clips):
        for has_panels in (False, True):
            with tempfile.TemporaryDirectory(prefix="split-") as temporary:
                work = Path(temporary)
                if has_panels:
                    write_behind_panels(clip, np.random.default_rng([arguments.seed, number, 1]), work / "clip.mp4")
                false += bool(found_in(work / "clip.mp4" if has_panels else clip, work))
    print(f"right {right} of {arguments.count}, false {false} of {2 * len(arguments.clips)}")
    return int(right < arguments.count or false > 0)


if __name__ == "__main__":
    sys.exit(main())
