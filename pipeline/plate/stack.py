"""One plate: the candidates of an anchor, registered to it, matched in light and stacked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import Box, box_of_mask
from pipeline.maths.light import apply_light, fit_light
from pipeline.maths.reduce import reduced
from pipeline.maths.uneven_light import LightField, light_field
from pipeline.plate.aligned import Aligned, Candidates
from pipeline.plate.anchors import AnchorPlan, background_grade
from pipeline.plate.front_in_place import front_in_place
from pipeline.plate.hidden_parallax import (
    ParallaxPattern,
    hidden_mosaic,
    parallax_pattern,
    with_hidden_parallax,
)
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.median import MIN_CLEAR_SAMPLES, masked_median
from pipeline.plate.misfit import MISFIT, HoleSurroundings, misfit
from pipeline.plate.plate_deblur import sharpened_plate
from pipeline.plate.registration import Gray, RegistrationTarget, fit_warp, pre_warped, work_gray
from pipeline.plate.stray import BRIEF_SECONDS, seen_briefly, stray_samples
from pipeline.plate.warp import Warp, node_shape
from pipeline.runtime.prefetch import parallel_map
from pipeline.shaped import Shaped, Shapes

_BLOCK_WH = (192, 64)
_RESAMPLE = cv2.INTER_CUBIC
_NEAREST = 5
"""Where near and far samples differ, those nearest in time are used: the registration error of the others outweighs
their noise reduction."""
_PARALLAX_PX = 0.2
_REFINEMENTS = 2
"""The second time the mosaic is sharper: it gives half of what the first does on walk_a, a third one nothing."""
_TIER = 1.4
"""Ratio of the sharpest to the least sharp frame of one tier. Frames of a static clip differ by 1.1."""
_RELIT_TIER = 100
"""Later than any tier of sharpness."""


def collect_candidates(plan: AnchorPlan, pictures: dict[int, Picture], inputs: PlateInputs) -> Candidates:
    """Gather the samples of one anchor's plate; ``pictures`` maps the plan's candidates to RGB."""
    world_from_source = inputs.world_from_source
    height = inputs.body_height_px

    def grade_of(frame: int) -> NDArray[np.uint8]:
        shadows = inputs.shadows
        grade = background_grade(
            inputs.people_mask(frame),
            height,
            shadows.shear_at(frame),
            shadows.wall_at(frame),
            is_mirrored=shadows.mirrored_at(frame),
        )
        return inputs.moving.lower(grade, frame)

    return Candidates(
        plan=plan,
        pictures=pictures,
        grades={frame: grade_of(frame) for frame in plan.candidates},
        people=inputs.people_mask(plan.frame),
        guesses={t: np.linalg.inv(world_from_source[t]) @ world_from_source[plan.frame] for t in plan.candidates},
        motions={
            t: np.linalg.inv(world_from_source[t + 1]) @ world_from_source[t - 1]
            for t in plan.candidates
            if plan.shot_start < t < plan.shot_stop - 1
        },
        height=height,
        brief_frames=BRIEF_SECONDS * (float(inputs.clip.info.frame_rate) or 30.0),
    )


def build_plate(stack: Candidates, max_samples: int) -> tuple[Picture, Mask, ParallaxPattern | None]:
    """Build one anchor's plate. Returns it, where it is known, (H, W) - elsewhere it still shows people - and the
    parallax of the scene as the anchor sees it, None where there is hardly any.

    The median is taken over at most ``max_samples`` frames.
    """
    plan = stack.plan
    target = RegistrationTarget(np.array(stack.pictures[plan.frame]), stack.grades[plan.frame] == 0)
    grays = {frame: work_gray(np.asarray(stack.pictures[frame])) for frame in plan.candidates}
    warps, details = _registered(stack, target, grays)
    lights = {frame: _light(stack, warps[frame], frame) for frame in plan.candidates}
    is_relit = _fitting(stack, warps, lights)
    tiers = sharpness_tiers(details, is_relit)
    fitting = sorted(is_relit, key=lambda frame: (is_relit[frame], tiers[frame], abs(frame - plan.frame)))
    parallax = max(float(np.sqrt(np.mean(np.square(warps[frame].nodes)))) for frame in fitting)
    pattern = None
    if parallax > _PARALLAX_PX:
        warps = _refined(stack, {frame: warps[frame] for frame in fitting}, grays, target)
        pattern, _ = parallax_pattern(warps, stack.size_wh)
    aligned = [
        Aligned(
            frame,
            np.asarray(stack.pictures[frame]),
            stack.grades[frame],
            warps[frame],
            *lights[frame],
            tiers[frame],
            is_relit[frame],
        )
        for frame in fitting
    ]
    plate, seen = _merge(stack, aligned, _NEAREST if parallax > _PARALLAX_PX else max_samples)
    plate = sharpened_plate(stack, aligned, plate)
    if parallax > _PARALLAX_PX:
        hidden = stack.grades[plan.frame] == 0
        anchor = np.asarray(stack.pictures[plan.frame])
        plate = front_in_place(plate, seen, anchor, hidden, stack.people, stack.height)
    return plate, seen, pattern


def _refined(
    stack: Candidates, warps: dict[int, Warp], grays: dict[int, Gray], target: RegistrationTarget
) -> dict[int, Warp]:
    """Return the warps, in the order of preference, with the parallax of what the anchor hides."""
    anchor = stack.plan.frame
    hidden = stack.grades[anchor] == 0
    order = [frame for frame in warps if frame != anchor]
    others = {frame: grays[frame] for frame in order}
    people = {frame: stack.grades[frame] == 0 for frame in order}
    # The homographies stay.
    seen = {frame: pre_warped(grays[frame], warps[frame].from_to, stack.size_wh) for frame in order}
    # Half of the points hold what is right already in place.
    visible = target.features()[::2]
    for _ in range(_REFINEMENTS):
        mosaic = hidden_mosaic(grays[anchor], hidden, warps, others, people, order)
        if mosaic is None:
            break
        warps = with_hidden_parallax(warps, mosaic, visible, others, seen, people, stack.height)
    return warps


def _registered(
    stack: Candidates, target: RegistrationTarget, grays: dict[int, Gray]
) -> tuple[dict[int, Warp], dict[int, float]]:
    """Return the warp of each candidate, anchor to candidate, and its detail relative to the anchor's."""
    plan = stack.plan
    height = stack.height
    size_wh = stack.size_wh
    warps = {plan.frame: Warp(np.eye(3), np.zeros((*node_shape(size_wh, height), 2), np.float32), 1)}
    details = {plan.frame: 1.0}

    def registered(frame: int) -> tuple[Warp, float]:
        gray = grays[frame]
        rows, found = target.match(gray, stack.grades[frame] == 0, stack.guesses[frame])
        warp = fit_warp(target.features()[rows], found, size_wh, height, stack.guesses[frame])
        return warp, target.detail_of(gray, rows, found)

    others = [frame for frame in plan.candidates if frame != plan.frame]
    for frame, (warp, detail) in zip(others, parallel_map(registered, others), strict=True):
        warps[frame] = warp
        details[frame] = detail
    return warps, details


