"""Are shadows on walls found, removed and cast anew: `python -m benchmarks.wall_shadow FOLDER OUT`.

FOLDER is a truth folder with ``pair_suit.mp4``, as for ``benchmarks.pair``. Writes a copy of it to OUT in which both
men throw a shadow on the wall behind them, as from a lamp beside the camera: the true silhouette, moved and scaled,
down to the foot of the wall, which moves with the camera. Then runs the job with ``composite.shadows`` ``recast`` and
``remove``. Prints, outside both people, the PSNR of the first against the ideal result where the two shadows differ,
and of the second against the clean background where the old shadow falls; for the source likewise.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, load_truth
from benchmarks.pair import clip_of, load_masks, run_pair
from benchmarks.picture_figures import SquareError
from benchmarks.relight import linear_of, srgb_of
from benchmarks.shake import read_rgb, write_video
from pipeline.datatypes.light import CastShadows, WallShape
from pipeline.maths.geometry import apply_transform, fit_homography_cauchy
from pipeline.workspace.values import load_values

_DARKNESS = np.array([0.62, 0.58, 0.52], np.float32)
"""Of a warm lamp."""
_DIFFERENT = 0.25
_SHADOWED = 0.5


def wall_shadows(
    masks: NDArray[np.bool_], keypoints: NDArray[np.floating], truth: Truth, shape: WallShape, wall_row: float
) -> Iterator[NDArray[np.float32]]:
    """Yield the shadow (h, w), 0..1, of one man in each frame.

    ``keypoints`` (T, 17, 2) are his own, ``wall_row`` the foot of the wall in the first frame, which follows the true
    background.
    """
    heights = truth.body_height_px
    for t, mask in enumerate(masks):
        shoulders = keypoints[t, 5:7].mean(axis=0)
        scale = shape.scale
        move = np.array(
            [
                [scale, 0, (1 - scale) * shoulders[0] + shape.right * heights[t]],
                [0, scale, (1 - scale) * shoulders[1] + shape.down * heights[t]],
            ]
        )
        shadow = cv2.warpAffine(mask.astype(np.float32), move, mask.shape[::-1], flags=cv2.INTER_LINEAR)
        shadow = cv2.GaussianBlur(shadow, (0, 0), max(shape.softness * float(heights[t]), 0.5))
        foot = _row_over_time(truth, t, wall_row)
        rows = np.arange(mask.shape[0])[:, None]
        columns = np.arange(mask.shape[1])[None]
        shadow *= np.clip(foot[0] + foot[1] * columns - rows, 0, 1)
        yield np.asarray(shadow, np.float32)


def _row_over_time(truth: Truth, frame: int, wall_row: float) -> tuple[float, float]:
    """Return where a level line of the first frame is in another one: its row at column 0, and its slope."""
    both = truth.bg_visible[0] & truth.bg_visible[frame]
    start, now = truth.bg_tracks[0, both], truth.bg_tracks[frame, both]
    if len(now) < 8:
        # The camera has moved on: the same height in the picture is close enough for a straight wall.
        return wall_row, 0.0
    line = apply_transform(fit_homography_cauchy(now, start), np.array([[0.0, wall_row], [300.0, wall_row]]))
    slope = (line[1, 1] - line[0, 1]) / (line[1, 0] - line[0, 0])
    return float(line[0, 1] - slope * line[0, 0]), float(slope)


def write_folder(folder: Path, out: Path, shape: WallShape, wall_row: float) -> None:
    """Write the truth folder with shadows on the wall, and the masks of where
    the two men's shadows differ (``differing.npz``) and where the old one falls (``old_shadow.npz``)."""
    out.mkdir(parents=True, exist_ok=True)
    truth = load_truth(folder)
    with np.load(folder / "pair_suit_mask.npz") as pair:
        keypoints_new = pair["keypoints2d"].astype(np.float64)
    of_new = load_masks(folder / "pair_suit_mask.npz")
    shadows = {
        "rgb": list(wall_shadows(truth.masks, truth.keypoints, truth, shape, wall_row)),
        "pair_suit": list(wall_shadows(of_new, keypoints_new, truth, shape, wall_row)),
    }
    people = truth.masks if truth.others is None else truth.masks | truth.others
    masks = {"rgb": people, "pair_suit": of_new if truth.others is None else of_new | truth.others}
    for name, thrown in shadows.items():
        write_video(out / f"{name}.mp4", _shaded(folder / f"{name}.mp4", thrown, masks[name]))
    for path in [*folder.glob("*.npz"), folder / "plate.mp4"]:
        shutil.copyfile(path, out / path.name)
    old, new = (np.array(thrown) for thrown in shadows.values())
    for name, where in (("differing", np.abs(old - new) > _DIFFERENT), ("old_shadow", old > _SHADOWED)):
        np.savez_compressed(out / f"{name}.npz", mask=np.packbits(where, axis=-1), shape=where.shape)


