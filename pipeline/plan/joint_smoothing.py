"""A person's joints over time: outliers out, gaps filled, noise smoothed away with the camera's motion removed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from pipeline.datatypes import Transforms
from pipeline.joints import JOINT
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth

SIGMA_SECONDS = 1.3 / 30
"""On walk_a 0 / 1 / 1.5 / 2 frames leave a second difference of 1.54 / 0.45 / 0.38 / 0.40 % of body height against the
truth, and ankles off by 1.59 / 1.54 / 1.67 / 1.87 %."""
DEPTH_SIGMA_SECONDS = 2.5 * SIGMA_SECONDS
OUTLIER_BH = 0.06
"""A joint this far from the median of five frames of 30 fps has popped: a fast wrist stays below it."""
OUTLIER_SECONDS = 5 / 30
HEIGHT_SECONDS = 1.0
HEIGHT_SIGMA_SECONDS = 0.3
HEIGHT_QUANTILE = 0.8
"""Bones are longest in the picture when they lie in its plane; the last fifth is left to noise."""
DEPTH_SHARE = 0.3
"""The model's z makes limbs too long (walk_a: by a third, and unevenly). Lengths from x and y alone vary by 2.5 % along
the walk, with all of z by 7.9 %; a share of it still helps where a limb points at the camera."""
HEIGHT_OF_TRUNK_AND_LEG = 1.32
"""Standing height over shoulders-to-hips + hip-to-knee + knee-to-ankle, on walk_a."""
HEIGHT_OF_TRUNK = 3.3
"""The same over shoulders-to-hips alone, where no leg is seen."""
MIN_CONFIDENCE = 0.5


def smooth_points(
    points: NDArray[np.float64],
    world_from_source: Transforms,
    pts_seconds: NDArray[np.float64],
    body_height_px: NDArray[np.float64],
    sigma_seconds: float = SIGMA_SECONDS,
) -> NDArray[np.float64]:
    """Smooth points (T, J, 2) of one uninterrupted run of frames, source px.

    Works in ``world``, so that the camera's shake is neither smeared nor taken for motion. Isolated pops are replaced
    by the median over ``OUTLIER_SECONDS`` first; then a zero-phase Gaussian.
    """
    world = apply_transform(world_from_source, points)
    step = float(np.median(np.diff(pts_seconds))) if len(pts_seconds) > 1 else 1.0
    window = 2 * max(1, round(OUTLIER_SECONDS / step / 2)) + 1
    if len(world) >= window:
        usual = median_filter(world, size=(window, 1, 1), mode="nearest")
        popped = np.linalg.norm(world - usual, axis=-1) > OUTLIER_BH * body_height_px[:, None]
        world = np.where(popped[..., None], usual, world)
    world = gaussian_smooth(world, pts_seconds, sigma_seconds)
    return apply_transform(invert(world_from_source), world)


def smooth_depth(depth_px: NDArray[np.float64], pts_seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth z (T, J) of one run of frames; it is noisier than x and y, hence more."""
    return gaussian_smooth(depth_px, pts_seconds, DEPTH_SIGMA_SECONDS)


def interpolate_run(
    values: NDArray[np.float64], known: NDArray[np.bool_], pts_seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fill the unknown frames of values (T, ...) by straight lines in time between known ones."""
    shape = (len(values), *(1,) * (values.ndim - 1))
    return fill_gaps(np.where(known.reshape(shape), values, np.nan), pts_seconds)


def standing_height(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
) -> NDArray[np.float64]:
    """Return the standing height (T,) in px, top of the head to the heels, smooth over time.

    From bone lengths in the picture, so that bending and raised arms do not change it: a running upper quantile over
    ``HEIGHT_SECONDS`` of the frames in which the bones are seen inside the picture, then a Gaussian. Depth is left
    out: the landmark model's z made walk_a's man 30 % too tall. NaN rows are frames without the person; the result
    is finite everywhere when any row is.
    """
    xyz = skeletons[..., :2].astype(np.float64)

    def length(a: str, b: str) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(xyz[:, JOINT[a]] - xyz[:, JOINT[b]], axis=1))

    def is_seen(*names: str) -> NDArray[np.bool_]:
        rows = joints[:, [JOINT[name] for name in names]]
        inside = (rows[..., :2] >= 0).all(axis=-1) & (rows[..., :2] <= np.array(size_wh) - 1).all(axis=-1)
        return np.asarray((inside & (rows[..., 2] >= MIN_CONFIDENCE)).all(axis=1))

    middle = xyz[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]].mean(axis=1)
    hips = xyz[:, [JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=1)
    trunk = np.linalg.norm(middle - hips, axis=1)
    sides = []
    for side in ("left", "right"):
        leg = length(f"{side}_hip", f"{side}_knee") + length(f"{side}_knee", f"{side}_ankle")
        seen = is_seen(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        sides.append(np.where(seen, HEIGHT_OF_TRUNK_AND_LEG * (trunk + leg), np.nan))
    trunk_seen = is_seen("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    both = np.stack(sides)
    count = np.isfinite(both).sum(axis=0)
    height = np.where(count > 0, np.nansum(both, axis=0) / np.maximum(count, 1), np.nan)
    height = np.where(trunk_seen, height, np.nan)
    if not np.isfinite(height).any():
        height = np.where(trunk_seen, HEIGHT_OF_TRUNK * trunk, np.nan)
    if not np.isfinite(height).any():
        height = HEIGHT_OF_TRUNK * trunk
    if not np.isfinite(height).any():
        return np.full(len(height), np.nan)
    usual = np.full(len(height), np.nan)
    for i, now in enumerate(pts_seconds):
        near = height[np.abs(pts_seconds - now) <= HEIGHT_SECONDS / 2]
        near = near[np.isfinite(near)]
        if len(near):
            usual[i] = np.quantile(near, HEIGHT_QUANTILE)
    return gaussian_smooth(fill_gaps(usual, pts_seconds), pts_seconds, HEIGHT_SIGMA_SECONDS)
