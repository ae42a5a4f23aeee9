"""Measure how the new person's blur follows the old one's: `python -m benchmarks.sharpness FOLDER`.

FOLDER is a truth folder with ``pair_suit.mp4`` (see ``benchmarks.pair``). Its clip and the ideal result are blurred by
the same known kernels: out of focus (Gaussian, standard deviation in px) or motion (a bar, px long, at an angle). The
sharp ideal person is the layer; blurred as the old person is, it should be as soft as the blurred ideal one. Printed is
the ratio of edge widths, result to ideal, along the blur's two axes: the inverse ratio of the steepest slopes (the
98th percentile) at the person. The aim is 1 within 15 %; without any matching it would be the third column.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pair import clip_of, load_masks
from benchmarks.shake import read_rgb
from pipeline.finish.match_layer import match_sharpness
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import overlap_slices

KERNELS = [
    *(("focus", sigma, 0.0) for sigma in (0.5, 1.0, 1.5, 2.0, 3.0)),
    *(("motion", length, 0.0) for length in (4.0, 8.0, 12.0, 18.0, 25.0)),
    *(("motion", length, 45.0) for length in (8.0, 18.0)),
]
_FRAMES = 10
_AIM = 0.15


def kernel_of(kind: str, size_px: float, degrees: float) -> NDArray[np.float32]:
    """Return the kernel (n, n), its sum 1."""
    radius = int(np.ceil(3 * size_px if kind == "focus" else size_px / 2)) + 1
    if kind == "focus":
        line = cv2.getGaussianKernel(2 * radius + 1, size_px)
        return np.asarray(line @ line.T, np.float32)
    fine = 8
    side = (2 * radius + 1) * fine
    large = np.zeros((side, side), np.float32)
    middle = (side - 1) / 2
    half = size_px * fine / 2 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    ends = [tuple(np.rint(middle + sign * half).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(large, ends[0], ends[1], 1.0, fine)
    small = cv2.resize(large, (2 * radius + 1, 2 * radius + 1), interpolation=cv2.INTER_AREA)
    return np.asarray(small / small.sum(), np.float32)


def slopes(picture: NDArray[np.uint8], where: NDArray[np.bool_], degrees: float) -> tuple[float, float]:
    """Return the steepest slopes (98th percentile, levels a px) along and across an angle."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x = cv2.Sobel(gray, cv2.CV_32F, 1, 0) / 8
    y = cv2.Sobel(gray, cv2.CV_32F, 0, 1) / 8
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    along = np.abs(cos * x + sin * y)[where]
    across = np.abs(cos * y - sin * x)[where]
    return float(np.quantile(along, 0.98)), float(np.quantile(across, 0.98))


def laid_over(background: NDArray[np.uint8], layer: PlacedLayer) -> NDArray[np.uint8]:
    """Return the layer over a picture."""
    result = background.astype(np.float32)
    height, width = background.shape[:2]
    into, part = overlap_slices(layer.box_xyxy, (0, 0, width, height))
    result[into] = layer.premultiplied[part] + (1 - layer.alpha[part][..., None]) * result[into]
    return np.clip(np.rint(result), 0, 255).astype(np.uint8)


def judge(folder: Path, kernel: NDArray[np.float32], degrees: float) -> NDArray[np.float64]:
    """Return (N, 4): edge widths relative to the ideal's, along and across, of the matched layer and the sharp one."""
    old = load_masks(folder / "mask.npz")
    new = load_masks(folder / "pair_suit_mask.npz")
    whole = np.flatnonzero((new.sum(axis=(1, 2)) > 0.8 * new.sum(axis=(1, 2)).max()) & old.any(axis=(1, 2)))
    chosen = set(whole[np.linspace(0, len(whole) - 1, _FRAMES).astype(int)].tolist())
    values = []
    pairs = zip(
        read_rgb(clip_of(folder)), read_rgb(folder / "pair_suit.mp4"), read_rgb(folder / "plate.mp4"), strict=True
    )
    for t, (source, ideal, plate) in enumerate(pairs):
        if t not in chosen:
            continue
        height, width = old[t].shape
        alpha = cv2.GaussianBlur(new[t].astype(np.float32), (0, 0), 0.5)
        sharp = PlacedLayer((0, 0, width, height), ideal * alpha[..., None], alpha)
        blurred, wanted, behind = (cv2.filter2D(picture, -1, kernel) for picture in (source, ideal, plate))
        matched = match_sharpness(sharp, blurred, old[t])
        where = cv2.dilate(new[t].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        aim = slopes(wanted, where, degrees)
        of_layers = [slopes(laid_over(behind, layer), where, degrees) for layer in (matched, sharp)]
        values.append([aim[axis] / each[axis] for each in of_layers for axis in (0, 1)])
    return np.array(values)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharpness", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    cv2.setNumThreads(1)
    missed = 0
    for kind, size_px, degrees in KERNELS:
        along, across, sharp, _ = np.median(judge(folder, kernel_of(kind, size_px, degrees), degrees), axis=0)
        # Steeper slopes are narrower edges: the ratio of widths is the ratio of the slopes, ideal to result.
        is_missed = max(abs(along - 1), abs(across - 1)) > _AIM
        missed += is_missed
        blur = f"{kind:<6} {size_px:4.1f} px {degrees:3.0f}°"
        found = f"along {along:.2f}, across {across:.2f}, unmatched {sharp:.2f}"
        print(f"{blur}  {found}" + ("  missed" if is_missed else ""), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
