"""Compare the smoothed camera path with vid.stab's at the same window: `python -m benchmarks.smoothing`.

The clips are those of `benchmarks.camera` (a static camera, a known shake), each under several shakes. The measures are
those of Liu et al. 2013, Bundled Camera Paths for Video Stabilization: stability, distortion, cropping.

The path of a video is measured in the same way for all: SIFT against the static background (the median of all frames,
aligned by the true shake), RANSAC, an affine map. On the shaken clip itself the true path is known: the measurement
error there is the margin within which two methods are considered equal. ``exact`` is ours without measurement: the
pipeline's matrix times the true one.

Ours crops nothing by construction: the stabilized picture is only an intermediate, and the result gets the camera's own
motion back (`pipeline.finish.reshake`), so it keeps the whole frame: its 1.0 is by definition, not measured. vid.stab
with ``optzoom=0`` does not zoom either, but leaves black borders; by default (``optzoom=1``) it zooms until none is
visible.

The exit code is 1 if ours is worse than vid.stab's default algorithm in stability or distortion.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import accumulate, product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.camera import CLIPS, ROOT, Shaken, corner_error_px, shaken_clip
from benchmarks.speed import has_vidstab, measured
from pipeline.datatypes.arrays import Float64Array
from pipeline.maths.robust import cauchy_weights, sigma_of_lengths
from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of
from pipeline.plan.camera_path import smooth_path
from pipeline.runtime.prefetch import usable_cores
from pipeline.settings import StabilizeSettings
from pipeline.survey.camera import CameraEstimator

Luma = NDArray[np.uint8]

_LOW = slice(1, 6)
"""The 2nd to 6th component; the 1st is the mean."""
_FEATURES = 2000
_TRUE = "shaken, true"
_SEEN = "shaken, measured"
_EXACT = "ours, exact"
_OURS = "ours"
_PEER = "vid.stab"
_PEERS = {_PEER: "optzoom=0", "vid.stab optalgo=avg": "optzoom=0:optalgo=avg", "vid.stab optzoom=1": "optzoom=1"}
"""The default algorithm is a Gaussian (``opt`` and ``gauss`` give the same bytes); ``avg`` is a mean, as ours is."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Metrics of one path."""

    stability: float
    """0..1: the minimum over the components."""
    tapered: float
    """The same for the path under a Hann window, without the jump from its end to its start. Not in the paper."""
    distortion: float
    """0..1, the worst frame's; 1 is a similarity."""
    cropping: float
    """Linear fraction of the source that is kept, mean over frames."""
    left_px: float
    """RMS distance of the picture's center from its mean: the ratio alone does not show how much motion is left."""


def path_components(path: Float64Array, size_wh: tuple[int, int]) -> Float64Array:
    """Return (T, 3) of a path (T, 3, 3) ``frame_from_place``: x, y in px of the picture's center, angle in radians."""
    middle = (np.array(size_wh) - 1) / 2
    x, y = (path[:, :2, :2] @ middle + path[:, :2, 2] - middle).T
    angle = np.arctan2(path[:, 1, 0] - path[:, 0, 1], path[:, 0, 0] + path[:, 1, 1])
    return np.column_stack([x, y, np.unwrap(angle)])


def stability(components: Float64Array) -> float:
    """Return the minimum over the columns of (T, C) of the fraction of energy in the lowest frequencies.

    ``sum |F[k]|^2, k = 2..6, / sum |F[k]|^2, k >= 2``, counted from 1 = DC (Liu et al. 2013). No motion at all is 1.
    """
    energy = np.abs(np.fft.rfft(components - components.mean(axis=0), axis=0)) ** 2
    whole = energy[1:].sum(axis=0)
    low = energy[_LOW].sum(axis=0)
    return float(np.divide(low, whole, out=np.ones_like(whole), where=whole > 1e-18).min())


def distortion(stable_from_source: Float64Array) -> float:
    """Return the minimum over frames of the ratio of the affine part's singular values (Liu et al. 2013).

    The paper says eigenvalues; a rotation's are complex, and singular values express the anisotropic scaling meant.
    """
    scales = np.linalg.svd(stable_from_source[:, :2, :2], compute_uv=False)
    return float((scales[:, 1] / scales[:, 0]).min())


