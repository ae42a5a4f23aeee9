"""A person's joints over time: outlier removal, gap filling and smoothing with the camera's motion removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from pipeline.datatypes.arrays import Transforms
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth, smoothstep, true_runs

SIGMA_SECONDS = 1.3 / 30
"""On walk_a 0 / 1 / 1.5 / 2 frames leave a second difference (jitter) of 1.54 / 0.45 / 0.38 / 0.40 % of body height
against the truth, and ankles off by 1.59 / 1.54 / 1.67 / 1.87 %."""
HIDDEN_SIGMA_SECONDS = 3 * SIGMA_SECONDS
"""For joints that are hardly seen."""
GUESSED_CONFIDENCE = (0.1, 0.4)
"""Below the first value a joint is a guess, from the second on it counts as seen."""
LEAST_TRUST = 0.02
DEPTH_SIGMA_SECONDS = 2.5 * SIGMA_SECONDS
OUTLIER_BH = 0.06
"""A joint this far from the median of five frames at 30 fps is an outlier; a fast wrist stays below it."""
OUTLIER_SECONDS = 5 / 30
DEPTH_SHARE = 0.3
"""The model's z makes limbs too long (walk_a: by a third, and unevenly). Lengths from x and y alone vary by 2.5 % along
the walk, with full z by 7.9 %; a fraction of it still helps where a limb points at the camera."""
MIN_TRUSTED, FULLY_TRUSTED = 0.2, 0.95
"""Visible fraction of a person behind others: below the first value landmarks are not trusted at all, above the second
fully."""
MAX_COURSE_SECONDS = 1.0
OUTSIDE_BH = 0.06


def smooth_points(
    points: NDArray[np.float64],
    world_from_source: Transforms,
    pts_seconds: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    confidence: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Smooth points (T, J, 2) of one uninterrupted run of frames, source px.

    Works in ``world``, so that camera shake is neither smeared nor mistaken for motion. Isolated outliers are replaced
    by the median over ``OUTLIER_SECONDS`` first; then a zero-phase Gaussian, wider where ``confidence`` (T, J) is low:
    a hidden joint's guesses jump about, and the surer ones before and after count more.
    """
    world = apply_transform(world_from_source, points)
    step = float(np.median(np.diff(pts_seconds))) if len(pts_seconds) > 1 else 1.0
    window = 2 * max(1, round(OUTLIER_SECONDS / step / 2)) + 1
    if len(world) >= window:
        usual = median_filter(world, size=(window, 1, 1), mode="nearest")
        popped = np.linalg.norm(world - usual, axis=-1) > OUTLIER_BH * body_height_px[:, None]
        world = np.where(popped[..., None], usual, world)
    smooth = gaussian_smooth(world, pts_seconds, SIGMA_SECONDS)
    if confidence is not None:
        trust = np.repeat(np.maximum(confidence, LEAST_TRUST)[..., None], 2, axis=-1)
        slow = gaussian_smooth(world, pts_seconds, HIDDEN_SIGMA_SECONDS, trust)
        low, high = GUESSED_CONFIDENCE
        seen = gaussian_smooth(np.clip((confidence - low) / (high - low), 0, 1), pts_seconds, SIGMA_SECONDS)
        seen = np.clip(seen, 0, 1)[..., None]
        smooth = seen * smooth + (1 - seen) * slow
    return apply_transform(invert(world_from_source), smooth)


def in_picture(
    points: NDArray[np.float64],
    size_wh: tuple[int, int],
    body_height_px: NDArray[np.float64],
    reach_bh: float = OUTSIDE_BH,
) -> NDArray[np.float64]:
    """Return (T, J): 1 for points (T, J, 2) inside the picture, falling to 0 within ``reach_bh`` beyond its edge.

    Points outside are the landmark model's guesses; just outside, they are still supported by what is visible.
    """
    last = np.array(size_wh) - 1
    beyond = np.maximum(np.maximum(-points, points - last), 0).max(axis=-1) / body_height_px[:, None]
    return np.clip(1 - beyond / reach_bh, 0, 1)


def smooth_depth(depth_px: NDArray[np.float64], pts_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth z (T, J) of one run of frames; it is noisier than x and y, hence more."""
    return gaussian_smooth(depth_px, pts_seconds, DEPTH_SIGMA_SECONDS)


def onto_course(
    points: NDArray[np.float64], visible: NDArray[np.float64], pts_seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points (T, J, 2+) in ``world``, translated as a whole where most of the person was occluded by somebody.

    Landmarks of a half-occluded person slide onto the person in front. ``visible`` (T,) 0..1 is 0 where the person was
    not detected. The less is visible, the closer the trunk is moved to a straight line between the frames that show it;
    the pose is kept.
    """
    trust = smoothstep((visible - MIN_TRUSTED) / (FULLY_TRUSTED - MIN_TRUSTED))
    sure = trust >= 1
    moved = points.copy()
    doubtful = (visible > 0) & ~sure
    if not sure.any() or not doubtful.any():
        return moved
    trunk = points[:, [*HIPS, *SHOULDERS], :2].mean(axis=1)
    line = interpolate_run(trunk, sure & np.isfinite(trunk).all(axis=1), pts_seconds)
    for start, stop in true_runs(~sure):
        seconds = pts_seconds[min(stop, len(points) - 1)] - pts_seconds[max(start - 1, 0)]
        # There is no line at an end of the run, and over a long time it is not a likely path.
        if start == 0 or stop == len(points) or seconds > MAX_COURSE_SECONDS:
            continue
        rows = start + np.flatnonzero(doubtful[start:stop])
        moved[rows, :, :2] += ((1 - trust)[rows, None] * (line[rows] - trunk[rows]))[:, None]
    return moved


def interpolate_run(
    values: NDArray[np.float64], known: NDArray[np.bool_], pts_seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill the unknown frames of values (T, ...) by straight lines in time between known ones."""
    shape = (len(values), *(1,) * (values.ndim - 1))
    return fill_gaps(np.where(known.reshape(shape), values, np.nan), pts_seconds)
