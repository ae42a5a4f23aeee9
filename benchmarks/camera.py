"""Compare camera motion estimation with other methods: `python -m benchmarks.camera`.

Two 720p clips (720 x 1280, 90 frames) are cropped from real static-camera footage (pose2sim) so that the moving person
covers 8 % and 15 % of the picture, and a known shake is applied in a single resampling step.
Measured on the same files:

- ours, with the masks that the people backend finds in the shaken clip;
- vid.stab (`vidstabdetect`, its motions as `vidstabtransform` prints them), the ``ffmpeg`` command;
- naive OpenCV: 200 good features at full size, Lucas-Kanade, `estimateAffinePartial2D`, no mask.

CPU seconds cover decoding and estimation; ours exclude people detection, which vid.stab does not do.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import load_truth, moved, pair_motion_error_px
from benchmarks.shake import read_rgb, shake_matrices, write_video
from benchmarks.speed import has_vidstab, measured
from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of, rgb_of
from pipeline.models.registry import make_people
from pipeline.settings import PeopleSettings, StabilizeSettings
from pipeline.survey.camera import CameraEstimator
from pipeline.survey.people import PeopleFollower, PeopleInFrame
from pipeline.workspace.masks import MaskStore

ROOT = Path(__file__).resolve().parents[1]
CLIPS = (("cam02.mp4", 0.08), ("cam03.mp4", 0.15))
_SIZE_WH = (720, 1280)
_FRAMES = 90
_DRIFT_FRAMES = 30
_VIDSTAB_LINE = re.compile(r"^\s*(\d+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)")

Matrices = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Shaken:
    """A shaken clip with its ground truth."""

    path: Path
    pairs: Matrices
    """(T, 3, 3) frame t from frame t-1; the first is the identity."""
    share: float
    """Mean fraction of the picture covered by people's masks."""
    seen: tuple[PeopleInFrame, ...]


def corner_error_px(pairs: Matrices, true: Matrices, size_wh: tuple[int, int]) -> float:
    """Return the mean distance between the picture's four corners moved by the measured and by the true pair motion."""
    corners = _corners(size_wh)
    return float(
        np.mean(
            [
                np.linalg.norm(moved(a, corners) - moved(b, corners), axis=1)
                for a, b in zip(pairs[1:], true[1:], strict=True)
            ]
        )
    )


def drift_px(pairs: Matrices, true: Matrices, size_wh: tuple[int, int], frames: int = _DRIFT_FRAMES) -> float:
    """Return the mean corner distance of motions chained over ``frames`` frames, averaged over all starting frames."""
    ours = _chained(pairs)
    real = _chained(true)
    corners = _corners(size_wh)
    errors = []
    for t in range(len(pairs) - frames):
        a = ours[t + frames] @ np.linalg.inv(ours[t])
        b = real[t + frames] @ np.linalg.inv(real[t])
        errors.append(np.linalg.norm(moved(a, corners) - moved(b, corners), axis=1))
    return float(np.mean(errors))


def _chained(pairs: Matrices) -> Matrices:
    path = np.tile(np.eye(3), (len(pairs), 1, 1))
    for t in range(1, len(pairs)):
        path[t] = pairs[t] @ path[t - 1]
    return path


def _corners(size_wh: tuple[int, int]) -> Matrices:
    w, h = size_wh
    return np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float64)


