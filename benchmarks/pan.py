"""Measure plates under fast pans with motion blur: `python -m benchmarks.pan weights/footage/demo.mp4`.

A still of the footage, mirrored at its sides into a panorama, is filmed by a known camera that pans at up to 10, 20, 40
and 60 px per frame (640 x 360, 180 degree shutter, blur in linear light, hand-held tilt and roll, grain) and rests
before and after. The man of walk_a is composited in front, followed by the camera. The truth is the same film without
the man. The masks are the true ones, the camera is estimated: what is judged is the plate as FINISH uses it, in the
frame's own light and sharpness, by PSNR over the pixels that the subject covers.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import load_masks
from benchmarks.picture_figures import SquareError
from benchmarks.shake import read_rgb, write_video
from pipeline.datatypes.light import CastShadows
from pipeline.finish.match_layer import match_plate
from pipeline.maths.light import linear_of, match_light
from pipeline.maths.masks import grow
from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of
from pipeline.plan.camera_path import smooth_path
from pipeline.plate.build import make_plates
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.plate_set import PlateSet
from pipeline.settings import PlateSettings, StabilizeSettings
from pipeline.survey.camera import CameraEstimator

PEAKS_PX = (10, 20, 40, 60)
SIZE_WH = (640, 360)
_WALK_A = Path(__file__).resolve().parents[1] / "assets" / "walk_a"
_REST, _MOVE = 14, 32
"""Frames before and after the pan, and frames of it."""
_SHUTTER = 0.5
_SUB_FRAMES = 12
_GRAIN_LEVELS = 1.5
_HEIGHT_PX = 430
"""Height of the panorama: the view of 360 lines and room for tilt and roll."""


@dataclass(frozen=True, slots=True, eq=False)
class PanClip:
    """A synthesized pan and its truth."""

    path: Path
    truth: list[NDArray[np.uint8]]
    masks: NDArray[np.bool_]


def make_pan(footage: Path, peak_px: float, path: Path, seed: int = 0) -> PanClip:
    """Film a panorama of the footage's first frame with a pan of the given peak speed; write it to ``path``."""
    panorama = panorama_of(footage, peak_px * _MOVE / 2 + SIZE_WH[0] + 200)
    count = 2 * _REST + _MOVE
    random = np.random.default_rng(seed)
    truth = [_filmed(panorama, peak_px, t) for t in range(count)]
    cutouts, masks = _walker(count)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for clean, (picture, alpha) in zip(truth, cutouts, strict=True):
            whole = picture * alpha[..., None] + clean * (1 - alpha[..., None])
            yield np.clip(np.rint(whole + random.normal(0, _GRAIN_LEVELS, whole.shape)), 0, 255).astype(np.uint8)

    write_video(path, pictures(), crf=14)
    return PanClip(path, truth, masks)


def panorama_of(footage: Path, width: float) -> NDArray[np.float32]:
    still = next(iter(read_rgb(footage)))
    scale = max(_HEIGHT_PX / still.shape[0], SIZE_WH[0] / still.shape[1])
    small = cv2.resize(still, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top = (small.shape[0] - _HEIGHT_PX) // 2
    small = small[top : top + _HEIGHT_PX]
    tiles = [small if i % 2 == 0 else small[:, ::-1] for i in range(int(np.ceil(width / small.shape[1])))]
    return linear_of(np.ascontiguousarray(np.concatenate(tiles, axis=1)))


def _position(peak_px: float, time: float) -> float:
    """Return the camera's position, px from the start: at rest, a pan with a raised-cosine speed profile, at rest."""
    part = np.clip((time - _REST) / _MOVE, 0, 1)
    return float(peak_px * _MOVE / 2 * (part - np.sin(2 * np.pi * part) / (2 * np.pi)))


def _filmed(panorama: NDArray[np.float32], peak_px: float, frame: int) -> NDArray[np.uint8]:
    """Average the views while the shutter is open, in linear light."""
    total = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.float32)
    for time in frame + _SHUTTER * (np.arange(_SUB_FRAMES) / (_SUB_FRAMES - 1) - 0.5):
        x = 60 + _position(peak_px, time) + 2 * np.sin(time / 5)
        y = 35 + 4 * np.sin(time / 7)
        angle = np.deg2rad(0.6 * np.sin(time / 9))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([SIZE_WH[0] / 2, SIZE_WH[1] / 2])
        move = np.column_stack([turn, np.array([x, y]) + middle - turn @ middle])
        total += cv2.warpAffine(panorama, move, SIZE_WH, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    light = total / _SUB_FRAMES
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
    return np.clip(np.rint(255 * levels), 0, 255).astype(np.uint8)


def _walker(count: int) -> tuple[list[tuple[NDArray[np.uint8], NDArray[np.float32]]], NDArray[np.bool_]]:
    """Cut the walking man out of walk_a and center the figure in the picture."""
    masks = load_masks(_WALK_A / "mask.npz")
    cutouts = []
    moved = []
    sources = [picture for _, picture in zip(range(60), read_rgb(_WALK_A / "sample.mp4"), strict=False)]
    for t in range(count):
        # Back and forth.
        shown = 20 + abs((t + 38) % 76 - 38)
        mask = masks[shown]
        middle = float(np.flatnonzero(mask.any(axis=0)).mean())
        move = np.array([[1, 0, SIZE_WH[0] / 2 + 40 * np.sin(t / 9) - middle], [0, 1, 0.0]])
        alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)
        alpha = np.asarray(cv2.warpAffine(alpha, move, SIZE_WH), np.float32)
        cutouts.append((np.asarray(cv2.warpAffine(sources[shown], move, SIZE_WH), np.uint8), alpha))
        moved.append(alpha > 0.02)
    return cutouts, np.stack(moved)


