"""Judge the fitted figure from all sides: `python -m benchmarks.turntable FOLDER NAME...`.

FOLDER holds ``NAME_front.png``, ``_left``, ``_back`` and ``_right`` (RGBA), one character turned before a fixed camera,
and ``NAME_VIEW.json`` with its exact ``joints_coco17``. The figure is fitted to the front alone (``--all``: to the
four), with the joints found in the front picture and, for the other views, the true depth of the left view; then it is
turned and compared with each picture at the size that people have in a clip: SSIM of luma where either is, intersection
over union of the silhouettes, and the mean difference of color where both are. Light and camera are not what is judged:
the figure is lit by soft daylight, seen without perspective, as tall as the true one and over its hips.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.pair import lab_of, ssim
from conf import compose_settings
from pipeline.joints import JOINT
from pipeline.models.loaded import load_models
from pipeline.models.mannequin.figure import BONE
from pipeline.models.mannequin.fitting import fit_view
from pipeline.models.mannequin.landmark_bias import BLAZEPOSE
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.posing import HIPS_BEHIND
from pipeline.models.mannequin.reference import ReferenceView, make_view
from pipeline.models.mannequin.upright import with_trunk_upright
from pipeline.models.weights.folder import weight_path
from pipeline.perform.appearance import find_appearance, opaque
from worker.source.picture import read_reference

VIEWS = {"front": 0.0, "left": 0.25, "back": 0.5, "right": 0.75}
"""Name of a view, and the fraction of a turn that brings it before the camera."""
_BODY_PX = 600
"""Standing height at which pictures are compared."""
_GRAY = 128
_SHIFTS = 40
"""Largest sideways shift, px, that the comparison takes out: the depth of the hips is not known to the pixel."""
_ENDS = {
    end: tuple(JOINT[f"{side}_{name}"] for name in names)
    for side in ("left", "right")
    for end, names in ((JOINT[f"{side}_ankle"], ("heel", "toe")), (JOINT[f"{side}_wrist"], ("hand",)))
}
"""Joints that move with an ankle or a wrist."""


def with_true_depth(reference: ReferenceView, folder: Path, name: str) -> ReferenceView:
    """Return the front view with the depth of its joints from the true left view; of hands and toes as estimated."""
    left = _joints(folder / f"{name}_left.json")
    mask = read_reference(folder / f"{name}_left.png", 100)[..., 3] > 127
    rows = np.flatnonzero(mask.any(1))
    scale = reference.height_px / (rows[-1] - rows[0] + 1)
    # In its left view the character faces the picture's left.
    depth = (left[:, 0] - left[[11, 12], 0].mean()) * scale
    # The pose moves the hips behind the landmarks', which are on the body's front.
    depth[[11, 12]] -= HIPS_BEHIND * reference.height_px
    skeleton = reference.skeleton.copy()
    skeleton[:, 2] -= skeleton[[11, 12], 2].mean()
    unbiased = BLAZEPOSE.without(skeleton, reference.height_px)
    moved = depth - unbiased[:17, 2]
    for end, ends in _ENDS.items():
        skeleton[list(ends), 2] += moved[end]
    skeleton[:17, 2] += moved
    return replace(reference, skeleton=skeleton)


def _joints(path: Path) -> NDArray[np.float64]:
    data: dict[str, Any] = json.loads(path.read_text())
    return np.array(data["joints_coco17"], np.float64)[:, :2]


def fitted_places(mannequin: Mannequin, reference: ReferenceView) -> NDArray[np.float64]:
    """Return the (V, 3) vertices laid on the front view, px; x and z from the middle of the hips."""
    person = mannequin.person
    _, fitted = fit_view(person.figure, reference, person.drawn, reshape=False)
    hips = np.isin(person.figure.bone_index[:, 0], [BONE["thigh1.L"], BONE["thigh1.R"]])
    hips &= np.abs(person.figure.vertices[:, 1] - person.figure.heads[BONE["thigh1.L"], 1]) < 0.01
    places = fitted.places.astype(np.float64)
    joints = reference.skeleton[[11, 12], 0].mean()
    return places - [joints, 0.0, places[hips, 2].mean()]


def compare(
    mannequin: Mannequin, places: NDArray[np.float64], folder: Path, name: str, view: str
) -> tuple[dict[str, float], NDArray[np.uint8]]:
    """Return the figures of one view; and ours, the true picture, and the silhouettes (red: only the true one)."""
    true = read_reference(folder / f"{name}_{view}.png", 100)
    mask = true[..., 3] > 127
    hips = float(_joints(folder / f"{name}_{view}.json")[[11, 12], 0].mean())
    own, cover = _drawn(mannequin, places, VIEWS[view], mask, hips)
    best = max(range(-_SHIFTS, _SHIFTS + 1), key=lambda shift: _iou(np.roll(cover, shift, 1), mask))
    own = np.roll(own, best, 1)
    cover = np.roll(cover, best, 1)
    scale = _BODY_PX / np.ptp(np.flatnonzero(mask.any(1)))
    seen = opaque(true)
    size = round(mask.shape[1] * scale), round(mask.shape[0] * scale)
    small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (own, seen)]
    either = cv2.resize((cover | mask).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    difference = (lab_of(own) - lab_of(seen))[cover & mask].mean(0)
    figures = {
        "ssim": float(ssim(*small)[either].mean()),
        "iou": _iou(cover, mask),
        "cie76_mean": float(np.linalg.norm(difference)),
    }
    shapes = np.full((*mask.shape, 3), 255, np.uint8)
    shapes[cover & mask] = 170
    shapes[mask & ~cover] = (230, 40, 40)
    shapes[cover & ~mask] = (40, 40, 230)
    return figures, np.concatenate([own, seen, shapes], 1)


def _iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / max((first | second).sum(), 1))


def _drawn(
    mannequin: Mannequin, places: NDArray[np.float64], turn: float, mask: NDArray[np.bool_], hips_px: float
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw the turned figure as tall as ``mask`` and with its hips at x ``hips_px``: picture on gray, and its mask."""
    angle = 2 * np.pi * turn
    cos, sin = np.cos(angle), np.sin(angle)
    turned = places @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    used = np.unique(mannequin.person.figure.triangles[mannequin.person.drawn])
    low, high = turned[used, 1].min(), turned[used, 1].max()
    rows = np.flatnonzero(mask.any(1))
    height_px = float(rows[-1] - rows[0] + 1)
    turned = (turned - [0, low, 0]) * height_px / (high - low) + [hips_px, rows[0] - 0.5, 0]
    layer = mannequin.drawn_at(turned.astype(np.float32), height_px, (mask.shape[1], mask.shape[0]))
    assert layer.alpha is not None
    alpha = layer.alpha[..., None].astype(np.float32) / 255
    return (layer.picture * alpha + _GRAY * (1 - alpha)).astype(np.uint8), layer.alpha > 127


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
        person = find_appearance("", "", pictures[0], people).reference_person
        assert person is not None
        front = make_view(pictures[0], person)
        assert front is not None
        as_fitted = fitted_places(mannequin, with_trunk_upright(front, mannequin.person.figure))
        deep = fitted_places(mannequin, with_true_depth(front, arguments.folder, name))
        print(name, f"outline {mannequin.fit.overlap:.3f}", *warnings)
        shown = []
        for view in VIEWS:
            figures, picture = compare(mannequin, as_fitted if view == "front" else deep, arguments.folder, name, view)
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
