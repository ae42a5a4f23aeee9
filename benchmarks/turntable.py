"""Judge the fitted figure from all sides: `python -m benchmarks.turntable FOLDER NAME...`.

FOLDER holds ``NAME_front.png``, ``_left``, ``_back`` and ``_right`` (RGBA), one character turned before a fixed camera,
and ``NAME_VIEW.json`` with its exact ``joints_coco17``. The figure is fitted to the front alone (``--all``: to the
four), posed on the true joints (x and y of the front, depth of the left view), turned, and compared with each picture
at the size that people have in a clip: SSIM of luma where either is, intersection over union of the silhouettes, and
the mean difference of color where both are. Pose, light and camera are not what is judged: the figure is lit by soft
daylight and stands where the true one does.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pair import lab_of, ssim
from conf import compose_settings
from pipeline.joints import NUM_SKELETON
from pipeline.models.loaded import load_models
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.weights.folder import weight_path
from pipeline.perform.appearance import find_appearance, opaque
from worker.source.picture import read_reference

VIEWS = {"front": 0.0, "left": 0.25, "back": 0.5, "right": 0.75}
"""Name of a view, and the fraction of a turn that brings it before the camera."""
_BODY_PX = 600
"""Standing height at which pictures are compared."""
_GRAY = 128


def true_skeleton(folder: Path, name: str) -> NDArray[np.float64]:
    """Return (23, 3) joints in px of the front view, z away from the camera; NaN where the files have none."""
    front, left = (_joints(folder / f"{name}_{view}.json") for view in ("front", "left"))
    out = np.full((NUM_SKELETON, 3), np.nan)
    # In its left view the character faces the picture's left.
    depth = left[:, 0] - left[[5, 6, 11, 12], 0].mean()
    out[:17] = np.concatenate([front, depth[:, None]], 1)
    return out


def _joints(path: Path) -> NDArray[np.float64]:
    data: dict[str, Any] = json.loads(path.read_text())
    return np.array(data["joints_coco17"], np.float64)[:, :2]


def compare(mannequin: Mannequin, folder: Path, name: str, view: str) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Return the figures of one view, and ours beside the true picture."""
    true = read_reference(folder / f"{name}_{view}.png", 100)
    mask = true[..., 3] > 127
    height, width = mask.shape
    rows = np.flatnonzero(mask.any(1))
    body_px = float(rows[-1] - rows[0] + 1)
    own, cover = _drawn(mannequin, folder, name, VIEWS[view], mask)
    best = max(range(-12, 13), key=lambda shift: _iou(np.roll(cover, shift, 1), mask))
    own, cover = np.roll(own, best, 1), np.roll(cover, best, 1)
    scale = _BODY_PX / body_px
    seen = opaque(true)
    size = round(width * scale), round(height * scale)
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (own, seen)]
    either = cv2.resize((cover | mask).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    difference = (lab_of(own) - lab_of(seen))[cover & mask].mean(0)
    figures = {
        "ssim": float(ssim(*small)[either].mean()),
        "iou": _iou(cover, mask),
        "cie76_mean": float(np.linalg.norm(difference)),
    }
    return figures, np.concatenate([own, seen], 1)


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def _drawn(
    mannequin: Mannequin, folder: Path, name: str, turn: float, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw the figure on the true joints, as tall as the true one and over its hips: picture on gray, and its mask."""
    skeleton = true_skeleton(folder, name)
    angle = 2 * np.pi * turn
    cos, sin = np.cos(angle), np.sin(angle)
    hips = np.append(skeleton[[11, 12], :2].mean(0), 0.0)
    skeleton = (skeleton - hips) @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T + hips
    view = next(view for view, share in VIEWS.items() if share == turn)
    rows = np.flatnonzero(mask.any(1))
    size_wh = mask.shape[1], mask.shape[0]
    drawn = mannequin.drawn_on(skeleton.astype(np.float32), float(rows[-1] - rows[0] + 1), size_wh, 0.0)
    assert drawn.alpha is not None
    cover = drawn.alpha > 127
    own_rows = np.flatnonzero(cover.any(1))
    scale = (rows[-1] - rows[0] + 1) / (own_rows[-1] - own_rows[0] + 1)
    true_hip = _joints(folder / f"{name}_{view}.json")[[11, 12], 0].mean()
    move = np.array([[scale, 0, true_hip - scale * hips[0]], [0, scale, rows[0] - scale * own_rows[0]]])
    alpha = drawn.alpha[..., None].astype(np.float32) / 255
    picture = (drawn.picture * alpha + _GRAY * (1 - alpha)).astype(np.uint8)
    gray = (_GRAY, _GRAY, _GRAY)
    picture = cv2.warpAffine(picture, move, size_wh, borderMode=cv2.BORDER_CONSTANT, borderValue=gray)
    return picture, cv2.warpAffine(cover.astype(np.uint8), move, size_wh) > 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.turntable", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--all", action="store_true", help="fit to all four views")
    parser.add_argument("--pictures", type=Path, help="write ours beside the true view there")
    arguments = parser.parse_args()
    settings = compose_settings("preview", [])
    people = load_models(settings).people
    table: dict[str, list[dict[str, float]]] = {view: [] for view in VIEWS}
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        given = [*VIEWS] if arguments.all else ["front"]
        pictures = [read_reference(arguments.folder / f"{name}_{view}.png", 100) for view in given]
        mannequin = Mannequin(weight_path("figure.npz"))
        warnings = mannequin.prepare(find_appearance("", "", pictures[0], people, pictures[1:]))
        print(name, f"outline {mannequin.fit.overlap:.3f}", *warnings)
        shown = []
        for view in VIEWS:
            figures, picture = compare(mannequin, arguments.folder, name, view)
            table[view].append(figures)
            shown.append(picture)
            print(f"  {view:<6}", "  ".join(f"{key} {value:.3f}" for key, value in figures.items()))
        if arguments.pictures:
            cv2.imwrite(str(arguments.pictures / f"{name}.png"), np.concatenate(shown, 1)[..., ::-1])
    mean = {view: np.mean([figures["ssim"] for figures in table[view]]) for view in VIEWS}
    print(
        f"mean SSIM front {mean['front']:.3f}, side {(mean['left'] + mean['right']) / 2:.3f}, back {mean['back']:.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
