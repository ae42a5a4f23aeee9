"""The quality figures of a job, measured while its frames go by.

They are measured on what the job itself knows; ``benchmarks.truth`` judges the same promises by ground truth. Areas and
lengths are in upright source pixels or in per cent of the subject's standing height in that frame.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from itertools import count
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import JOINT, Frame, Mask, Matte, Person, Picture, Plan, Plane, Presence, VideoInfo

Figures = dict[str, float | int | None]

_FLOW_EVERY = 4
"""Frames between two flow measurements: four DIS flows take about 30 ms, of which a quarter a frame is affordable."""
_FLOW_SIDE_PX = 256
_LOSSLESS_DB = 100.0
"""Stands for the infinite PSNR of an equal picture, so that a mean stays a number."""
_TORSO_AND_LEGS = (
    ("left_shoulder", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_shoulder", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)


class FrameSource(Protocol):
    """A clip as far as ``psnr_outside`` needs it."""

    def frames(self) -> Iterable[Frame]: ...


class QualityMeter:
    """Gather the ``quality`` figures from the frames of FINISH; holds two small pictures and a few numbers a frame."""

    def __init__(self, info: VideoInfo, plan: Plan) -> None:
        self._info = info
        self._plan = plan
        self._cuts = {int(start) for start in plan.shot_starts}
        # Packed: a list of numbers takes four times as much for each frame.
        self._rows: dict[str, array[float]] = {
            name: array("d")
            for name in (
                "frame",
                "changed_outside",
                "region_px",
                "person_px",
                "old_px",
                "source_left_px",
                "seam_source",
                "seam_result",
                "warping_error_source",
                "warping_error_result",
            )
        }
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._earlier: _Patch | None = None
        self._late: dict[str, NDArray[np.float64]] = {}

    def push(
        self,
        frame_index: int,
        source: Frame,
        result: Frame,
        source_weight: Matte,
        region: Mask,
        old: Mask,
        layer_alpha: Matte,
        source_rgb: Picture,
        result_rgb: Picture,
    ) -> None:
        """Take in one composed frame, before encoding; frames rise by one (gaps only cost flow pairs).

        Planes are as coded, everything else is upright ``(H, W)``; ``source_weight`` is 1 where the source is kept,
        ``region`` covers every pixel that may have changed. A frame that passed untouched may be pushed or not.
        """
        seam_source, seam_result = _seam_gradients(region, source_rgb, result_rgb)
        row = {
            "frame": float(frame_index),
            "changed_outside": float(count_changed_outside(source, result, region)),
            "region_px": float(np.count_nonzero(region)),
            "person_px": float(np.count_nonzero(old | (layer_alpha > 0))),
            "old_px": float(np.count_nonzero(old)),
            "source_left_px": float(source_weight[old].sum(dtype=np.float64)),
            "seam_source": seam_source,
            "seam_result": seam_result,
            "warping_error_source": np.nan,
            "warping_error_result": np.nan,
        }
        earlier, self._earlier = self._earlier, None
        if earlier is not None and frame_index == earlier.frame + 1 and frame_index not in self._cuts:
            patch = _Patch(frame_index, earlier.box_xyxy, region, source_rgb, result_rgb)
            both = earlier.region | patch.region
            row["warping_error_source"] = warping_error(earlier.source, patch.source, both, self._flow)
            row["warping_error_result"] = warping_error(earlier.result, patch.result, both, self._flow)
        elif frame_index % _FLOW_EVERY == 0 and region.any():
            self._earlier = _Patch(frame_index, _padded_box(region), region, source_rgb, result_rgb)
        for name, value in row.items():
            self._rows[name].append(value)

    def finish(
        self,
        placed_unlocked: NDArray[np.floating],
        placed: NDArray[np.floating],
        reference_person: Person | None = None,
    ) -> Figures:
        """Return the figures; those that this clip cannot give (no contact, no reference) are None.

        ``placed_unlocked`` and ``placed`` are the new person's joints in source px before and after foot lock,
        (T, 21, 3), NaN where unknown.
        """
        rows = {name: np.array(values, np.float64) for name, values in self._rows.items()}
        subject, contacts = self._plan.subject, self._plan.contacts
        slides = {}
        for name, joints in (("unlocked", placed_unlocked), ("locked", placed)):
            slides[name] = foot_slide_bh(
                joints, contacts.anchors, contacts.plant_id, subject.body_height_px, self._plan.shot_starts
            )
            self._late[f"foot_slide_{name}_bh"] = slides[name]
        jitter = second_difference_bh(
            np.asarray(placed[..., :2], np.float64) - subject.joints[..., :2],
            subject.body_height_px,
            self._plan.shot_starts,
        )
        self._late["jitter_bh"] = jitter
        replaced = rows["region_px"] > 0
        presence = subject.presence
        return {
            "changed_outside": int(rows["changed_outside"].sum()),
            "region_area_ratio": _ratio(rows["region_px"].sum(), rows["person_px"].sum()),
            "source_left_percent": _ratio(100 * rows["source_left_px"].sum(), rows["old_px"].sum()),
            "seam_gradient_ratio": _ratio(rows["seam_result"].sum(), rows["seam_source"].sum()),
            "warping_error_source": _mean(rows["warping_error_source"]),
            "warping_error_result": _mean(rows["warping_error_result"]),
            "foot_slide_unlocked_percent": _rms_percent(slides["unlocked"]),
            "foot_slide_percent": _rms_percent(slides["locked"]),
            "placed_jitter_percent": _rms_percent(jitter),
            "frames_replaced": int(replaced.sum()),
            "frames_absent": int(np.count_nonzero(presence == Presence.ABSENT)),
            "frames_uncertain": int(np.count_nonzero(presence == Presence.UNCERTAIN)),
            "new_to_subject_scale": _new_to_subject_scale(placed, subject.joints),
            "reference_to_subject_scale": _reference_scale(reference_person, subject.body_height_px),
        }

    @property
    def series(self) -> dict[str, NDArray[np.float64]]:
        """Per-frame arrays for the report: (N,) over the pushed frames, numbered by ``frame``; after ``finish`` also
        (T, 2) foot slides (left, right) and (T, 21) joint jitter, in body heights."""
        pushed = {name: np.array(values, np.float64) for name, values in self._rows.items()}
        return {**pushed, **self._late}


def count_changed_outside(source: Frame, result: Frame, region: Mask) -> int:
    """Count the samples of all planes that differ outside ``region`` (upright); a subsampled chroma sample is
    outside when none of its pixels is inside."""
    coded = np.rot90(region, source.info.quarter_turns)
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
    # one strided pass for each place in the block: an `any` over the blocks' axes takes ten times as long
    for dy in range(step_y):
        for dx in range(step_x):
            part = region[dy::step_y, dx::step_x]
            cover[: part.shape[0], : part.shape[1]] |= part
    return cover


def psnr_outside(
    source_clip: FrameSource, result_clip: FrameSource, regions: Iterable[Mask] | Callable[[int], Mask]
) -> float:
    """Return the mean over frames of the first plane's PSNR (dB) outside the edit region of the encoded file.

    ``regions`` gives upright masks, in order or by frame number. Equal frames count as 100 dB. Reads both clips once.
    """
    masks = map(regions, count()) if callable(regions) else regions
    values = []
    pairs = zip(source_clip.frames(), result_clip.frames(), strict=True)
    for (source, result), region in zip(pairs, masks, strict=False):
        outside = ~np.rot90(region, source.info.quarter_turns)
        error = source.planes[0].astype(np.float32) - result.planes[0].astype(np.float32)
        mean_square = float(np.mean(error[outside] ** 2)) if outside.any() else 0.0
        peak = float((1 << source.info.bit_depth) - 1)
        values.append(min(_LOSSLESS_DB, 10 * np.log10(peak**2 / max(mean_square, 1e-12))))
    return float(np.mean(values)) if values else _LOSSLESS_DB


def warping_error(earlier: Picture, later: Picture, region: Mask, flow: cv2.DISOpticalFlow) -> float:
    """Return the temporal warping error of one frame pair inside ``region``, NaN where nothing is left to compare.

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
    gap = np.sum((forward + back) ** 2, axis=-1)
    agree = gap <= 0.01 * (np.sum(forward**2, axis=-1) + np.sum(back**2, axis=-1)) + 0.5
    bend = sum(np.sum(np.square(np.gradient(forward[..., axis])), axis=0) for axis in (0, 1))
    smooth = bend <= 0.01 * np.sum(forward**2, axis=-1) + 0.002
    valid = region & inside & agree & smooth
    if not valid.any():
        return float("nan")
    warped = cv2.remap(later, *at, cv2.INTER_LINEAR)
    error = (earlier[valid].astype(np.float32) - warped[valid].astype(np.float32)) / 255
    return float(np.mean(np.sum(error**2, axis=-1)))


