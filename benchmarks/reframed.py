"""Clips that show other parts of a truth folder's clip, or edit it, with exact ground truth.

Each frame of the new clip is one of the folder's frames under a known similarity: a crop of the picture, a zoom, a
mirror image. Masks and joints are transformed by the same matrices. An edit may change its brightness or blend it with
another frame.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Truth, clip_of, load_truth, moved
from benchmarks.shake import read_rgb, write_video
from pipeline.datatypes.arrays import Float64Array

Picture = NDArray[np.uint8]
Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What one frame of the new clip shows."""

    frame: int
    """Of the folder's clip."""
    matrix: Float64Array
    """(3, 3) new picture from the folder's."""
    gain: float = 1.0
    """Factor of all levels; 0 is black."""
    white: float = 0.0
    """Weight of white that is mixed in."""
    blur_px: tuple[float, float] = (0.0, 0.0)
    """Length of a motion blur across and down."""
    blended: Shown | None = None
    """Another picture in a cross-fade."""
    weight: float = 0.0
    """Its weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Footage:
    """A truth folder's clip in memory."""

    name: str
    pictures: Sequence[Picture]
    truth: Truth

    def focus(self, joints: Sequence[int], sigma_frames: float) -> Float64Array:
        """(T, 2) px: the mean place of some joints, smoothed as by a camera that follows slowly."""
        middle = self.truth.keypoints[:, list(joints)].mean(axis=1)
        radius = int(3 * sigma_frames)
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_frames) ** 2)
        padded = np.pad(middle, ((radius, radius), (0, 0)), mode="edge")
        return np.stack([np.convolve(column, weights / weights.sum(), "valid") for column in padded.T], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Reframed:
    """A written clip and its ground truth."""

    path: Path
    masks: Masks
    """(T, H, W) visible pixels of the subject; both pictures' in a cross-fade."""
    others: Masks
    """(T, H, W) visible pixels of other people."""
    keypoints: Float64Array
    """(T, 17, 2) px."""
    visible: Masks
    """(T, 17) in the picture and not occluded."""
    inside: Masks
    """(T, 17) in the picture."""
    body_height_px: Float64Array
    """(T,)."""


def load_footage(folder: Path) -> Footage:
    return Footage(folder.name, list(read_rgb(clip_of(folder))), load_truth(folder))


def crop(
    center: Float64Array, height_px: float, size_wh: tuple[int, int], limits_wh: tuple[int, int] | None
) -> Float64Array:
    """(3, 3): the matrix that shows a part ``height_px`` high about a center (2,), kept inside a picture of
    ``limits_wh`` unless that is None, in a picture of ``size_wh``."""
    if limits_wh is not None:
        height_px = min(height_px, limits_wh[1], limits_wh[0] * size_wh[1] / size_wh[0])
    scale = size_wh[1] / height_px
    half = np.array([size_wh[0], size_wh[1]]) / scale / 2
    if limits_wh is not None:
        center = np.clip(center, half - 0.5, np.array(limits_wh) - half - 0.5)
    low = center - half + 0.5
    return np.array([[scale, 0, -scale * low[0]], [0, scale, -scale * low[1]], [0, 0, 1]])


def mirror(size_wh: tuple[int, int]) -> Float64Array:
    """(3, 3): the picture's mirror image."""
    return np.array([[-1.0, 0, size_wh[0] - 1], [0, 1, 0], [0, 0, 1]])


def write_reframed(footage: Footage, entries: Sequence[Shown], size_wh: tuple[int, int], out: Path) -> Reframed:
    """Write a clip of 30 fps and return its ground truth."""
    write_video(out, (_picture(footage, entry, size_wh) for entry in entries), crf=18)
    truth = footage.truth
    rows = [entry.frame for entry in entries]
    keypoints = np.stack([moved(entry.matrix, truth.keypoints[entry.frame]) for entry in entries])
    inside = ((keypoints >= 0) & (keypoints <= np.array(size_wh) - 1)).all(axis=-1)
    inside &= truth.in_frame[rows]
    scales = np.array([np.sqrt(abs(np.linalg.det(entry.matrix[:2, :2]))) for entry in entries])
    return Reframed(
        out,
        np.stack([_mask(truth.masks, entry, size_wh) for entry in entries]),
        np.stack([_mask(truth.others, entry, size_wh) for entry in entries]),
        keypoints,
        truth.visible[rows] & inside,
        inside,
        truth.body_height_px[rows] * scales,
    )


def _picture(footage: Footage, entry: Shown, size_wh: tuple[int, int]) -> Picture:
    shown = _warped(footage.pictures[entry.frame], entry.matrix, size_wh)
    across, down = (max(1, round(length)) for length in entry.blur_px)
    values = cv2.blur(shown, (across, down)).astype(np.float32) * entry.gain
    values += entry.white * (255 - values)
    if entry.blended is not None:
        values += entry.weight * (_picture(footage, entry.blended, size_wh) - values)
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _warped(picture: Picture, matrix: Float64Array, size_wh: tuple[int, int]) -> Picture:
    warped = cv2.warpAffine(picture, matrix[:2], size_wh, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _mask(masks: Masks | None, entry: Shown, size_wh: tuple[int, int]) -> Masks:
    if masks is None:
        return np.zeros(size_wh[::-1], np.bool_)
    of_frame = masks[entry.frame].view(np.uint8)
    mask = cv2.warpAffine(of_frame, entry.matrix[:2], size_wh, flags=cv2.INTER_NEAREST) > 0
    if entry.blended is not None:
        mask |= _mask(masks, entry.blended, size_wh)
    return np.asarray(mask, np.bool_)


def whole(count: int, start: int = 0) -> Iterator[Shown]:
    """Yield the folder's own frames."""
    for frame in range(start, start + count):
        yield Shown(frame, np.eye(3))


def judge_reframed(
    program: str, description: str, names: Sequence[str], judge: Callable[[Footage, str, Path], bool]
) -> int:
    """Read the command line of a benchmark of reframed clips and judge each of the ``names`` asked for.

    ``judge`` takes a clip's footage, a name and the folder for its files, and returns whether an aim was missed. The
    exit code is returned.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{program}", description=description.splitlines()[0])
    parser.add_argument("footage", type=Path, help="folder with walk_a and walk_d")
    parser.add_argument("names", nargs="*", choices=[*names, []], help="only these")
    parser.add_argument("--of", nargs="*", default=["walk_a", "walk_d"], help="of which clips")
    parser.add_argument("--work", type=Path, default=Path(f"/tmp/{program}"), help="clips and results go there")
    arguments = parser.parse_args()
    missed = []
    for of in arguments.of:
        footage = load_footage(arguments.footage / of)
        missed += [judge(footage, name, arguments.work) for name in arguments.names or names]
    return int(any(missed))
