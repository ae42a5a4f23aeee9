"""Compare inpainting of background that no frame shows: `python -m benchmarks.fill weights/footage/demo.mp4 …`.

Holes in the shape of walk_a's man, half a picture high, are cut into the first frame of each clip at three positions
and filled by each method: PSNR and SSIM inside the hole against the original, fine detail relative to the original's,
CPU seconds. The original is only one plausible filling: a blurred one has the better PSNR, and no detail.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import load_masks
from benchmarks.pair import ssim
from benchmarks.picture_figures import SquareError
from benchmarks.shake import read_rgb
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.masks import grow
from pipeline.maths.patch_fill import fill_by_patches

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Fill = Callable[[Picture, Mask], Picture]

METHODS: dict[str, Fill] = {
    "telea": lambda picture, hole: fill_hole(picture, hole, "telea"),
    "ns": lambda picture, hole: fill_hole(picture, hole, "ns"),
    "patches": lambda picture, hole: fill_by_patches(picture, hole, ~hole),
}
_WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
_SHORT_SIDE = 540
_PLACES = (0.2, 0.5, 0.8)


def cases(clips: list[Path]) -> Iterator[tuple[str, Picture, Mask]]:
    """Yield name, picture (H, W, 3) and hole (H, W)."""
    man = load_masks(_WALK_A / "mask.npz")[75]
    rows, columns = np.nonzero(man)
    man = man[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    for clip in clips:
        picture = next(iter(read_rgb(clip)))
        scale = _SHORT_SIDE / min(picture.shape[:2])
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = picture.shape[:2]
        size_wh = int(man.shape[1] * 0.5 * height / man.shape[0]), int(0.5 * height)
        cut = cv2.resize(man.view(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST) > 0
        for place in _PLACES:
            left = int(np.clip(place * width - size_wh[0] / 2, 6, width - size_wh[0] - 6))
            hole = np.zeros((height, width), np.bool_)
            hole[int(0.38 * height) : int(0.38 * height) + size_wh[1], left : left + size_wh[0]] = cut
            yield f"{clip.stem} at {place}", picture, grow(hole, 5)


def detail(picture: Picture, where: Mask) -> float:
    """Return the mean magnitude (levels) of detail finer than 1.5 px."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 1.5))[where].mean())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fill", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--pictures", type=Path, help="write hole, filled and truth of each case there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for method, fill in METHODS.items():
        rows = []
        for name, picture, hole in cases(arguments.clips):
            damaged = picture.copy()
            damaged[hole] = 128
            begin = time.process_time()
            filled = fill(damaged, hole)
            seconds = time.process_time() - begin
            error = SquareError()
            error.add(filled, picture, hole)
            alike = float(ssim(filled, picture)[hole].mean())
            rows.append((error.psnr_db, alike, detail(filled, hole) / detail(picture, hole), seconds))
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                row = np.concatenate([damaged, filled, picture], axis=1)
                cv2.imwrite(str(arguments.pictures / f"{name} {method}.png"), row[..., ::-1])
        # The first call of `patches` also loads numba's compiled code.
        psnr, alike, fine, seconds = np.median(rows, axis=0)
        print(f"{method:<8} {psnr:5.2f} dB, SSIM {alike:.3f}, detail {fine:.2f} of the truth's, {seconds:.2f} CPU s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
