"""Formulas of the quality metrics."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Plane
from pipeline.datatypes.clip import Frame
from pipeline.joints import JOINT
from pipeline.media.pixels import coded_from_upright

LOSSLESS_DB = 100.0
"""Replaces the infinite PSNR of an identical picture, so that the mean stays finite."""


def count_changed_outside(source: Frame, result: Frame, region: Mask) -> int:
    """Count the samples of all planes that differ outside ``region`` (upright); a subsampled chroma sample is
    outside when none of its pixels is inside."""
    coded = coded_from_upright(region, source.info)
    covers: dict[tuple[int, ...], Mask] = {}
    changed = 0
    for before, after in zip(source.planes, result.planes, strict=True):
        if before.shape not in covers:
            covers[before.shape] = cover_of(coded, before, source.info.chroma_log2_wh)
        changed += int(np.count_nonzero((before != after) & ~covers[before.shape]))
    return changed


def cover_of(region: Mask, plane: Plane, chroma_log2_wh: tuple[int, int]) -> Mask:
    """Return which samples of ``plane`` touch ``region`` (both as coded)."""
    if plane.shape == region.shape:
        return region
    step_x, step_y = 1 << chroma_log2_wh[0], 1 << chroma_log2_wh[1]
    cover = np.zeros(plane.shape, np.bool_)
    # one strided pass per position in the block: an `any` over the blocks' axes takes ten times as long
    for dy in range(step_y):
        for dx in range(step_x):
            part = region[dy::step_y, dx::step_x]
            cover[: part.shape[0], : part.shape[1]] |= part
    return cover


def psnr_outside(source: Frame, luma: Plane, region: Mask) -> float:
    """Return the PSNR (dB) of a written frame's first plane outside the edit region, upright (H, W).

    Identical frames count as 100 dB.
    """
    outside = ~coded_from_upright(region, source.info)
    error = source.planes[0].astype(np.float32) - luma.astype(np.float32)
    mean_square = float(np.mean(error[outside] ** 2)) if outside.any() else 0.0
    peak = float((1 << source.info.bit_depth) - 1)
    return float(min(LOSSLESS_DB, 10 * np.log10(peak**2 / max(mean_square, 1e-12))))


def warping_error(earlier: Picture, later: Picture, region: Mask, flow: cv2.DISOpticalFlow) -> float:
    """Return the temporal warping error of one frame pair inside ``region``, NaN where no pixel is left to compare.

    Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018: the mean squared difference (RGB in 0..1)
    between a frame and the next one warped onto it by the flow, over pixels that are not occluded. Occlusions by the
    forward-backward and motion-boundary tests of Ruder et al. 2016. The flow is DIS on the pictures themselves.
    """
    gray = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (earlier, later)]
    forward = flow.calc(gray[0], gray[1], None)
    backward = flow.calc(gray[1], gray[0], None)
    rows, columns = np.mgrid[0 : earlier.shape[0], 0 : earlier.shape[1]].astype(np.float32)
    at = (columns + forward[..., 0], rows + forward[..., 1])
    back = cv2.remap(backward, *at, cv2.INTER_LINEAR)
    inside = (at[0] >= 0) & (at[0] <= columns[0, -1]) & (at[1] >= 0) & (at[1] <= rows[-1, 0])
    square = _squares(forward)
    gap = _squares(forward + back)
    agree = gap <= 0.01 * (square + _squares(back)) + 0.5
    bend = sum(np.square(part) for axis in (0, 1) for part in np.gradient(forward[..., axis]))
    smooth = bend <= 0.01 * square + 0.002
    valid = region & inside & agree & smooth
    if not valid.any():
        return float("nan")
    warped = cv2.remap(later, *at, cv2.INTER_LINEAR)
    error = (earlier[valid].astype(np.float32) - warped[valid].astype(np.float32)) / 255
    return float(np.mean(error**2)) * error.shape[1]


def _squares(flow: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the squared lengths (h, w) of vectors (h, w, 2)."""
    return flow[..., 0] ** 2 + flow[..., 1] ** 2


def foot_slide_bh(
    placed_joints: NDArray[np.floating],
    anchors: NDArray[np.float64],
    plant_id: NDArray[np.int64],
    body_height_px: NDArray[np.float64],
    shot_starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (T, 2): distance of each planted ankle from its mean position on the ground during the contact, NaN in the
    air.

    The ground's motion is removed with the anchors; a constant offset between new and original foot is not sliding.
    """
    slide = np.full(plant_id.shape, np.nan)
    shots = np.searchsorted(shot_starts, np.arange(len(plant_id)), side="right")
    for foot, joint in enumerate((JOINT["left_ankle"], JOINT["right_ankle"])):
        offset = (np.asarray(placed_joints[:, joint, :2], np.float64) - anchors[:, foot]) / body_height_px[:, None]
        known = (plant_id[:, foot] >= 0) & np.isfinite(offset).all(axis=-1)
        for shot, plant in {(int(s), int(p)) for s, p in zip(shots[known], plant_id[known, foot], strict=True)}:
            rows = known & (plant_id[:, foot] == plant) & (shots == shot)
            slide[rows, foot] = np.linalg.norm(offset[rows] - offset[rows].mean(axis=0), axis=-1)
    return slide


def second_difference_bh(
    points: NDArray[np.float64], body_height_px: NDArray[np.float64], shot_starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (T, J): length of the second difference of ``points`` (T, J, 2) px in body heights, placed at its middle
    frame; NaN where one of the three is unknown or a cut lies between them."""
    jitter = np.full(points.shape[:2], np.nan)
    if len(points) >= 3:
        bend = points[:-2] - 2 * points[1:-1] + points[2:]
        jitter[1:-1] = np.linalg.norm(bend, axis=-1) / body_height_px[1:-1, None]
        for start in shot_starts[shot_starts > 0]:
            jitter[max(start - 1, 0) : start + 1] = np.nan
    return jitter