def _shaded(video: Path, shadows: list[NDArray[np.float32]], people: NDArray[np.bool_]) -> Iterator[NDArray[np.uint8]]:
    for picture, shadow, hidden in zip(read_rgb(video), shadows, people, strict=True):
        cover = cv2.GaussianBlur(hidden.astype(np.float32), (0, 0), 0.6)
        left = 1 - (shadow * (1 - cover))[..., None] * _DARKNESS
        yield srgb_of(linear_of(picture) * left)


def judge(folder: Path, video: Path, aim: str, where: str) -> float:
    """Return the PSNR (dB) of a video against another one of the folder in a mask of it, outside everybody."""
    compared = load_masks(folder / f"{where}.npz")
    people = load_masks(folder / "mask.npz") | load_masks(folder / "pair_suit_mask.npz")
    if (folder / "others_mask.npz").exists():
        people |= load_masks(folder / "others_mask.npz")
    error = SquareError()
    for t, (picture, ideal) in enumerate(zip(read_rgb(video), read_rgb(folder / f"{aim}.mp4"), strict=True)):
        near = cv2.dilate(people[t].astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        error.add(picture, ideal, compared[t] & ~near)
    return error.psnr_db


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wall_shadow", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="the folder with shadows, and the jobs' files")
    parser.add_argument("--right", type=float, default=0.32, help="of the shadow's shoulders, body heights")
    parser.add_argument("--down", type=float, default=-0.06)
    parser.add_argument("--scale", type=float, default=0.92)
    parser.add_argument("--softness", type=float, default=0.012, help="body heights")
    parser.add_argument("--wall", type=float, default=0.58, help="foot of the wall, of the picture's height")
    parser.add_argument("--reference", type=Path, default=Path("assets/suit.png"))
    arguments = parser.parse_args()
    out = arguments.out
    shape = WallShape(arguments.right, arguments.down, arguments.scale, 2.0, arguments.softness)
    if not (out / "old_shadow.npz").exists():
        height = load_masks(arguments.folder / "mask.npz").shape[1]
        write_folder(arguments.folder, out, shape, arguments.wall * height)
    source = clip_of(out)
    better = []
    for method, aim, where in (("recast", "pair_suit", "differing"), ("remove", "plate", "old_shadow")):
        # What lies between the passes is the same for both.
        video, _ = run_pair(source, [arguments.reference], out, "preview", [f"composite.shadows={method}"])
        result, before = judge(out, video, aim, where), judge(out, source, aim, where)
        better.append(result > before)
        print(f"{method}: {result:.2f} dB against {aim} in {where}, the source {before:.2f} dB")
    found = load_values(out / "space" / "shadows.zip", CastShadows)
    print(f"true {shape}\nfound {found.wall_at(len(found.darkness) // 2)}")
    return 0 if all(better) else 1


if __name__ == "__main__":
    sys.exit(main())