def shaken_clip(source: Path, share: float, work: Path, *, seed: int = 0) -> Shaken:
    """Crop a 720p window in which the subject covers ``share`` of the picture, and shake it."""
    frames = [rgb for rgb, _ in zip(read_rgb(source), range(_FRAMES), strict=False)]
    h, w = frames[0].shape[:2]
    person = make_people(PeopleSettings())
    masks = [max((p.mask for p in person.find(rgb)), key=np.count_nonzero, default=None) for rgb in frames[::30]]
    found = [mask for mask in masks if mask is not None]
    height = min(np.sqrt(np.mean([m.sum() for m in found]) / share * _SIZE_WH[1] / _SIZE_WH[0]), h, w * 16 / 9)
    scale = height / _SIZE_WH[1]
    middle = np.mean([np.argwhere(m).mean(axis=0)[::-1] for m in found], axis=0)
    half = np.array(_SIZE_WH) * scale / 2
    corner = np.clip(middle - half, 0, np.maximum(np.array([w, h]) - 2 * half, 0))
    crop_from_source = np.array([[1 / scale, 0, -corner[0] / scale], [0, 1 / scale, -corner[1] / scale], [0, 0, 1.0]])
    # As strong in px as for a landscape picture of 720 lines.
    shakes = shake_matrices(_FRAMES, _SIZE_WH, seed=seed, strength=720 / 1280)
    path = work / f"{source.stem}.mp4"
    blur = max(scale - 1, 0) * 0.5

    def shaken() -> Iterator[NDArray[np.uint8]]:
        for rgb, shake in zip(frames, shakes, strict=True):
            # As a lens does before sampling: no aliasing where the window is larger than the result.
            soft = cv2.GaussianBlur(rgb, (0, 0), blur) if blur > 0.1 else rgb
            yield np.asarray(cv2.warpPerspective(soft, shake @ crop_from_source, _SIZE_WH, flags=cv2.INTER_CUBIC))

    write_video(path, shaken())
    pairs = np.tile(np.eye(3), (_FRAMES, 1, 1))
    pairs[1:] = shakes[1:] @ np.linalg.inv(shakes[:-1])
    clip = open_clip(path)
    store = MaskStore(work / f"{source.stem}.zip", clip.info.size_wh)
    follower = PeopleFollower(clip.info, PeopleSettings().max_gap_seconds, person, store)
    seen = tuple(follower.push(frame.index, rgb_of(frame), frame.index == 0) for frame in clip.frames())
    store.close()
    return Shaken(path, pairs, float(np.mean([one.people_mask.mean() for one in seen])), seen)


def ours(clip: Shaken, settings: StabilizeSettings) -> tuple[Matrices, float]:
    """Return the pair motions (T, 3, 3) and CPU seconds, decoding included."""
    begin = time.process_time()
    opened = open_clip(clip.path)
    estimator = CameraEstimator(opened.info, settings)
    for frame in opened.frames():
        one = clip.seen[frame.index]
        estimator.push(luma_of(frame), one.people_mask, one.feet_px, frame.index == 0)
    world = estimator.finish().world_from_source
    seconds = time.process_time() - begin
    pairs = np.tile(np.eye(3), (len(world), 1, 1))
    pairs[1:] = np.linalg.inv(world[1:]) @ world[:-1]
    return pairs, seconds


def naive_opencv(clip: Shaken) -> tuple[Matrices, float]:
    """Return the motions found by the usual tutorial script: full size, no mask, a similarity by RANSAC."""
    begin = time.process_time()
    pairs = [np.eye(3)]
    before = None
    for frame in open_clip(clip.path).frames():
        luma = np.ascontiguousarray(luma_of(frame))
        if before is not None:
            points = cv2.goodFeaturesToTrack(before, 200, 0.01, 30, blockSize=3)
            now, good, _ = cv2.calcOpticalFlowPyrLK(before, luma, points, None)
            keep = good.ravel() == 1
            fitted, _ = cv2.estimateAffinePartial2D(points[keep], now[keep])
            pairs.append(np.vstack([fitted, [0, 0, 1]]))
        before = luma
    return np.stack(pairs), time.process_time() - begin


