"""Compare the subject's mask with ground truth: `python -m benchmarks.matte assets/walk_a`.

Ours (``mask.mkv`` of a preview job) is compared with the raw model: BlazePose's mask in each frame, by the same
backend, of the person that overlaps the truth most. The truth is ``mask.npz`` (render alpha of at least a half).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import load_truth, mask_iou
from benchmarks.judged_job import run, video_of
from benchmarks.shake import read_rgb
from conf import compose_settings
from pipeline.media.ffv1 import read_artifact
from pipeline.models.registry import make_people

Mask = NDArray[np.bool_]
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def border_of(mask: Mask) -> Mask:
    """Return the mask's boundary pixels; the picture's edge is not a boundary."""
    return np.asarray(mask & (cv2.erode(mask.astype(np.uint8), _CROSS, borderValue=1) == 0))


def boundary_f(mask: Mask, true: Mask, reach_px: int = 1) -> float:
    """Boundary F measure (Perazzi et al., DAVIS, CVPR 2016): both boundaries matched within ``reach_px``."""
    ours = border_of(mask)
    theirs = border_of(true)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1, 2 * reach_px + 1))
    precision = float(np.mean(cv2.dilate(theirs.astype(np.uint8), disk)[ours]))
    recall = float(np.mean(cv2.dilate(ours.astype(np.uint8), disk)[theirs]))
    return 2 * precision * recall / max(precision + recall, 1e-9)


@dataclass(slots=True)
class Tally:
    """Metrics of one masking method over the frames that show the subject."""

    ious: list[float] = field(default_factory=list)
    fs: list[float] = field(default_factory=list)
    flickers: list[float] = field(default_factory=list)

    def add_all(self, masks: Iterable[Mask], truth: NDArray[np.bool_]) -> None:
        """Add a clip's masks. Flicker: pixels that become wrong or right from one frame to the next, over the length of
        the true boundary, px."""
        wrong_before: Mask | None = None
        for mask, true in zip(masks, truth, strict=True):
            if np.count_nonzero(true) < 500:
                wrong_before = None
                continue
            self.ious.append(mask_iou(mask, true))
            self.fs.append(boundary_f(mask, true))
            wrong = mask ^ true
            if wrong_before is not None:
                self.flickers.append(np.count_nonzero(wrong ^ wrong_before) / np.count_nonzero(border_of(true)))
            wrong_before = wrong

    def __str__(self) -> str:
        parts = f"IoU {np.mean(self.ious):.3f}  boundary F {np.mean(self.fs):.3f}"
        return f"{parts}  flicker {np.mean(self.flickers):.3f} px"


def raw_masks(clip: Path, truth: NDArray[np.bool_]) -> Iterable[Mask]:
    """Yield the model's mask in each frame; empty where nobody was detected."""
    people = make_people(compose_settings("preview").people)
    people.reset()
    for rgb, true in zip(read_rgb(clip), truth, strict=True):
        found = [person.mask for person in people.find(rgb)]
        yield max(found, key=lambda mask: mask_iou(mask, true), default=np.zeros_like(true))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matte", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="sample.mp4, gt.npz, mask.npz; such as assets/walk_a")
    folder = parser.parse_args().folder
    truth = load_truth(folder).masks
    raw = Tally()
    ours = Tally()
    raw.add_all(raw_masks(folder / "sample.mp4", truth), truth)
    with tempfile.TemporaryDirectory(prefix="matte-") as temporary:
        made = video_of(run(folder / "sample.mp4", Path(temporary), artifacts=("mask",))).parent
        ours.add_all((mask > 0 for mask in read_artifact(made / "mask.mkv")), truth)
    gain = 100 * (np.mean(ours.fs) - np.mean(raw.fs))
    share = float(np.mean(ours.flickers) / np.mean(raw.flickers))
    print(f"raw model  {raw}\nours       {ours}")
    print(f"F {gain:+.1f} points (aim +4), flicker {share:.2f} of the raw model's (aim 0.5)")
    return int(gain < 4 or share > 0.5)


if __name__ == "__main__":
    sys.exit(main())
