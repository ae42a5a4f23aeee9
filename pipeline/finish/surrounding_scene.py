"""What surrounds the subject in one frame: plate, shadows, mirror image, and the label of each pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.plan import Presence
from pipeline.finish.composite import (
    HoleReach,
    edit_box,
    hole_reach,
)
from pipeline.finish.inputs import FinishInputs, FrameInputs
from pipeline.finish.match_layer import match_plate
from pipeline.finish.reflections import edit_reflection, foot_row_of, reflection_box
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.scene_masks import SceneMasks, masks_without_scene, scene_masks
from pipeline.finish.shadows import ShadowEdit, ThrownShadows, edit_shadows, throw_shadows
from pipeline.joints import ANKLES
from pipeline.maths.boxes import Box, clipped, grown, overlap_slices, union_of
from pipeline.maths.cast_shadow import FOOT_BH
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.maths.similarity import ring_fit
from pipeline.media.pixels import rgb_of
from pipeline.scene.layers import REACH_BH

_RING_BH = 0.08
"""Width of the ring around the edit region that the plate's light is matched to, body heights."""


@dataclass(frozen=True, slots=True, eq=False)
class SurroundingScene:
    """The inputs of one frame's edit, in a box with a margin around everything that may change."""

    box_xyxy: Box
    plate: Picture
    """(h, w, 3) in the frame's own light and sharpness."""
    masks: SceneMasks
    shadow: ShadowEdit | None = None
    seen: Mask | None = None
    """(h, w) where the plate is known; None where each frame is inpainted."""
    plate_fit: float = float("nan")


def surrounding_scene(
    inputs: FinishInputs, frame_inputs: FrameInputs, source_rgb: Picture, layer: PlacedLayer | None, height_px: float
) -> SurroundingScene | None:
    """Return the plate, the pixel labels and the shadows; None where the frame has neither subject nor layer."""
    settings, subject_mask = inputs.settings.plate, frame_inputs.subject_mask
    ring_px = max(4, round(_RING_BH * height_px))
    reach_px = reach_of_hole(inputs, height_px).total_px
    inner = edit_box(subject_mask, layer, reach_px)
    if inner is None:
        return None
    # Parts found beside the mask get an edge of their own; 4 px for the chroma grid.
    room_px = max(ring_px, round(REACH_BH * height_px) + reach_px + 4)
    thrown = _thrown(inputs, frame_inputs, layer, height_px)
    if thrown is not None:
        inner = union_of([inner, thrown.box_xyxy])
    mirrored = _mirrored(inputs, frame_inputs, layer, height_px)
    if mirrored is not None:
        inner = union_of([inner, mirrored])
    box = clipped(grown(inner, room_px), inputs.clip.info.size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    patch, people = source_rgb[area], (subject_mask | frame_inputs.not_subject_mask)[area]
    hole = grow(subject_mask[area], reach_px)
    people_masks = subject_mask, frame_inputs.not_subject_mask
    if inputs.plates is None:
        return SurroundingScene(box, fill_hole(patch, hole, "ns"), masks_without_scene(*people_masks))
    number = frame_inputs.frame.index
    picture, seen = inputs.plates.render(number, box)
    lit = match_light(picture, patch, grow(hole, ring_px) & ~hole & ~people)
    plate = lit if settings.gain else picture
    ring = grow(hole, 2 * ring_px) & ~hole & ~people & seen
    if inputs.settings.composite.match_sharpness:
        plate = match_plate(plate, patch, ring, height_px)
    shadow = None
    if thrown is not None:
        into = overlap_slices(thrown.box_xyxy, box)[0]
        # Pixels in the subject's shadow are expected to be darker than the plate.
        ring[into] &= thrown.old < 0.05
        shadow = edit_shadows(
            thrown,
            patch[into],
            plate[into],
            seen[into],
            hole[into] | people[into],
            height_px,
            inputs.shadows.darkness[number],
            recast=inputs.settings.composite.shadows == "recast",
        )
    if mirrored is not None and inputs.reflections is not None:
        into = overlap_slices(mirrored, box)[0]
        shadow = edit_reflection(
            shadow,
            mirrored,
            plate[into],
            np.ascontiguousarray(subject_mask[area][into]),
            layer,
            ~seen[into] | frame_inputs.not_subject_mask[area][into],
            foot_row_of(inputs.plan, number),
            height_px,
            float(inputs.reflections[number]),
            recast=inputs.settings.composite.shadows == "recast",
        )
    fit = ring_fit(plate, patch, ring, height_px)
    if inputs.scene is None:
        return SurroundingScene(box, plate, masks_without_scene(*people_masks), shadow, seen, fit)
    skeleton, composite = inputs.plan.subject.skeletons[number], inputs.settings.composite
    masks = scene_masks(
        inputs.scene, inputs.plates, number, skeleton, height_px, box, (patch, lit, seen), people_masks, composite
    )
    if inputs.plan.subject.presence[number] == Presence.UNCERTAIN:
        masks = masks.behind_others(frame_inputs.not_subject_mask & ~subject_mask)
    return SurroundingScene(box, plate, masks, shadow, seen, fit)


def find_labels(inputs: FinishInputs, frame: Frame) -> NDArray[np.uint8] | None:
    """Return the (H, W) ``Label`` of each pixel of a frame; None where the subject is absent or nothing is known.

    Frames may be requested in any order.
    """
    number, masks = frame.index, inputs.masks
    if inputs.plan.subject.presence[number] == Presence.ABSENT:
        return None
    frame_inputs = FrameInputs(
        frame, masks.subject_mask(number), masks.others_mask(number), None, masks.overlay_mask(number)
    )
    scene = surrounding_scene(
        inputs, frame_inputs, rgb_of(frame), None, float(inputs.plan.subject.body_height_px[number])
    )
    return None if scene is None else scene.masks.labels


def reach_of_hole(inputs: FinishInputs, body_height_px: float) -> HoleReach:
    """Return how far around the subject a frame may change."""
    settings = inputs.settings.composite
    return hole_reach(settings.dilate_bh, settings.feather_px, body_height_px, inputs.clip.info)


def _thrown(
    inputs: FinishInputs, frame_inputs: FrameInputs, layer: PlacedLayer | None, height_px: float
) -> ThrownShadows | None:
    """Return the shadows of both people in this frame; None where there is none, or no plate shows the ground without
    it."""
    if inputs.plates is None:
        return None
    number = frame_inputs.frame.index
    foot_row = float(np.max(inputs.plan.subject.joints[number, ANKLES, 1])) + FOOT_BH * height_px
    return throw_shadows(frame_inputs.subject_mask, layer, foot_row, height_px, inputs.shadows, number)


def _mirrored(
    inputs: FinishInputs, frame_inputs: FrameInputs, layer: PlacedLayer | None, height_px: float
) -> Box | None:
    """Return a box of both people and their reflections; None where the floor shows none."""
    number = frame_inputs.frame.index
    if inputs.plates is None or inputs.reflections is None or not inputs.reflections[number] > 0:
        return None
    return reflection_box(frame_inputs.subject_mask, layer, foot_row_of(inputs.plan, number), height_px)