def cropping(stable_from_source: Float64Array) -> float:
    """Return the mean over frames of 1 / scale, scale the root of the affine part's determinant (Liu et al. 2013)."""
    return float((1 / np.sqrt(np.linalg.det(stable_from_source[:, :2, :2]))).mean())


def figures_of(
    path: Float64Array, shakes: Float64Array, size_wh: tuple[int, int], *, puts_back: bool = False
) -> Figures:
    """Evaluate a stabilized path (T, 3, 3) ``stable_from_place`` under known ``shakes``, ``source_from_place``.

    ``puts_back`` means that the result gets the source's motion back: it crops nothing.
    """
    stable_from_source = path @ np.linalg.inv(shakes)
    components = path_components(path, size_wh)
    centered = components - components.mean(axis=0)
    return Figures(
        stability(components),
        stability(centered * np.hanning(len(path))[:, None]),
        distortion(stable_from_source),
        1.0 if puts_back else cropping(stable_from_source),
        float(np.sqrt((centered[:, :2] ** 2).sum(axis=1).mean())),
    )


def measured_path(place: Luma, frames: Sequence[Luma]) -> Float64Array:
    """Return (T, 3, 3) ``frame_from_place``: affine, from SIFT matches that are RANSAC inliers within 1 px.

    The fit is by least squares with Cauchy weights (scale 2.385 robust sigmas, Holland and Welsch 1977).
    """
    there, of_place = cv2.SIFT_create(_FEATURES).detectAndCompute(place, None)  # type: ignore[attr-defined]

    def measure(frame: Luma) -> Float64Array:
        here, of_frame = cv2.SIFT_create(_FEATURES).detectAndCompute(frame, None)  # type: ignore[attr-defined]
        # Lowe's ratio test
        pairs = cv2.BFMatcher().knnMatch(of_place, of_frame, k=2)
        good = [best for best, other in pairs if best.distance < 0.75 * other.distance]
        a = np.array([there[one.queryIdx].pt for one in good])
        b = np.array([here[one.trainIdx].pt for one in good])
        affine, inliers = cv2.estimateAffine2D(a, b, ransacReprojThreshold=1.0)
        a, b = np.column_stack([a, np.ones(len(a))])[inliers.ravel() > 0], b[inliers.ravel() > 0]
        for _ in range(8):
            left = np.linalg.norm(a @ affine.T - b, axis=1)
            weight = np.sqrt(cauchy_weights(left, sigma_of_lengths(left)))
            affine = np.linalg.lstsq(a * weight[:, None], b * weight[:, None], rcond=None)[0].T
        return np.vstack([affine, [0, 0, 1]])

    with ThreadPoolExecutor(usable_cores()) as pool:
        return np.stack(list(pool.map(measure, frames)))


def stable_from_source(clip: Shaken, settings: StabilizeSettings) -> Float64Array:
    """Return the transforms by which `pipeline.run` stabilizes the clip, (T, 3, 3)."""
    opened = open_clip(clip.path)
    estimator = CameraEstimator(opened.info, settings)
    for frame in opened.frames():
        one = clip.seen[frame.index]
        estimator.push(luma_of(frame), one.people_mask, one.feet_px, frame.index == 0)
    motion = estimator.finish()
    info = opened.info
    return smooth_path(
        motion, np.zeros(1, np.int64), info.pts_seconds, info.size_wh, settings.window_seconds
    ).stable_from_source


def vidstab_frames(clip: Shaken, work: Path, options: str, radius: int) -> list[Luma]:
    """Return vid.stab's output for a window of ``2 radius + 1`` frames, stored losslessly."""
    found = work / "found.trf"
    out = work / "stable.mp4"
    if not found.exists():
        measured(["ffmpeg", "-y", "-v", "error", "-i", str(clip.path), "-vf", f"vidstabdetect=result={found}",
                  "-f", "null", "-"])  # fmt: skip
    filters = f"vidstabtransform=input={found}:smoothing={radius}:relative=1:crop=black:interpol=bicubic:{options}"
    measured(["ffmpeg", "-y", "-v", "error", "-i", str(clip.path), "-vf", filters,
              "-c:v", "libx264", "-qp", "0", "-preset", "veryfast", str(out)])  # fmt: skip
    return lumas(out)


