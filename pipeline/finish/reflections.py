"""The subject's reflection on the floor: estimated from a few frames, removed, and replaced by the new person's."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte
from pipeline.datatypes.clip import Frame, FrameSource
from pipeline.datatypes.plan import Plan, Presence
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit, together
from pipeline.joints import ANKLES
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown, overlap_slices, union_of
from pipeline.maths.cast_shadow import FOOT_BH
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.maths.reflection import (
    LEAST_DEPTH_BH,
    LEAST_SAMPLES,
    ReflectionSample,
    mirror,
    reflection_strength,
    sample_reflection,
)
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.runtime.callbacks import Check
from pipeline.workspace.subject_masks import SubjectMasks

_SAMPLES_A_SHOT = 8
_SAMPLES = 96
"""Frames examined per clip: each costs a view of the plate."""
_ROOM_BH = 0.03
_FEET_BH = 0.1


def find_reflections(
    clip: FrameSource,
    plan: Plan,
    masks: SubjectMasks,
    plates: PlateSet | None,
    method: Literal["recast", "remove", "keep"],
    check: Check,
) -> NDArray[np.float32]:
    """Return (T,): the strength of the subject's reflection on the floor in each frame, 0 where there is none.

    One value per shot; 0 where the ``method`` is to keep. One read of the clip, of which few frames are examined.
    """
    shares = np.zeros(clip.info.num_frames, np.float32)
    shots = list(pairwise([*(int(start) for start in plan.shot_starts), clip.info.num_frames]))
    each = min(_SAMPLES_A_SHOT, _SAMPLES // max(len(shots), 1))
    if plates is None or method == "keep" or each < LEAST_SAMPLES:
        return shares
    chosen = [_spread(_standing_in_view(plan, *shot, clip.info.size_wh[1]), each) for shot in shots]
    frames = clip.frames_at([number for of_shot in chosen for number in of_shot])
    for (start, stop), of_shot in zip(shots, chosen, strict=True):
        samples = []
        for frame in islice(frames, len(of_shot)):
            check()
            samples.append(_sample(frame, plan, masks, plates))
        shares[start:stop] = reflection_strength([sample for sample in samples if sample is not None])
    return shares


def _standing_in_view(plan: Plan, start: int, stop: int, height: int) -> NDArray[np.int64]:
    """Return the frames of [start, stop) in which the subject was detected and the floor under the feet is visible."""
    numbers = np.flatnonzero(plan.subject.presence[start:stop] == Presence.FOUND) + start
    depth = height - np.array([foot_row_of(plan, int(number)) for number in numbers])
    return numbers[depth > LEAST_DEPTH_BH * plan.subject.body_height_px[numbers]]


def _spread(numbers: NDArray[np.int64], count: int) -> list[int]:
    if len(numbers) < LEAST_SAMPLES:
        return []
    return [int(number) for number in np.unique(numbers[np.linspace(0, len(numbers) - 1, count).astype(int)])]


def foot_row_of(plan: Plan, frame: int) -> float:
    """Return the row on which the subject stands, source px."""
    height_px = float(plan.subject.body_height_px[frame])
    return float(np.max(plan.subject.joints[frame, ANKLES, 1])) + FOOT_BH * height_px


def _sample(frame: Frame, plan: Plan, masks: SubjectMasks, plates: PlateSet) -> ReflectionSample | None:
    subject = masks.subject_mask(frame.index)
    height_px = float(plan.subject.body_height_px[frame.index])
    foot_row = foot_row_of(plan, frame.index)
    size_wh = subject.shape[1], subject.shape[0]
    if not subject.any() or not np.isfinite(foot_row) or not height_px > 8:
        return None
    box = _mirror_box(box_of_mask(subject), foot_row, height_px, size_wh)
    if box is None:
        return None
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    here = np.ascontiguousarray(subject[area])
    source = np.ascontiguousarray(rgb_of(frame)[area])
    people = masks.hidden_mask(frame.index)[area]
    plate, seen = plates.render(frame.index, box)
    around = grow(people, max(4, round(0.1 * height_px))) & ~grow(people, max(2, round(0.03 * height_px))) & seen
    lit = match_light(plate, source, around)
    difference = source.astype(np.float32) - lit
    usable = seen & ~grow(people, max(2, round(0.02 * height_px)))
    return sample_reflection(difference, here, usable, foot_row - y0, height_px)


def _mirror_box(body: Box, foot_row: float, height_px: float, size_wh: tuple[int, int]) -> Box | None:
    """Return a box of the subject and their reflection; None where neither is in the picture."""
    if foot_row >= size_wh[1] - 1:
        return None
    low = int(np.ceil(2 * foot_row - body[1]))
    return clipped(grown((body[0], body[1], body[2], max(low, body[3])), round(0.12 * height_px)), size_wh)


def reflection_box(subject_mask: Mask, layer: PlacedLayer | None, foot_row: float, height_px: float) -> Box | None:
    """Return the box (x0, y0, x1, y1) of both people with their reflections; None where there is none."""
    bodies = [box_of_mask(subject_mask)] if subject_mask.any() else []
    if layer is not None and layer.alpha.any():
        bodies.append(layer.box_xyxy)
    size_wh = subject_mask.shape[1], subject_mask.shape[0]
    return _mirror_box(union_of(bodies), foot_row, height_px, size_wh) if bodies else None


def mirrored_area(subject_mask: Mask, box_xyxy: Box, foot_row: float, height_px: float) -> Mask:
    """Return (H, W): where the floor shows the subject, with a margin; ``box_xyxy`` is ``reflection_box``'s."""
    x0, y0, x1, y1 = box_xyxy
    body = grow(np.ascontiguousarray(subject_mask[y0:y1, x0:x1]), max(1, round(_ROOM_BH * height_px)))
    area = np.zeros(subject_mask.shape, np.bool_)
    area[y0:y1, x0:x1] = mirror(body.astype(np.float32), foot_row - y0) > 0.5
    return area


