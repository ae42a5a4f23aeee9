"""A person's joints over time: outlier removal, gap filling and smoothing with the camera's motion removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from pipeline.datatypes.arrays import Transforms
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth, smoothstep, true_runs
from pipeline.plan.cut_off import HEIGHT_OF_LEG, legs_in_picture

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
HEIGHT_SECONDS = 1.0
HEIGHT_SIGMA_SECONDS = 0.3
BEYOND_SEEN = 0.1
"""Of a height's logarithm: what a line through heights may give beyond the least and the largest of them."""
HEIGHT_QUANTILE = 0.8
"""Bones are longest when they lie in the image plane; the top fifth is left to noise."""
DEPTH_SHARE = 0.3
"""The model's z makes limbs too long (walk_a: by a third, and unevenly). Lengths from x and y alone vary by 2.5 % along
the walk, with full z by 7.9 %; a fraction of it still helps where a limb points at the camera."""
HEIGHT_OF_TRUNK_AND_LEG = 1.32
"""Standing height over shoulders-to-hips + hip-to-knee + knee-to-ankle, on walk_a."""
HEIGHT_OF_OUTLINE = 1 / 1.045
"""Standing height over the height of the outline, hair and shoes included, of who stands upright on walk_a: the feet,
nearer to the camera than the rest, lie a little lower in the picture."""
OUTLINE_BOUNDS = (0.94, 1.06)
"""Of what the outline may change: beyond it, the mask has something else in it."""
CROWN_ABOVE_EYES = 0.08
"""Standing heights, hair included; a mask that reaches higher has background in it, or a hand."""
STRAIGHT = 0.985
"""Distance from hip to ankle over thigh and shin, from which a leg counts as straight."""
UPRIGHT = 0.15
"""Sine of the lean up to which a trunk counts as upright."""
HEIGHT_OF_TRUNK = 3.3
"""The same over shoulders-to-hips alone, where no leg is visible."""
HEIGHT_OF_NECK, HEIGHT_OF_SHOULDERS = 7.6, 4.9
"""The same over eyes-to-shoulders and over the shoulders' width, on walk_a."""
MIN_RATIO_FRAMES = 5
SHORTEST_PX = 1.0
"""Shorter lengths count as zero."""
RATIO_BOUNDS = (0.75, 1.35)
"""Nobody deviates further from the usual proportions."""
MIN_TRUSTED, FULLY_TRUSTED = 0.2, 0.95
"""Visible fraction of a person behind others: below the first value landmarks are not trusted at all, above the second
fully."""
MAX_COURSE_SECONDS = 1.0
MIN_CONFIDENCE = 0.5
OUTSIDE_BH = 0.06


@dataclass(frozen=True, slots=True)
class HeightRatios:
    """One person's standing height relative to what is visible of them."""

    trunk: float
    """Over the length of the trunk."""
    top: float
    """Relative to the estimate from head and shoulders with the usual proportions."""
    whole: float = 1.0
    """Relative to the estimate from trunk and legs with the usual proportions."""


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