def foot_slide_bh(
    placed: NDArray[np.floating],
    anchors: NDArray[np.float64],
    plant_id: NDArray[np.int64],
    body_height_px: NDArray[np.float64],
    shot_starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (T, 2): how far each planted ankle lies from its plant's mean place on the ground, NaN in the air.

    The ground's motion is taken out by the anchors; a constant offset between new and old foot is no slide.
    """
    slide = np.full(plant_id.shape, np.nan)
    shots = np.searchsorted(shot_starts, np.arange(len(plant_id)), side="right")
    for foot, joint in enumerate((JOINT["left_ankle"], JOINT["right_ankle"])):
        offset = (np.asarray(placed[:, joint, :2], np.float64) - anchors[:, foot]) / body_height_px[:, None]
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


class _Patch:
    """Source and result around the edit region, small."""

    def __init__(
        self,
        frame: int,
        box_xyxy: tuple[int, int, int, int],
        region: Mask,
        source: Picture,
        result: Picture,
    ) -> None:
        x0, y0, x1, y1 = box_xyxy
        scale = min(1.0, _FLOW_SIDE_PX / max(x1 - x0, y1 - y0))
        # DIS needs a few patches across; a sliver of a region is enlarged rather than refused
        size = (max(16, round((x1 - x0) * scale)), max(16, round((y1 - y0) * scale)))
        self.frame, self.box_xyxy = frame, box_xyxy
        self.source = cv2.resize(source[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        self.result = cv2.resize(result[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
        small = cv2.resize(region[y0:y1, x0:x1].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        self.region: Mask = small.astype(bool)


def _padded_box(region: Mask) -> tuple[int, int, int, int]:
    """Box of the region with a tenth of its size around, so that what moves out of it can be followed."""
    height, width = region.shape
    columns, rows = np.flatnonzero(region.any(axis=0)), np.flatnonzero(region.any(axis=1))
    x0, x1, y0, y1 = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    pad = 8 + max(x1 - x0, y1 - y0) // 10
    return max(0, x0 - pad), max(0, y0 - pad), min(width, x1 + pad), min(height, y1 + pad)


def _seam_gradients(region: Mask, source: Picture, result: Picture) -> tuple[float, float]:
    """Sums of |luma step| between neighbours of which one lies in the region and one outside: source, result."""
    if not region.any():
        return 0.0, 0.0
    x0, y0, x1, y1 = _padded_box(region)
    inside = region[y0:y1, x0:x1]
    across, down = inside[:, 1:] != inside[:, :-1], inside[1:] != inside[:-1]
    sums = []
    for picture in (source, result):
        luma = cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY).astype(np.int16)
        steps = np.abs(luma[:, 1:] - luma[:, :-1])[across], np.abs(luma[1:] - luma[:-1])[down]
        sums.append(float(steps[0].sum() + steps[1].sum()))
    return sums[0], sums[1]


def _new_to_subject_scale(placed: NDArray[np.floating], subject: NDArray[np.floating]) -> float | None:
    """Median over frames of the new person's torso and legs over the subject's."""
    ratio = _limbs_px(placed) / _limbs_px(subject)
    return float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else None


def _limbs_px(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    ends = np.array([(JOINT[a], JOINT[b]) for a, b in _TORSO_AND_LEGS])
    points = np.asarray(joints[..., :2], np.float64)
    total = np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1).sum(axis=-1)
    return np.where(total > 0, total, np.nan)


def _reference_scale(person: Person | None, body_height_px: NDArray[np.float64]) -> float | None:
    """How much larger the subject is at most than the person in the reference picture: above 1 detail is missing."""
    if person is None or not np.isfinite(body_height_px).any():
        return None
    height_px = float(person.box_xyxy[3] - person.box_xyxy[1])
    return float(np.nanmax(body_height_px)) / height_px if height_px > 0 else None


def _ratio(part: float, whole: float) -> float | None:
    return float(part) / float(whole) if whole > 0 else None


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _rms_percent(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(100 * np.sqrt(np.mean(known**2))) if known.size else None
