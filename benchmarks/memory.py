"""Measure a job's peak memory at two clip lengths: `python -m benchmarks.memory assets/walk_a/sample.mp4`.

The clip is scaled to 720 lines and played back and forth until it is long enough, so that both lengths show the same
scene and people. Each length runs in its own process; the figure is the difference of the peaks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.shake import read_rgb, write_video
from benchmarks.speed import job

AIM_MB = 30.0


def loop_clip(clip: Path, out: Path, num_frames: int, lines: int) -> Path:
    """Write ``num_frames`` frames of the clip played back and forth at ``lines`` lines, 30 fps, without sound."""

    def endless() -> Iterator[NDArray[np.uint8]]:
        forth = [_jpeg(rgb, lines) for rgb in read_rgb(clip)]
        back = forth[-2:0:-1]
        while True:
            yield from map(_picture, forth)
            yield from map(_picture, back)

    write_video(out, (rgb for _, rgb in zip(range(num_frames), endless(), strict=False)), fps=Fraction(30), crf=20)
    return out


def _jpeg(rgb: NDArray[np.uint8], lines: int) -> NDArray[np.uint8]:
    width = round(rgb.shape[1] * lines / rgb.shape[0] / 2) * 2
    resized = cv2.resize(rgb, (width, lines), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def _picture(jpeg: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, nargs=2, default=(300, 3000), metavar=("SHORT", "LONG"))
    parser.add_argument("--preset", default="preview")
    parser.add_argument("--lines", type=int, default=720)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings, Hydra's grammar")
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory(prefix="memory-") as temporary:
        work = Path(temporary)
        for length in arguments.frames:
            clip = loop_clip(arguments.clip, work / f"{length}.mp4", length, arguments.lines)
            run, _, frames = job(clip, work / "job", *arguments.set, preset=arguments.preset)
            peaks.append(run.peak_mb)
            print(f"{frames} frames: peak {run.peak_mb:.1f} MiB, {run.wall_seconds:.0f} s", flush=True)
    growth = peaks[1] - peaks[0]
    print(f"growth {growth:.1f} MiB (aim {AIM_MB:.0f} or less): {'ok' if growth <= AIM_MB else 'MISSED'}")
    return 0 if growth <= AIM_MB else 1


if __name__ == "__main__":
    sys.exit(main())
