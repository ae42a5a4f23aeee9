"""How tall somebody stands in the picture, from the lengths of the bones that are seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.maths.geometry import scale_of
from pipeline.maths.smoothing import fill_gaps, gaussian_smooth
from pipeline.plan.cut_off import HEIGHT_OF_LEG, legs_in_picture
from pipeline.plan.face_height import height_of_face
from pipeline.plan.foreshortened import excess_of_two, is_foreshortened, unfolded

HEIGHT_SECONDS = 1.0
HEIGHT_SIGMA_SECONDS = 0.3
BEYOND_SEEN = 0.1
"""Of a height's logarithm: what a line through heights may give beyond the least and the largest of them."""
HEIGHT_QUANTILE = 0.8
"""Bones are longest when they lie in the image plane; the top fifth is left to noise."""
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
MIN_CONFIDENCE = 0.5
LEAST_ZOOM_STEP = 0.015
"""Of the scale's logarithm, from frame to frame: hand-held cameras stay below 0.005."""


@dataclass(frozen=True, slots=True)
class HeightRatios:
    """One person's standing height relative to what is visible of them."""

    trunk: float
    """Over the length of the trunk."""
    top: float
    """Relative to the estimate from head and shoulders with the usual proportions."""
    whole: float = 1.0
    """Relative to the estimate from trunk and legs with the usual proportions."""
    leg: float = HEIGHT_OF_LEG
    """Over the length of the legs."""
    face: float = 1.0
    """Relative to the estimate from the face with the usual proportions."""