def sharpness_tiers(details: dict[int, float], is_relit: dict[int, bool]) -> dict[int, int]:
    """Sort frames into tiers by their detail, 0 the sharpest; frames of one tier are about equally sharp.

    Those in other light (``is_relit``, by frame) have more detail or less by that alone: they tell nothing of how sharp
    the others are, and are compared with each other.
    """
    tiers = {}
    for frame, own in is_relit.items():
        most = max(details[other] for other, relit in is_relit.items() if relit == own)
        tiers[frame] = int(np.log(most / max(details[frame], 1e-3)) / np.log(_TIER))
    return tiers


def _fitting(
    stack: Candidates, warps: dict[int, Warp], lights: dict[int, tuple[NDArray[np.float64], LightField | None]]
) -> dict[int, bool]:
    """Return the candidates that match the anchor around the hole, including the anchor itself, and whether they do
    only in a light that differs from place to place.

    A candidate registered to a wrong place would paste that place into the plate: no sample is better.
    """
    anchor = stack.plan.frame
    around = HoleSurroundings.of(
        np.asarray(stack.pictures[anchor]), stack.grades[anchor] > 0, stack.plan.needed_mask, stack.height
    )

    def fits(frame: int, field: LightField | None) -> bool:
        candidate = np.asarray(stack.pictures[frame])
        return misfit(around, candidate, stack.grades[frame] > 0, warps[frame], lights[frame][0], field) < MISFIT

    is_relit = {}
    for frame in stack.plan.candidates:
        field = lights[frame][1]
        if frame == anchor or fits(frame, None):
            is_relit[frame] = False
        elif field is not None and fits(frame, field):
            is_relit[frame] = True
    return is_relit


def _light(stack: Candidates, warp: Warp, frame: int) -> tuple[NDArray[np.float64], LightField | None]:
    """Match the light of a candidate to the anchor's, at an eighth of the size, where registration does not matter."""
    anchor = stack.plan.frame
    if frame == anchor:
        return np.stack([np.ones(3), np.zeros(3)]), None
    both = (_small(stack.grades[anchor]) > 1) & (_small_view(stack.grades[frame], warp) > 1)
    here, there = _small(np.asarray(stack.pictures[anchor])), _small_view(np.asarray(stack.pictures[frame]), warp)
    light = fit_light(there[both], here[both])
    return light, light_field(apply_light(there, light), here, both)