def standing_height(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
    ratios: HeightRatios | None = None,
    corrected: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> NDArray[np.float64]:
    """Return the standing height (T,) in px, top of the head to the heels, smooth over time.

    Measured from bone lengths in the picture, so that bending and raised arms do not change it: of trunk and legs where
    they are visible inside the picture, else of the trunk, else of head and shoulders, else of the legs. ``ratios``
    relate them to this person's height (``height_ratios``). Over ``HEIGHT_SECONDS`` an upper quantile about a line
    through the logarithms is taken, so that someone who approaches may grow fast, then a Gaussian. Depth is not used:
    the landmark model's z made the man of walk_a 30 % too tall. ``corrected`` may change the measured heights, NaN
    where unknown, before they are smoothed. NaN rows are frames without the person; the result is finite everywhere
    when any row is.
    """
    ratios = ratios or height_ratios(skeletons, joints, size_wh)
    whole, trunk, top = _heights(skeletons, joints, size_wh)
    whole *= ratios.whole
    height = np.where(np.isfinite(whole), whole, np.where(np.isfinite(trunk), ratios.trunk * trunk, ratios.top * top))
    height = np.where(np.isfinite(height), height, ratios.whole * HEIGHT_OF_LEG * legs_in_picture(joints, size_wh))
    if not np.isfinite(height).any():
        # Nothing is reliably inside the picture: the model's guess of the trunk is better than nothing.
        height = ratios.trunk * _guessed_trunk(skeletons)
    if not np.isfinite(height).any():
        return np.full(len(height), np.nan)
    if corrected is not None:
        height = corrected(height)
    usual = np.full(len(height), np.nan)
    logs = np.log(np.maximum(height, 1.0))
    first = np.searchsorted(pts_seconds, pts_seconds - HEIGHT_SECONDS / 2 - 1e-9)
    last = np.searchsorted(pts_seconds, pts_seconds + HEIGHT_SECONDS / 2 + 1e-9, side="right")
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        t = pts_seconds[a:b] - pts_seconds[i]
        near = logs[a:b]
        known = np.isfinite(near)
        if known.any():
            line = _upper_line(t[known], near[known])
            usual[i] = np.exp(np.clip(line, near[known].min() - BEYOND_SEEN, near[known].max() + BEYOND_SEEN))
    smooth = gaussian_smooth(fill_gaps(usual, pts_seconds), pts_seconds, HEIGHT_SIGMA_SECONDS)
    # A few frames of somebody cut off, each of another height, carry no line that may be prolonged.
    reach = np.exp(BEYOND_SEEN)
    return np.clip(smooth, np.nanmin(usual) / reach, np.nanmax(usual) * reach)


def height_ratios(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    size_wh: tuple[int, int],
    boxes_xyxy: NDArray[np.float64] | None = None,
) -> HeightRatios:
    """Return the ratios of one person's standing height to trunk and legs, to trunk, and to head and shoulders.

    Measured in the frames that show more of the person, the first by the outlines' ``boxes_xyxy`` (T, 4) where the
    person stands upright; the usual proportions where none does.
    """
    whole, trunk, top = _heights(skeletons, joints, size_wh)
    of_whole = 1.0
    if boxes_xyxy is not None:
        outline = _upright_outline(skeletons, joints, size_wh, boxes_xyxy, whole)
        upright = np.isfinite(outline)
        if np.count_nonzero(upright) >= MIN_RATIO_FRAMES:
            ratio = np.median(HEIGHT_OF_OUTLINE * outline[upright] / whole[upright])
            of_whole = float(np.clip(ratio, *OUTLINE_BOUNDS))
    whole = of_whole * whole
    both = np.isfinite(whole) & np.isfinite(trunk)
    of_trunk = HEIGHT_OF_TRUNK
    if np.count_nonzero(both) >= MIN_RATIO_FRAMES:
        of_trunk = float(np.clip(np.median(whole[both] / trunk[both]), *(HEIGHT_OF_TRUNK * np.array(RATIO_BOUNDS))))
    best = np.where(np.isfinite(whole), whole, of_trunk * trunk)
    both = np.isfinite(best) & np.isfinite(top)
    of_top = 1.0
    if np.count_nonzero(both) >= MIN_RATIO_FRAMES:
        of_top = float(np.clip(np.median(best[both] / top[both]), *RATIO_BOUNDS))
    return HeightRatios(of_trunk, of_top, of_whole)


def _upright_outline(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    size_wh: tuple[int, int],
    boxes_xyxy: NDArray[np.float64],
    whole: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the outline's height (T,) px where the person stands upright and whole in the picture, else NaN."""
    xy = skeletons[..., :2].astype(np.float64)
    shoulders = xy[:, SHOULDERS].mean(axis=1)
    trunk = xy[:, HIPS].mean(axis=1) - shoulders
    upright = (trunk[:, 1] > 0) & (np.abs(trunk[:, 0]) < UPRIGHT * trunk[:, 1])
    for side in ("left", "right"):
        hip, knee, ankle = (xy[:, JOINT[f"{side}_{part}"]] for part in ("hip", "knee", "ankle"))
        bones = np.linalg.norm(knee - hip, axis=1) + np.linalg.norm(ankle - knee, axis=1)
        upright &= np.linalg.norm(ankle - hip, axis=1) > STRAIGHT * bones
        upright &= joints[:, JOINT[f"{side}_ankle"], 2] >= MIN_CONFIDENCE
        # A raised arm would be taken for the head.
        upright &= xy[:, JOINT[f"{side}_wrist"], 1] > shoulders[:, 1]
    upright &= (boxes_xyxy[:, 1] > SHORTEST_PX) & (boxes_xyxy[:, 3] < size_wh[1] - SHORTEST_PX)
    eyes = xy[:, [JOINT["left_eye"], JOINT["right_eye"]], 1].mean(axis=1)
    crown = np.maximum(boxes_xyxy[:, 1], eyes - CROWN_ABOVE_EYES * whole)
    return np.where(upright & np.isfinite(whole), boxes_xyxy[:, 3] - crown, np.nan)


def _heights(
    skeletons: NDArray[np.float32], joints: NDArray[np.float32], size_wh: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return three (T,) px, NaN where not visible inside the picture: standing height from trunk and legs, length of
    the trunk, standing height from head and shoulders."""
    xy = skeletons[..., :2].astype(np.float64)

    def length(a: str, b: str) -> NDArray[np.float64]:
        return np.linalg.norm(xy[:, JOINT[a]] - xy[:, JOINT[b]], axis=1)

    def is_seen(*names: str) -> NDArray[np.bool_]:
        rows = joints[:, [JOINT[name] for name in names]]
        inside = (rows[..., :2] >= 0).all(axis=-1) & (rows[..., :2] <= np.array(size_wh) - 1).all(axis=-1)
        return np.logical_and.reduce(inside & (rows[..., 2] >= MIN_CONFIDENCE), axis=1)

    trunk = _guessed_trunk(skeletons)
    trunk = np.where(
        is_seen("left_shoulder", "right_shoulder", "left_hip", "right_hip") & (trunk > SHORTEST_PX), trunk, np.nan
    )
    sides = []
    for side in ("left", "right"):
        leg = length(f"{side}_hip", f"{side}_knee") + length(f"{side}_knee", f"{side}_ankle")
        seen = is_seen(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        sides.append(np.where(seen, HEIGHT_OF_TRUNK_AND_LEG * (trunk + leg), np.nan))
    both = np.stack(sides)
    count = np.isfinite(both).sum(axis=0)
    whole = np.where(count > 0, np.nansum(both, axis=0) / np.maximum(count, 1), np.nan)
    eyes = xy[:, [JOINT["left_eye"], JOINT["right_eye"]]].mean(axis=1)
    neck = np.linalg.norm(eyes - xy[:, SHOULDERS].mean(axis=1), axis=1)
    # Shoulders look narrow in profile and the neck looks short when bowed: take the larger of both.
    top = np.maximum(HEIGHT_OF_NECK * neck, HEIGHT_OF_SHOULDERS * length("left_shoulder", "right_shoulder"))
    has_top = is_seen("left_shoulder", "right_shoulder", "left_eye", "right_eye") & (top > SHORTEST_PX)
    return whole, trunk, np.where(has_top, top, np.nan)


def _guessed_trunk(skeletons: NDArray[np.float32]) -> NDArray[np.float64]:
    xy = skeletons[..., :2].astype(np.float64)
    return np.linalg.norm(xy[:, SHOULDERS].mean(axis=1) - xy[:, HIPS].mean(axis=1), axis=1)


def _upper_line(t: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the upper quantile of values about a line through them, at t = 0."""
    if len(t) < 3:
        return float(np.quantile(values, HEIGHT_QUANTILE))
    centered = t - t.mean()
    slope = float(centered @ values) / max(float(centered @ centered), 1e-12)
    return float(np.quantile(values - slope * t, HEIGHT_QUANTILE))