def lumas(path: Path) -> list[Luma]:
    """Return the clip's frames, (H, W) each."""
    return [np.ascontiguousarray(luma_of(frame)) for frame in open_clip(path).frames()]


def judged(clip: Shaken, work: Path, settings: StabilizeSettings) -> tuple[dict[str, Figures], float]:
    """Return the metrics by method, and the mean measurement error in px at the corners of the shaken clip's frames."""
    shakes = np.stack(list(accumulate(clip.pairs, lambda path, pair: pair @ path)))
    frames = lumas(clip.path)
    info = open_clip(clip.path).info

    def warped(matrices: Float64Array) -> list[Luma]:
        both = zip(frames, matrices, strict=True)
        return [
            np.asarray(cv2.warpPerspective(one, m, info.size_wh, flags=cv2.INTER_CUBIC), np.uint8) for one, m in both
        ]

    place = np.median(warped(np.linalg.inv(shakes)), axis=0).astype(np.uint8)
    stable = stable_from_source(clip, settings)
    seen = measured_path(place, frames)
    paths = {_TRUE: shakes, _SEEN: seen, _EXACT: stable @ shakes, _OURS: measured_path(place, warped(stable))}
    radius = round(settings.window_seconds / float(np.median(np.diff(info.pts_seconds))) / 2)
    for name, options in _PEERS.items() if has_vidstab() else ():
        paths[name] = measured_path(place, vidstab_frames(clip, work, options, radius))
    figures = {
        name: figures_of(path, shakes, info.size_wh, puts_back=name in (_EXACT, _OURS)) for name, path in paths.items()
    }
    return figures, corner_error_px(seen, shakes, info.size_wh)


def pooled(figures: Sequence[Figures]) -> Figures:
    """Return the means over clips and shakes; the worst for distortion."""
    table = np.array([astuple(one) for one in figures])
    stable, tapered, _, kept, left = table.mean(axis=0)
    return Figures(stable, tapered, float(table[:, 2].min()), kept, left)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smoothing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shakes", type=int, default=3, help="random shakes a clip, seeds 0, 1, … (default: 3)")
    arguments = parser.parse_args()
    # Frames run concurrently instead.
    cv2.setNumThreads(1)
    settings = StabilizeSettings()
    every = list[dict[str, Figures]]()
    errors = list[float]()
    head = f"{'stability':>10}{'tapered':>9}{'distortion':>12}{'cropping':>10}{'left px':>9}"
    print(f"{'clip':<10}{'shake':>6}  {'method':<22}{head}")
    for (name, share), seed in product(CLIPS, range(arguments.shakes)):
        with tempfile.TemporaryDirectory(prefix="smoothing-") as temporary:
            work = Path(temporary)
            clip = shaken_clip(ROOT / "weights" / "footage" / name, share, work, seed=seed)
            results, error = judged(clip, work, settings)
        every = [*every, results]
        errors = [*errors, error]
        for method, figures in results.items():
            _print_row(f"{name:<10}{seed:>6}", method, figures)
    means = {method: pooled([results[method] for results in every]) for method in every[0]}
    for method, figures in means.items():
        _print_row(f"{'all':<16}", method, figures)
    # The measurement error on the shaken clip is not a difference between methods.
    doubt = float(np.mean([abs(one[_SEEN].stability - one[_TRUE].stability) for one in every]))
    skew = 1 - means[_SEEN].distortion
    print(f"the measure's error: corners {np.mean(errors):.3f} px, stability {doubt:.4f}, distortion {skew:.5f}")
    if _PEER not in means:
        print("no ffmpeg with vid.stab here: nothing to compare with")
        return 0
    ours = means[_OURS]
    peer = means[_PEER]
    aims = {
        "stability": ours.stability >= peer.stability - doubt,
        "distortion": ours.distortion >= peer.distortion - skew,
    }
    print("; ".join(f"{name} {'at least equal' if good else 'WORSE'}" for name, good in aims.items()))
    return 0 if all(aims.values()) else 1


def _print_row(where: str, method: str, f: Figures) -> None:
    figures = f"{f.stability:>10.3f}{f.tapered:>9.3f}{f.distortion:>12.5f}{f.cropping:>10.3f}{f.left_px:>9.2f}"
    print(f"{where}  {method:<22}{figures}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
