"""Fit the figure to reference pictures of many kinds: `python -m benchmarks.references FOLDER NAME...`.

FOLDER holds ``NAME_front.png`` (RGBA) and ``NAME_front.json`` with the exact ``joints_coco17``, as for
``benchmarks.turntable``. Pictures of all ``KINDS`` are made of each character: photographs on busy backgrounds (a frame
of ``--background``) with uneven light and a cast shadow, half bodies, gray, compressed, tiny, huge and rotated files,
hats, bags, ponytails, loose hair, coats, skirts, two people and nobody. Printed for each: overlap (IoU) of the fitted
figure and of the detected mask with the *true* outline, difference of mean color (CIE76) where figure and person both
are, seconds of detection and fitting, and the warnings, or the error and its field. A kind fails where it should be
refused and is not, or the other way round. ``--pictures`` writes each reference beside the figure in its pose and from
four sides.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.constructed_references import KINDS
from benchmarks.pair import lab_of
from benchmarks.reference_scene import Scene
from conf import compose_settings
from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.arrays import Mask
from pipeline.errors import InvalidInput
from pipeline.models.interfaces import PeopleBackend
from pipeline.models.loaded import load_models
from pipeline.models.mannequin.fitting import fit_view
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.reference import ReferenceView, make_view
from pipeline.models.weights.folder import weight_path
from pipeline.perform.appearance import find_appearance, opaque
from worker.source.picture import read_reference

_TURNS = (0.0, 0.25, 0.5, 0.75)
_SHOWN_PX = 520
"""Height of a picture in a sheet."""
_GRAY = 128


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """How one picture went."""

    words: str
    """Warnings, or the error with its field."""
    refused: bool = False
    figures: dict[str, float] | None = None
    sheet: NDArray[np.uint8] | None = None


def scene_of(folder: Path, name: str, background: NDArray[np.uint8]) -> Scene:
    """Read a character's front view."""
    rgba = read_reference(folder / f"{name}_front.png", 100)
    joints = np.array(json.loads((folder / f"{name}_front.json").read_text())["joints_coco17"], np.float64)[:, :2]
    return Scene(rgba, joints, background)


def judge(file: Path, scene: Scene, people: PeopleBackend, mannequin: Mannequin) -> Outcome:
    """Fit the figure to one file, whose person is the scene's."""
    picture = read_reference(file, 100)
    begin = time.perf_counter()
    try:
        appearance = find_appearance("", "", picture, people)
    except InvalidInput as error:
        return Outcome(f"{error} [{error.field}]", refused=True)
    warnings = mannequin.prepare(appearance)
    seconds = time.perf_counter() - begin
    figures, posed = _compare(appearance, scene, mannequin)
    figures["seconds"] = seconds
    turned = [mannequin.turned(2 * np.pi * turn, (300, _SHOWN_PX)) for turn in _TURNS]
    shown = [_fitted_in(opaque(picture)), *posed, *(_on_gray(each.picture, each.alpha) for each in turned)]
    return Outcome("; ".join(warnings), figures=figures, sheet=np.concatenate(shown, axis=1))


def _compare(
    appearance: Appearance, scene: Scene, mannequin: Mannequin
) -> tuple[dict[str, float], list[NDArray[np.uint8]]]:
    """Return the figures of a fit, and the figure in the picture's pose."""
    person = appearance.reference_person
    assert person is not None and appearance.reference is not None
    truth = scene.mask
    figures = {"mask_iou": _iou(person.mask, truth)}
    view = make_view(appearance.reference, person)
    if view is None:
        return {**figures, "iou": float("nan"), "cie76": float("nan")}, []
    _, fitted = fit_view(mannequin.person.figure, view, mannequin.person.drawn, reshape=False)
    height, width = view.mask.shape
    layer = mannequin.drawn_at(fitted.places, view.height_px, (width, height))
    assert layer.alpha is not None
    cover = layer.alpha > 127
    true_here, lost = _in_view(truth, person.mask, view)
    figures["iou"] = float((cover & true_here).sum() / max(int((cover | true_here).sum()) + lost, 1))
    both = cover & true_here
    seen = _seen_in_view(opaque(appearance.reference), person.mask, view)
    apart = lab_of(layer.picture)[both].mean(0) - lab_of(seen)[both].mean(0)
    figures["cie76"] = float(np.linalg.norm(apart))
    return figures, [_fitted_in(_on_gray(layer.picture, layer.alpha))]


def _box(mask: Mask) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _in_view(truth: Mask, found: Mask, view: ReferenceView) -> tuple[Mask, float]:
    """Return the true mask in a view's pixels, and how many of them lie outside of it."""
    box = _box(found)
    height, width = view.mask.shape
    margin = 8
    inner = (width - 2 * margin, height - 2 * margin)
    small = cv2.resize(truth[box].astype(np.uint8) * 255, inner, interpolation=cv2.INTER_AREA) > 127
    outside = int(truth.sum()) - int(truth[box].sum())
    share = small.size / max(truth[box].size, 1)
    return np.pad(small, margin), outside * share


def _seen_in_view(picture: NDArray[np.uint8], found: Mask, view: ReferenceView) -> NDArray[np.uint8]:
    height, width = view.mask.shape
    margin = 8
    inner = (width - 2 * margin, height - 2 * margin)
    small = cv2.resize(np.ascontiguousarray(picture[_box(found)]), inner, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REPLICATE)


def _iou(first: Mask, second: Mask) -> float:
    return float((first & second).sum() / max(int((first | second).sum()), 1))


def _on_gray(picture: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    assert alpha is not None
    share = alpha[..., None].astype(np.float32) / 255
    return (picture * share + _GRAY * (1 - share)).astype(np.uint8)


def _fitted_in(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a picture to the height of a sheet."""
    scale = _SHOWN_PX / picture.shape[0]
    width = max(1, round(scale * picture.shape[1]))
    return cv2.resize(picture, (width, _SHOWN_PX), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def first_frame(path: Path) -> NDArray[np.uint8]:
    """Return the first frame of a video, or a picture, (h, w, 3) RGB."""
    video = cv2.VideoCapture(str(path))
    found, frame = video.read()
    video.release()
    if not found:
        raise SystemExit(f"{path} is neither a video nor a picture")
    return np.ascontiguousarray(frame[..., ::-1])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.references", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--background", type=Path, default=Path("assets/walk_a/plate.mp4"))
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*KINDS])
    parser.add_argument("--pictures", type=Path, help="write each reference beside the figure there")
    arguments = parser.parse_args()
    people = load_models(compose_settings("preview", [])).people
    background = first_frame(arguments.background)
    failed = 0
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    for name in arguments.names:
        character = scene_of(arguments.folder, name, background)
        for kind in arguments.kinds:
            makers, encode = KINDS[kind]
            scene = character
            for make in makers:
                scene = make(scene)
            mannequin = Mannequin(weight_path("figure.npz"))
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "reference"
                file.write_bytes(encode(scene))
                outcome = judge(file, scene, people, mannequin)
            is_wrong = outcome.refused != (scene.expects == "error")
            failed += is_wrong
            numbers = "  ".join(f"{key} {value:.3f}" for key, value in (outcome.figures or {}).items())
            print(f"{name:<7}{kind:<13}{'WRONG  ' if is_wrong else ''}{numbers}  {outcome.words}", flush=True)
            if arguments.pictures and outcome.sheet is not None:
                cv2.imwrite(str(arguments.pictures / f"{name}_{kind}.png"), outcome.sheet[..., ::-1])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
