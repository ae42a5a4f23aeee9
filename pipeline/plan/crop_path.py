"""The generator's virtual camera: it follows the subject, slowly and without jerks, inside the stabilized picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import CameraPath, CropPath, Presence, Subject
from pipeline.maths.boxes import box_corners, box_of_points, box_union
from pipeline.maths.geometry import apply_transform, corners_of, scaling
from pipeline.maths.smoothing import envelope_above, fill_gaps, gaussian_smooth, shot_slices

_MARGIN_BH = 0.2
"""Margin around the person in body heights, for other proportions, hair and a soft shadow."""
_OUTSIDE_SHARE = 0.15
"""Farthest that the crop may extend beyond the picture, as a fraction of its height."""
_NARROWEST = 2 / 3
_WIDEST = 16 / 9
_FOLLOW_SIGMA_SECONDS = 0.4
_ZOOM_REACH_SECONDS = 1.0
_FOCAL = 0.95
"""Focal length over the picture's longer side: phones film with .75 to .9, cameras usually with more."""
_GRID_PX = 64
"""Diffusion models need multiples of 64."""
_EMPTY_SHARE = 0.5
"""Crop height in a shot without the subject, as a fraction of the picture's."""


def plan_crop_path(
    subject: Subject,
    camera: CameraPath,
    shot_starts: NDArray[np.int64],
    info: VideoInfo,
    size_wh: tuple[int, int] | None,
    max_height_px: int,
    body_scale: float = 1.0,
) -> CropPath:
    """Plan a crop that contains the whole person, with a margin, in every frame in which the subject is present.

    Works in ``stable`` with square pixels. Box and joints (also those outside the picture) are covered. The center is
    smoothed by a zero-phase filter; the height is a smooth upper envelope of what is needed, so it changes slowly and
    the person never leaves the crop. Absent frames are interpolated linearly and held at a shot's ends; shots are
    independent. The whole clip has one size: ``size_wh`` where the generator fixes it, else about the source's
    resolution where the subject is largest, a multiple of 64, at most ``max_height_px`` high, portrait 2:3 or as wide
    as the poses require.

    ``crop_from_stable`` (T, 3, 3) are similarities times the pixel aspect.
    """
    # Heights stay the source's. In a picture rotated upright by 90 degrees the coded width runs downwards.
    pixel_aspect = float(info.sample_aspect_ratio)
    square_from_source = scaling(1 / pixel_aspect if info.quarter_turns % 2 else pixel_aspect, 1.0)
    needed = _needed_boxes(subject, camera, square_from_source, info.size_wh, body_scale)
    seconds = info.pts_seconds
    width, height = apply_transform(square_from_source, np.array(info.size_wh, np.float64))
    centers = np.tile(np.array([width - 1, height - 1]) / 2, (len(needed), 1))
    halves = np.tile([np.nan, np.nan], (len(needed), 1))
    shots = [shot for shot in shot_slices(shot_starts, len(needed)) if np.isfinite(needed[shot, 0]).any()]
    for shot in shots:
        boxes = fill_gaps(needed[shot], seconds[shot])
        middle = gaussian_smooth((boxes[:, :2] + boxes[:, 2:]) / 2, seconds[shot], _FOLLOW_SIGMA_SECONDS)
        centers[shot] = middle
        halves[shot] = np.maximum(middle - boxes[:, :2], boxes[:, 2:] - middle)

    aspect = _aspect(halves) if size_wh is None else size_wh[0] / size_wh[1]
    half_heights = np.full(len(needed), _EMPTY_SHARE * height / 2)
    for shot in shots:
        wanted = np.log(np.maximum(halves[shot, 1], halves[shot, 0] / aspect))
        half_heights[shot] = np.exp(envelope_above(wanted, seconds[shot], _ZOOM_REACH_SECONDS))
    if size_wh is None:
        largest = max((half_heights[shot].max() for shot in shots), default=half_heights.max())
        size_wh = _size(2 * float(largest), aspect, max_height_px)
        # Rounding to the grid may have made the crop narrower than the requested aspect.
        half_heights *= max(1.0, aspect * size_wh[1] / size_wh[0])

    zoom = size_wh[1] / (2 * half_heights)
    crop_from_square = np.tile(np.eye(3), (len(needed), 1, 1))
    crop_from_square[:, 0, 0] = crop_from_square[:, 1, 1] = zoom
    crop_from_square[:, :2, 2] = (np.array(size_wh) - 1) / 2 - zoom[:, None] * centers
    crop_from_stable = np.asarray(crop_from_square @ square_from_source, np.float64)
    return CropPath(crop_from_stable, size_wh, _FOCAL * max(width, height))


def _needed_boxes(
    subject: Subject,
    camera: CameraPath,
    square_from_source: NDArray[np.float64],
    size_wh: tuple[int, int],
    body_scale: float,
) -> NDArray[np.float64]:
    """Return (T, 4) boxes that the crop must contain, stable space with square pixels; NaN where absent.

    Including legs far outside the picture would only make the visible part of the person small.
    """
    square_from_shaken = square_from_source @ camera.stable_from_source
    joints = apply_transform(square_from_shaken, subject.joints[:, :, :2])
    corners = apply_transform(square_from_shaken, box_corners(subject.boxes_xyxy))
    boxes = box_union(box_of_points(joints), box_of_points(corners))
    boxes[subject.presence == Presence.ABSENT] = np.nan
    # A partly visible body has no full box; its body height, which is the same on entry as later, is used instead.
    body = np.where(np.isfinite(subject.body_height_px), subject.body_height_px, boxes[:, 3] - boxes[:, 1])
    margin = _MARGIN_BH * body[:, None]
    # Who is taller than the subject stands on the same ground, and reaches as much farther to the sides.
    taller = max(body_scale - 1, 0.0)
    half_width = (boxes[:, 2] - boxes[:, 0]) / 2
    boxes += taller * np.stack([-half_width, -body, half_width, np.zeros(len(body))], axis=1)
    picture = box_of_points(apply_transform(square_from_shaken, np.tile(corners_of(size_wh), (len(boxes), 1, 1))))
    outside = _OUTSIDE_SHARE * (picture[:, 3:] - picture[:, 1:2])
    lowest = np.clip(boxes[:, :2] - margin, picture[:, :2] - outside, picture[:, 2:] + outside)
    highest = np.clip(boxes[:, 2:] + margin, picture[:, :2] - outside, picture[:, 2:] + outside)
    return np.concatenate([lowest, highest], axis=1)


def _aspect(halves: NDArray[np.float64]) -> float:
    """Return width over height: nine out of ten frames fit without zooming out for their width."""
    ratios = halves[:, 0] / halves[:, 1]
    ratios = ratios[np.isfinite(ratios)]
    return float(np.clip(np.percentile(ratios, 90), _NARROWEST, _WIDEST)) if len(ratios) else _NARROWEST


def _size(height_px: float, aspect: float, max_height_px: int) -> tuple[int, int]:
    highest = max(_GRID_PX, max_height_px // _GRID_PX * _GRID_PX)
    height = int(np.clip(round(height_px / _GRID_PX) * _GRID_PX, 2 * _GRID_PX, max(highest, 2 * _GRID_PX)))
    width = max(2 * _GRID_PX, int(np.ceil(aspect * height / _GRID_PX - 0.25)) * _GRID_PX)
    return width, height
