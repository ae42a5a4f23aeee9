"""Measure how stable filled background is over time: `python -m benchmarks.unseen weights/footage/demo.mp4`.

A still of the footage, mirrored into a panorama, is filmed by a known camera that stands on a tripod, is held by hand,
or pans slowly, by 3 px a frame (640 x 360, grain). A man stands at one place of it and never leaves, so that no frame
shows what is behind him. The masks are the true ones, the camera is estimated. Plates are judged as FINISH uses them,
by the warping error along the *known* motion (Lai et al. 2018): mean squared difference (RGB in 0..1) between a frame
and the next one moved onto it, inside the hole, and for the source in the ring around the hole. The plate gets no grain
here, so the aim is at most the source's. Detail is that of the plate in the hole, relative to the truth's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import load_masks
from benchmarks.fill import detail
from benchmarks.pan import SIZE_WH, PanClip, panorama_of, plates_of, used_plate
from benchmarks.shake import read_rgb, write_video
from pipeline.maths.light import srgb_of
from pipeline.maths.masks import grow

CAMERAS = ("tripod", "hand", "pan")
_WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
_FRAMES = 72
_PAN_PX = 3.0
_GRAIN_LEVELS = 1.5
_MAN = 75
"""Frame of walk_a that shows the man whole."""


def world_from_frame(camera: str, frame: int) -> NDArray[np.float64]:
    """Return the (3, 3) move from a frame to the panorama, px."""
    held = np.zeros(3)
    if camera != "tripod":
        held = np.array([5 * np.sin(frame / 6), 4 * np.sin(frame / 8), np.deg2rad(0.7) * np.sin(frame / 10)])
    along = _PAN_PX * (frame - _FRAMES / 2) if camera == "pan" else 0.0
    turn = np.array([[np.cos(held[2]), -np.sin(held[2])], [np.sin(held[2]), np.cos(held[2])]])
    middle = np.array(SIZE_WH) / 2
    move = np.eye(3)
    move[:2, :2] = turn
    move[:2, 2] = middle - turn @ middle + np.array([_start_x() + along + held[0], 35 + held[1]])
    return move


def _start_x() -> float:
    return 30 + _PAN_PX * _FRAMES / 2


def make_clip(footage: Path, camera: str, path: Path, seed: int = 0) -> PanClip:
    """Film the panorama with the man in the middle of it; write it to ``path``."""
    panorama = panorama_of(footage, 2 * _start_x() + SIZE_WH[0] + 60)
    man = load_masks(_WALK_A / "mask.npz")[_MAN]
    picture = next(one for t, one in enumerate(read_rgb(_WALK_A / "sample.mp4")) if t == _MAN)
    middle = float(np.flatnonzero(man.any(axis=0)).mean())
    world_from_man = np.eye(3)
    world_from_man[:2, 2] = _start_x() + SIZE_WH[0] / 2 - middle, 35
    random = np.random.default_rng(seed)
    alpha = cv2.GaussianBlur(man.astype(np.float32), (0, 0), 0.7)
    truth = []
    masks = []
    pictures = []
    for t in range(_FRAMES):
        move = world_from_frame(camera, t)
        clean = srgb_of(cv2.warpPerspective(panorama, move, SIZE_WH, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
        here = np.linalg.inv(move) @ world_from_man
        cover = cv2.warpPerspective(alpha, here, SIZE_WH)
        shown = cv2.warpPerspective(picture, here, SIZE_WH)
        whole = shown * cover[..., None] + clean * (1 - cover[..., None])
        noisy = np.clip(np.rint(whole + random.normal(0, _GRAIN_LEVELS, whole.shape)), 0, 255)
        truth.append(clean)
        masks.append(cover > 0.02)
        pictures.append(noisy.astype(np.uint8))
    write_video(path, iter(pictures), crf=14)
    return PanClip(path, truth, np.stack(masks))


def judge(footage: Path, camera: str) -> tuple[float, float, float, NDArray[np.uint8]]:
    """Return the warping error in the hole, the source's around it, the detail, and a strip of filled frames."""
    with tempfile.TemporaryDirectory(prefix="unseen-") as temporary:
        made = make_clip(footage, camera, Path(temporary) / "clip.mp4")
        plates = plates_of(made, Path(temporary) / "plates")
        sources = list(read_rgb(made.path))
        used = [used_plate(plates, source, made.masks[t], t) for t, source in enumerate(sources)]
    inside = list(_errors(used, [~grow(~mask, 2) for mask in made.masks], camera))
    around = list(_errors(sources, [grow(mask, 24) & ~grow(mask, 6) for mask in made.masks], camera))
    fine = float(
        np.median([detail(used[t], made.masks[t]) / detail(made.truth[t], made.masks[t]) for t in (5, 36, 66)])
    )
    strip = [np.where(made.masks[t][..., None], used[t], sources[t]) for t in (0, _FRAMES // 3, _FRAMES - 1)]
    return float(np.mean(inside)), float(np.mean(around)), fine, np.concatenate(strip, axis=1)


def _errors(pictures: list[NDArray[np.uint8]], wheres: list[NDArray[np.bool_]], camera: str) -> Iterator[float]:
    for t in range(len(pictures) - 1):
        next_from_this = np.linalg.inv(world_from_frame(camera, t + 1)) @ world_from_frame(camera, t)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        moved = cv2.warpPerspective(pictures[t + 1], next_from_this, SIZE_WH, flags=flags)
        error = (pictures[t][wheres[t]].astype(np.float32) - moved[wheres[t]]) / 255
        yield float(np.mean(np.sum(error**2, axis=-1)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unseen", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("footage", type=Path, nargs="+", help="clips whose first frame becomes a panorama")
    parser.add_argument("--pictures", type=Path, help="write three filled frames of each there")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    missed = False
    for footage in arguments.footage:
        for camera in CAMERAS:
            inside, around, fine, strip = judge(footage, camera)
            missed |= inside > around
            found = f"warping error {inside:.6f} in the hole, {around:.6f} of the source; detail {fine:.2f}"
            print(f"{footage.name:<12} {camera:<7} {found}", flush=True)
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(arguments.pictures / f"{footage.stem}_{camera}.png"), strip[..., ::-1])
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