def standing_height(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    pts_seconds: NDArray[np.float64],
    size_wh: tuple[int, int],
    ratios: HeightRatios | None = None,
    corrected: Callable[[NDArray[np.float64], NDArray[np.bool_]], NDArray[np.float64]] | None = None,
    zoom: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the standing height (T,) in px, top of the head to the heels, smooth over time.

    Measured from bone lengths in the picture, so that bending and raised arms do not change it: of trunk and legs where
    they are visible inside the picture, else of the trunk, else of head and shoulders, else of the face, else of the
    legs. ``ratios`` relate them to this person's height (``height_ratios``). Over ``HEIGHT_SECONDS`` an upper quantile
    about a line through the logarithms is taken, so that someone who approaches may grow fast, then a Gaussian. Depth
    is not used: the landmark model's z made the man of walk_a 30 % too tall. ``corrected`` takes the measured heights,
    NaN where unknown, and the frames (T,) in which foreshortening makes them too small, and may change them before they
    are smoothed. The ``sudden_zoom`` (T,) of the frames is not smoothed. NaN rows are frames without the person; the
    result is finite everywhere when any row is.
    """
    ratios = ratios or height_ratios(skeletons, joints, size_wh)
    whole, trunk, leg, top = _heights(skeletons, joints, size_wh)
    whole *= ratios.whole
    height = np.where(np.isfinite(whole), whole, np.where(np.isfinite(trunk), ratios.trunk * trunk, ratios.top * top))
    excess = excess_of_two(height, _witnesses(whole, trunk, leg, top, ratios))
    height = unfolded(height, excess)
    height = np.where(np.isfinite(height), height, ratios.face * height_of_face(skeletons, joints, size_wh))
    height = np.where(np.isfinite(height), height, ratios.whole * HEIGHT_OF_LEG * legs_in_picture(joints, size_wh))
    if not np.isfinite(height).any():
        # Nothing is reliably inside the picture: the model's guess of the trunk is better than nothing.
        height = ratios.trunk * _guessed_trunk(skeletons)
    if not np.isfinite(height).any():
        return np.full(len(height), np.nan)
    if corrected is not None:
        height = corrected(height, is_foreshortened(excess))
    if zoom is not None:
        height /= zoom
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
    steady = np.clip(smooth, np.nanmin(usual) / reach, np.nanmax(usual) * reach)
    return steady if zoom is None else steady * zoom


def sudden_zoom(world_from_source: Transforms) -> NDArray[np.float64]:
    """Return (T,) how far the picture is zoomed, up to a factor, by zooms too quick for a lens or a step: an editor's
    punch on a beat."""
    steps = -np.diff(np.log(scale_of(world_from_source)), prepend=np.nan)
    steps[0] = 0.0
    return np.exp(np.cumsum(np.where(np.abs(steps) > LEAST_ZOOM_STEP, steps, 0.0)))


def height_ratios(
    skeletons: NDArray[np.float32],
    joints: NDArray[np.float32],
    size_wh: tuple[int, int],
    boxes_xyxy: NDArray[np.float64] | None = None,
) -> HeightRatios:
    """Return the ratios of one person's standing height to trunk and legs, to trunk, to head and shoulders, to legs and
    to the face.

    Measured in the frames that show more of the person, the first by the outlines' ``boxes_xyxy`` (T, 4) where the
    person stands upright; the usual proportions where none does.
    """
    whole, trunk, leg, top = _heights(skeletons, joints, size_wh)
    usual = HeightRatios(HEIGHT_OF_TRUNK, 1.0)
    folded = is_foreshortened(excess_of_two(whole, _witnesses(whole, trunk, leg, top, usual)))
    whole[folded] = np.nan
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
    of_leg = HEIGHT_OF_LEG
    if np.count_nonzero(both) >= MIN_RATIO_FRAMES:
        of_trunk = float(np.clip(np.median(whole[both] / trunk[both]), *(HEIGHT_OF_TRUNK * np.array(RATIO_BOUNDS))))
        of_leg = float(np.clip(np.median(whole[both] / leg[both]), *(HEIGHT_OF_LEG * np.array(RATIO_BOUNDS))))
    best = np.where(np.isfinite(whole) | folded, whole, of_trunk * trunk)
    both = np.isfinite(best) & np.isfinite(top)
    of_top = 1.0
    if np.count_nonzero(both) >= MIN_RATIO_FRAMES:
        of_top = float(np.clip(np.median(best[both] / top[both]), *RATIO_BOUNDS))
    best = np.where(np.isfinite(best) | folded, best, of_top * top)
    face = height_of_face(skeletons, joints, size_wh)
    both = np.isfinite(best) & np.isfinite(face)
    of_face = 1.0
    if np.count_nonzero(both) >= MIN_RATIO_FRAMES:
        of_face = float(np.clip(np.median(best[both] / face[both]), *RATIO_BOUNDS))
    return HeightRatios(of_trunk, of_top, of_whole, of_leg, of_face)


def _witnesses(
    whole: NDArray[np.float64],
    trunk: NDArray[np.float64],
    leg: NDArray[np.float64],
    top: NDArray[np.float64],
    ratios: HeightRatios,
) -> NDArray[np.float64]:
    """Return (3, T) the standing height from the trunk, from the legs with their depth, and from head and shoulders.

    Without legs, head and shoulders count twice: nothing else tells a foreshortened trunk.
    """
    of_top = ratios.top * top
    return np.stack([ratios.trunk * trunk, np.where(np.isfinite(whole), ratios.leg * leg, of_top), of_top])


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
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return four (T,) px, NaN where not visible inside the picture: standing height from trunk and legs, length of
    the trunk, length of the legs with their depth, standing height from head and shoulders."""
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
    deep_legs = []
    for side in ("left", "right"):
        leg = length(f"{side}_hip", f"{side}_knee") + length(f"{side}_knee", f"{side}_ankle")
        bones = skeletons[:, [JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")]].astype(np.float64)
        seen = is_seen(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        sides.append(np.where(seen, HEIGHT_OF_TRUNK_AND_LEG * (trunk + leg), np.nan))
        deep_legs.append(np.where(seen, np.linalg.norm(np.diff(bones, axis=1), axis=-1).sum(axis=1), np.nan))
    whole, deep_leg = (_mean_of_known(np.stack(values)) for values in (sides, deep_legs))
    eyes = xy[:, [JOINT["left_eye"], JOINT["right_eye"]]].mean(axis=1)
    neck = np.linalg.norm(eyes - xy[:, SHOULDERS].mean(axis=1), axis=1)
    # Shoulders look narrow in profile and the neck looks short when bowed: take the larger of both.
    top = np.maximum(HEIGHT_OF_NECK * neck, HEIGHT_OF_SHOULDERS * length("left_shoulder", "right_shoulder"))
    has_top = is_seen("left_shoulder", "right_shoulder", "left_eye", "right_eye") & (top > SHORTEST_PX)
    return whole, trunk, deep_leg, np.where(has_top, top, np.nan)


def _mean_of_known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis without NaN; NaN where all are."""
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)


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
