"""The quality metrics of a job, measured while its frames are processed.

They are computed from the job's own data; ``benchmarks.truth`` evaluates the same properties against ground truth.
Areas and lengths are in upright source pixels or in per cent of the subject's standing height in that frame.
"""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Plan, Presence
from pipeline.datatypes.survey import Person
from pipeline.finish.composite import EditedFrame, EditWeights
from pipeline.finish.quality_metrics import count_changed_outside, foot_slide_bh, second_difference_bh, warping_error
from pipeline.joints import JOINT
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown
from pipeline.maths.optical_flow import LEAST_SIDE_PX
from pipeline.maths.reduce import reduced
from pipeline.result import Quality
from pipeline.runtime.compiled import njit
from pipeline.scene.layers import Label

_FLOW_EVERY = 4
"""Frames between two flow measurements: four DIS flows take about 30 ms, a quarter of which per frame is affordable."""
_FLOW_SIDE_PX = 256
_TORSO_AND_LEGS = (
    ("left_shoulder", "left_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_shoulder", "right_hip"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)


class QualityMeter:
    """Collects the ``quality`` metrics from the frames of FINISH; holds two small pictures and a few numbers per
    frame."""

    def __init__(self, info: VideoInfo, plan: Plan) -> None:
        self._info = info
        self._plan = plan
        self._cuts = {int(start) for start in plan.shot_starts}
        # Packed: a list of numbers takes four times as much memory per frame.
        self._rows: dict[str, array[float]] = {
            name: array("d")
            for name in (
                "frame",
                "changed_outside",
                "region_px",
                "shadow_px",
                "person_px",
                "old_px",
                "source_left_px",
                "seam_source",
                "seam_result",
                "warping_error_source",
                "warping_error_result",
                "plate_fit",
                "unseen_px",
                "carried_px",
                "things_px",
            )
        }
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._earlier: _Patch | None = None
        self._late: dict[str, NDArray[np.float64]] = {}

    def push(self, edited: EditedFrame) -> None:
        """Add one composed frame, before encoding; frame numbers ascend by one (gaps only lose flow pairs).

        An unchanged frame is ignored.
        """
        weights = edited.weights
        if weights is None:
            return
        frame_index = edited.source.index
        region = edited.region_of_people
        old_px = int(np.count_nonzero(edited.subject_mask))
        seam_source, seam_result = _seam_gradients(region, edited.source_rgb, edited.result_rgb)
        row = {
            "frame": float(frame_index),
            "changed_outside": float(count_changed_outside(edited.source, edited.result, edited.region)),
            "region_px": float(np.count_nonzero(weights.region)),
            "shadow_px": float(weights.shadow_px),
            "person_px": float(old_px + _uncovered_px(edited)),
            "old_px": float(old_px),
            "source_left_px": _source_left_px(edited.subject_mask, weights),
            "seam_source": seam_source,
            "seam_result": seam_result,
            "warping_error_source": np.nan,
            "warping_error_result": np.nan,
            "plate_fit": edited.plate_fit,
            "unseen_px": float(edited.unseen_px),
            **_things_px(edited.labels, weights.box_xyxy),
        }
        earlier, self._earlier = self._earlier, None
        if earlier is not None and frame_index == earlier.frame + 1 and frame_index not in self._cuts:
            patch = _Patch(frame_index, earlier.box_xyxy, region, edited.source_rgb, edited.result_rgb)
            both = earlier.region | patch.region
            row["warping_error_source"] = warping_error(earlier.source, patch.source, both, self._flow)
            row["warping_error_result"] = warping_error(earlier.result, patch.result, both, self._flow)
        elif frame_index % _FLOW_EVERY == 0 and region.any():
            self._earlier = _Patch(frame_index, _padded_box(region), region, edited.source_rgb, edited.result_rgb)
        for name, value in row.items():
            self._rows[name].append(value)

    def finish(
        self,
        joints_unlocked: NDArray[np.floating],
        placed_joints: NDArray[np.floating],
        reference_person: Person | None = None,
    ) -> Quality:
        """Return the metrics; those that this clip does not provide (no contact, no reference) are None.

        ``joints_unlocked`` and ``placed_joints`` are the new person's joints in source px before and after foot lock,
        (T, 21, 3), NaN where unknown.
        """
        rows = {name: np.array(values, np.float64) for name, values in self._rows.items()}
        subject = self._plan.subject
        contacts = self._plan.contacts
        slides = {}
        for name, joints in (("unlocked", joints_unlocked), ("locked", placed_joints)):
            slides[name] = foot_slide_bh(
                joints, contacts.anchors, contacts.plant_id, subject.body_height_px, self._plan.shot_starts
            )
            self._late[f"foot_slide_{name}_bh"] = slides[name]
        jitter = second_difference_bh(
            np.asarray(placed_joints[..., :2], np.float64) - subject.joints[..., :2],
            subject.body_height_px,
            self._plan.shot_starts,
        )
        self._late["jitter_bh"] = jitter
        replaced = rows["region_px"] > 0
        presence = subject.presence
        return Quality(
            changed_outside=int(rows["changed_outside"].sum()),
            region_area_ratio=_ratio(rows["region_px"].sum(), rows["person_px"].sum()),
            region_area_ratio_without_shadows=_ratio(
                rows["region_px"].sum() - rows["shadow_px"].sum(), rows["person_px"].sum()
            ),
            source_left_percent=_ratio(100 * rows["source_left_px"].sum(), rows["old_px"].sum()),
            seam_gradient_ratio=_ratio(rows["seam_result"].sum(), rows["seam_source"].sum()),
            warping_error_source=_mean(rows["warping_error_source"]),
            warping_error_result=_mean(rows["warping_error_result"]),
            plate_fit=_mean(rows["plate_fit"]),
            background_unseen_percent=_ratio(100 * rows["unseen_px"].sum(), rows["old_px"].sum()),
            foot_slide_unlocked_percent=_rms_percent(slides["unlocked"]),
            foot_slide_percent=_rms_percent(slides["locked"]),
            placed_jitter_percent=_rms_percent(jitter),
            frames_replaced=int(replaced.sum()),
            frames_absent=int(np.count_nonzero(presence == Presence.ABSENT)),
            frames_uncertain=int(np.count_nonzero(presence == Presence.UNCERTAIN)),
            new_to_subject_scale=_new_to_subject_scale(placed_joints, subject.joints),
            body_scale=round(self._plan.body_scale, 3),
            reference_to_subject_scale=_reference_scale(reference_person, subject.body_height_px),
        )

    @property
    def series(self) -> dict[str, NDArray[np.float64]]:
        """Per-frame arrays for the report: (N,) over the pushed frames, indexed by ``frame``; after ``finish`` also
        (T, 2) foot slides (left, right) and (T, 21) joint jitter, in body heights."""
        pushed = {name: np.array(values, np.float64) for name, values in self._rows.items()}
        return {**pushed, **self._late}


class _Patch:
    """Source and result around the edit region, small."""

    def __init__(
        self,
        frame: int,
        box_xyxy: Box,
        region: Mask,
        source: Picture,
        result: Picture,
    ) -> None:
        x0, y0, x1, y1 = box_xyxy
        scale = min(1.0, _FLOW_SIDE_PX / max(x1 - x0, y1 - y0))
        # A sliver of a region is enlarged rather than refused.
        size = max(LEAST_SIDE_PX, round((x1 - x0) * scale)), max(LEAST_SIDE_PX, round((y1 - y0) * scale))
        self.frame = frame
        self.box_xyxy = box_xyxy
        self.source = reduced(source[y0:y1, x0:x1], size)
        self.result = reduced(result[y0:y1, x0:x1], size)
        small = cv2.resize(region[y0:y1, x0:x1].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        self.region: Mask = small.astype(bool)


def _things_px(labels: NDArray[np.uint8] | None, box_xyxy: Box) -> dict[str, float]:
    """Return the areas of what is carried, and of all objects, in a box of the labels (H, W)."""
    if labels is None:
        return {"carried_px": 0.0, "things_px": 0.0}
    x0, y0, x1, y1 = box_xyxy
    inside = labels[y0:y1, x0:x1]
    carried = float(np.count_nonzero(inside == Label.CARRIED))
    return {"carried_px": carried, "things_px": carried + float(np.count_nonzero(inside == Label.THING))}


def _padded_box(region: Mask) -> Box:
    """Box of the region with a tenth of its size around, so that what moves out of it can be tracked."""
    height, width = region.shape
    x0, y0, x1, y1 = box_of_mask(region)
    return clipped(grown((x0, y0, x1, y1), 8 + max(x1 - x0, y1 - y0) // 10), (width, height))


def _uncovered_px(edited: EditedFrame) -> int:
    """Count the pixels of the new person beside the subject."""
    if edited.layer is None:
        return 0
    x0, y0, x1, y1 = edited.layer.box_xyxy
    return int(np.count_nonzero((edited.layer.alpha > 0) & ~edited.subject_mask[y0:y1, x0:x1]))


def _source_left_px(subject_mask: Mask, weights: EditWeights) -> float:
    """Sum the source's weight over the subject; outside the weights' box it is 1."""
    x0, y0, x1, y1 = weights.box_xyxy
    inside = subject_mask[y0:y1, x0:x1]
    beyond = np.count_nonzero(subject_mask) - np.count_nonzero(inside)
    return float(weights.source[inside].sum(dtype=np.float64) + beyond)


def _seam_gradients(region: Mask, source: Picture, result: Picture) -> tuple[float, float]:
    """Sums of |luma step| between neighbors one inside the region and one outside: source, result."""
    if not region.any():
        return 0.0, 0.0
    x0, y0, x1, y1 = _padded_box(region)
    inside = region[y0:y1, x0:x1]
    luma = [cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY) for picture in (source, result)]
    steps = [float(_steps_across(levels, inside)) for levels in luma]
    return steps[0], steps[1]


@njit(cache=True, nogil=True)
def _steps_across(levels: NDArray[np.uint8], inside: Mask) -> int:
    """Return the sum of the differences of neighboring levels (h, w) of which one is ``inside``."""
    height, width = levels.shape
    total = np.int64(0)
    for r in range(height):
        for c in range(width):
            if c + 1 < width and inside[r, c] != inside[r, c + 1]:
                total += abs(np.int64(levels[r, c]) - np.int64(levels[r, c + 1]))
            if r + 1 < height and inside[r, c] != inside[r + 1, c]:
                total += abs(np.int64(levels[r, c]) - np.int64(levels[r + 1, c]))
    return int(total)


def _new_to_subject_scale(placed_joints: NDArray[np.floating], subject: NDArray[np.floating]) -> float | None:
    """Median over frames of the ratio of the new person's torso and legs to the subject's."""
    ratio = _limbs_px(placed_joints) / _limbs_px(subject)
    return float(np.nanmedian(ratio)) if np.isfinite(ratio).any() else None


def _limbs_px(joints: NDArray[np.floating]) -> NDArray[np.float64]:
    ends = np.array([(JOINT[a], JOINT[b]) for a, b in _TORSO_AND_LEGS])
    points = np.asarray(joints[..., :2], np.float64)
    total = np.linalg.norm(points[:, ends[:, 0]] - points[:, ends[:, 1]], axis=-1).sum(axis=-1)
    return np.where(total > 0, total, np.nan)


def _reference_scale(person: Person | None, body_height_px: NDArray[np.float64]) -> float | None:
    """Largest ratio of the subject's size to that of the person in the reference picture: above 1 detail is missing."""
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