def vidstab(clip: Shaken, work: Path) -> tuple[Matrices, float]:
    """Return vid.stab's pair motions and the CPU seconds of vidstabdetect alone.

    ``debug=1`` makes vidstabtransform print x, y, angle and zoom in per cent of each frame. Their signs are not
    documented: the combination nearest to the truth is used, which can only favor vid.stab.
    """
    found = work / "found.trf"
    run = measured(["ffmpeg", "-y", "-v", "error", "-threads", "1", "-i", str(clip.path), "-vf",
                    f"vidstabdetect=result={found}", "-f", "null", "-"])  # fmt: skip
    listing = work / "global_motions.trf"
    listing.unlink(missing_ok=True)
    measured(["sh", "-c", f"cd '{work}' && ffmpeg -y -v error -i '{clip.path}' -vf "
              f"vidstabtransform=input=found.trf:debug=1:smoothing=0:optzoom=0 -f null -"])  # fmt: skip
    rows = [list(map(float, m.groups())) for m in map(_VIDSTAB_LINE.match, listing.read_text().splitlines()) if m]
    table = np.array(rows)[: len(clip.pairs), 1:]
    best = clip.pairs
    best_error = float("inf")
    for signs in product((1, -1), repeat=4):
        pairs = np.stack([_centered(*(row * signs)) for row in table])
        for candidate in (pairs, np.asarray(np.linalg.inv(pairs), np.float64)):
            error = corner_error_px(candidate, clip.pairs[: len(candidate)], _SIZE_WH)
            if error < best_error:
                best = candidate
                best_error = error
    return best, run.cpu_seconds


def _centered(x: float, y: float, angle: float, zoom: float) -> Matrices:
    cx, cy = (_SIZE_WH[0] - 1) / 2, (_SIZE_WH[1] - 1) / 2
    size = 1 + zoom / 100
    c, s = size * np.cos(angle), size * np.sin(angle)
    return np.array([[c, -s, x + cx - c * cx + s * cy], [s, c, y + cy - s * cx - c * cy], [0, 0, 1.0]])


def walk_error_px(folder: Path, settings: StabilizeSettings) -> float:
    """Return the mean error of walk_a's background points per frame pair, with true masks and a moving camera."""
    truth = load_truth(folder)
    clip = open_clip(folder / "sample.mp4")
    estimator = CameraEstimator(clip.info, settings)
    wide = np.ones((9, 9), np.uint8)
    for frame in clip.frames():
        mask = cv2.dilate(truth.masks[frame.index].astype(np.uint8), wide) > 0
        estimator.push(luma_of(frame), mask, truth.keypoints[frame.index, 15:17], frame.index == 0)
    return pair_motion_error_px(estimator.finish().world_from_source, truth.bg_tracks, truth.bg_visible)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.camera", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, help="keep the clips here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    settings = StabilizeSettings()
    passed = True
    with tempfile.TemporaryDirectory(prefix="camera-") as temporary:
        work = Path(temporary)
        print(f"{'clip':<12}{'people':>8}  {'method':<14}{'corner px':>10}{'drift px':>10}{'CPU ms/frame':>14}")
        for name, share in CLIPS:
            clip = shaken_clip(ROOT / "weights" / "footage" / name, share, work)
            results = {"ours": ours(clip, settings), "OpenCV naive": naive_opencv(clip)}
            if has_vidstab():
                results["vid.stab"] = vidstab(clip, work)
            for method, (pairs, seconds) in results.items():
                true = clip.pairs[: len(pairs)]
                error = corner_error_px(pairs, true, _SIZE_WH)
                drift = drift_px(pairs, true, _SIZE_WH)
                if method == "ours":
                    passed = passed and error <= 0.04 and drift <= 0.4
                milliseconds = 1000 * seconds / _FRAMES
                print(f"{name:<12}{clip.share:>8.1%}  {method:<14}{error:>10.3f}{drift:>10.3f}{milliseconds:>14.1f}")
            if arguments.keep:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(clip.path, arguments.keep)
    error = walk_error_px(ROOT / "assets" / "walk_a", settings)
    print(f"walk_a, background points, px a frame pair: {error:.3f} (aim 0.06; the truth's own best homography 0.050)")
    return 0 if passed and error <= 0.06 else 1


if __name__ == "__main__":
    sys.exit(main())