def edit_reflection(
    shadow: ShadowEdit | None, patch: Patch, layer: PlacedLayer | None, foot_row: float, share: float, *, recast: bool
) -> ShadowEdit:
    """Return the ``shadow`` edit with the reflections added: the original one removed, the new one on the plate.

    Nothing changes where the plate is not known or somebody else is. ``foot_row`` is in px of the frame.
    """
    plate = patch.plate
    subject = patch.subject
    height_px = patch.body_height_px
    row = foot_row - patch.box_xyxy[1]
    alpha = np.zeros(subject.shape, np.float32)
    change = np.zeros((*subject.shape, 3), np.float32)
    if layer is not None and recast:
        into, part = overlap_slices(layer.box_xyxy, patch.box_xyxy)
        alpha[into] = layer.alpha[part]
        change[into] = layer.premultiplied[part] - layer.alpha[part][..., None] * plate[into]
    new_image = share * mirror(change, row)
    old = mirror(grow(subject, max(1, round(_ROOM_BH * height_px))).astype(np.float32), row)
    hole = np.maximum(np.maximum(old, mirror(alpha, row)), _beneath(subject, row, height_px))
    hole = cv2.GaussianBlur(hole, (0, 0), max(0.006 * height_px, 0.8))
    hole = np.where(~patch.seen | patch.others, np.float32(0), np.clip(2 * hole, 0, 1))
    gain = np.maximum(plate + new_image, 0) / np.maximum(plate, 1)
    return together(shadow, ShadowEdit(patch.box_xyxy, hole.astype(np.float32), gain.astype(np.float32)))


def _beneath(subject: Mask, foot_row: float, height_px: float) -> Matte:
    """Return (h, w): the area right under the feet, the farther of which stands above the row of the nearer."""
    depth = max(1, round(_FEET_BH * height_px))
    feet = subject.astype(np.float32)
    feet[: max(int(foot_row) - depth, 0)] = 0
    downwards = np.ones((2 * depth + 1, 1), np.uint8)
    downwards[depth + 1 :] = 0
    return np.asarray(cv2.dilate(feet, downwards), np.float32)