def plates_of(made: PanClip, folder: Path) -> PlateSet:
    """Estimate the camera of a synthesized clip and build its plates."""
    clip = open_clip(made.path)
    estimator = CameraEstimator(clip.info, StabilizeSettings())
    for frame in clip.frames():
        estimator.push(luma_of(frame), made.masks[frame.index], np.empty((0, 2)), frame.index == 0)
    starts = np.array([0], np.int64)
    camera = smooth_path(estimator.finish(), starts, clip.info.pts_seconds, SIZE_WH, 1.0)
    inputs = PlateInputs(
        clip=clip,
        world_from_source=camera.world_from_source,
        shot_starts=starts,
        needed=np.asarray(made.masks.any(axis=(1, 2))),
        people_mask=lambda t: made.masks[t],
        body_height_px=_body_px(made.masks),
        shadows=CastShadows.none(len(made.masks)),
    )
    return make_plates(inputs, PlateSettings(), folder, lambda: None, lambda _done, _total: None)


def _body_px(masks: NDArray[np.bool_]) -> float:
    return float(np.median(masks.any(axis=2).sum(axis=1)))


def used_plate(plates: PlateSet, source: NDArray[np.uint8], mask: NDArray[np.bool_], t: int) -> NDArray[np.uint8]:
    """Return the plate of a frame in that frame's light and sharpness, as FINISH uses it."""
    picture, seen = plates.render(t, (0, 0, *SIZE_WH))
    body = float(mask.any(axis=1).sum())
    hole = grow(mask, 4)
    ring_px = max(4, round(0.08 * body))
    lit = match_light(picture, source, grow(hole, ring_px) & ~hole)
    return match_plate(lit, source, grow(hole, 2 * ring_px) & ~hole & seen, body)


def judge_pan(footage: Path, peak_px: float) -> tuple[float, list[float], NDArray[np.uint8]]:
    """Return the PSNR of all frames, of each frame (dB), and the worst frame's source, plate and truth side by side."""
    with tempfile.TemporaryDirectory(prefix="pan-") as temporary:
        made = make_pan(footage, peak_px, Path(temporary) / "pan.mp4")
        plates = plates_of(made, Path(temporary) / "plates")
        pooled = SquareError()
        values = []
        rows = []
        for t, source in enumerate(read_rgb(made.path)):
            one = SquareError()
            plate = used_plate(plates, source, made.masks[t], t)
            for tally in (one, pooled):
                tally.add(plate, made.truth[t], made.masks[t])
            values.append(one.psnr_db)
            rows.append(np.concatenate([source, plate, made.truth[t]], axis=1))
    return pooled.psnr_db, values, rows[int(np.argmin(values))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pan", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("footage", type=Path, nargs="+", help="clips whose first frame becomes a panorama")
    parser.add_argument("--peaks", type=float, nargs="*", default=list(PEAKS_PX), help="px a frame")
    parser.add_argument("--pictures", type=Path, help="write the worst frame of each: source, plate, truth")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    missed = False
    for footage in arguments.footage:
        for peak in arguments.peaks:
            pooled, values, row = judge_pan(footage, peak)
            worst = min(values)
            missed |= pooled < 30 or worst < 24
            found = f"{pooled:5.2f} dB, worst {worst:5.2f} in frame {values.index(worst)}"
            print(f"{footage.name:<12} {peak:3.0f} px a frame: {found}", flush=True)
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(arguments.pictures / f"{footage.stem}_{peak:.0f}.png"), row[..., ::-1])
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