def _merge(stack: Candidates, aligned: list[Aligned], max_samples: int) -> tuple[Picture, Mask]:
    """Take the masked median over the needed part of the anchor, block by block."""
    plan = stack.plan
    size_wh = stack.size_wh
    plate = np.array(stack.pictures[plan.frame])
    seen = stack.grades[plan.frame] > 0
    is_brief = np.zeros_like(seen)
    needed_mask = plan.needed_mask
    rows = np.flatnonzero(needed_mask.any(axis=1))
    if not len(rows):
        return plate, np.ones_like(seen)
    width, height = _BLOCK_WH

    def merge_block(corner_xy: tuple[int, int]) -> None:
        x0, y0 = corner_xy
        area = np.s_[y0 : y0 + height, x0 : x0 + width]
        here = needed_mask[area]
        if not here.any():
            return
        h, w = here.shape
        samples = _samples(aligned, (x0, y0, x0 + w, y0 + h), here, size_wh, max_samples)
        if samples is None:
            return
        merged, count = masked_median(samples.pictures, samples.grades, max_samples, samples.tiers)
        use = here & (count > 0)
        plate[area][use] = merged[use]
        seen[area] |= use
        is_brief[area] = use & seen_briefly(samples.shown, samples.frames, stack.brief_frames)

    corners = product(range(0, size_wh[0], width), range(int(rows[0]), int(rows[-1]) + 1, height))
    # The blocks do not overlap.
    for _ in parallel_map(merge_block, corners):
        pass
    return plate, seen & ~stray_samples(plate, is_brief, seen, stack.height)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Samples(Shaped):
    """What the candidates show of a block, in the order of preference."""

    SHAPES: ClassVar[Shapes] = {
        "pictures": ("K", "h", "w", 3), "grades": ("K", "h", "w"), "tiers": ("K",), "shown": ("N", "h", "w"),
        "frames": ("N",),
    }  # fmt: skip

    pictures: NDArray[np.uint8]
    """(K, h, w, 3), black where ``grades`` are 0."""
    grades: NDArray[np.uint8]
    """(K, h, w), 0 where the sample is not used."""
    tiers: NDArray[np.int64]
    shown: NDArray[np.uint8]
    """(N, h, w) grades of all candidates that show something of the block, 0 where the block is not needed."""
    frames: NDArray[np.int64]
    """(N,) their frame numbers."""


def _samples(
    aligned: list[Aligned], box_xyxy: Box, needed_mask: Mask, size_wh: tuple[int, int], max_samples: int
) -> _Samples | None:
    """Return the samples of a block, None where no candidate shows anything of it.

    Each candidate is resampled only in the box of the pixels whose median it changes.
    """
    pictures: list[Picture] = []
    grades: list[NDArray[np.uint8]] = []
    tiers: list[int] = []
    shown: list[NDArray[np.uint8]] = []
    frames: list[int] = []
    enough = max(max_samples, MIN_CLEAR_SAMPLES)
    number = np.zeros(needed_mask.shape, np.uint8)
    clear = number.copy()
    for each in aligned:
        at = each.warp.coordinates(box_xyxy, size_wh)
        grade = cv2.remap(each.grade, at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT) * needed_mask
        if not grade.any():
            continue
        shown.append(grade)
        frames.append(each.frame)
        # What may lie in shadow counts only where hardly anything is clear.
        is_used = (grade == 2) & (clear < enough)
        is_used |= (grade == 1) & (clear < MIN_CLEAR_SAMPLES) & (number < max_samples)
        x0, y0, x1, y1 = box_of_mask(is_used)
        if x1 > 0:
            view = cv2.remap(each.picture, at[y0:y1, x0:x1], None, _RESAMPLE, borderMode=cv2.BORDER_REPLICATE)
            inside = box_xyxy[0] + x0, box_xyxy[1] + y0, box_xyxy[0] + x1, box_xyxy[1] + y1
            picture = np.zeros((*grade.shape, 3), np.uint8)
            picture[y0:y1, x0:x1] = each.lit(np.asarray(view, np.uint8), inside, size_wh)
            pictures.append(picture)
            grades.append(grade * is_used)
            tiers.append(each.tier + _RELIT_TIER * each.is_relit)
            number += is_used
            clear += is_used & (grade == 2)
        if len(shown) >= enough and int(clear[needed_mask].min()) >= enough:
            break
    if not shown:
        return None
    return _Samples(
        np.stack(pictures), np.stack(grades), np.array(tiers, np.int64), np.stack(shown), np.array(frames, np.int64)
    )


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    h, w = picture.shape[:2]
    size_wh = max(w // 8, 1), max(h // 8, 1)
    return (
        reduced(picture, size_wh)
        if picture.ndim == 3
        else cv2.resize(picture, size_wh, interpolation=cv2.INTER_NEAREST)
    )


def _small_view(picture: NDArray[np.uint8], warp: Warp) -> NDArray[np.uint8]:
    """Warp a picture by the warp's homography at an eighth of the size; 0 outside."""
    h, w = picture.shape[:2]
    small = _small(picture)
    scale = np.array([[w / small.shape[1], 0, 0], [0, h / small.shape[0], 0], [0, 0, 1.0]])
    scale[:2, 2] = (np.diag(scale)[:2] - 1) / 2
    transform = np.linalg.inv(scale) @ warp.from_to @ scale
    flags = (cv2.INTER_LINEAR if picture.ndim == 3 else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(small, transform, small.shape[1::-1], flags=flags)
