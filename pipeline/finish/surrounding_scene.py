"""What surrounds the subject in one frame: plate, shadows, mirror image, and the label of each pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.plan import Presence
from pipeline.finish.composite import HoleReach, edit_box, hole_reach
from pipeline.finish.ground_shade import shade_at_feet
from pipeline.finish.inputs import FinishInputs, FrameInputs, inputs_with_masks
from pipeline.finish.match_layer import match_plate
from pipeline.finish.near_parallax import moved_onto_surroundings
from pipeline.finish.panels import beneath_panels, panels_of
from pipeline.finish.patch import Patch
from pipeline.finish.reflections import edit_reflection, foot_row_of, mirrored_area, reflection_box
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.scene_masks import SceneMasks, masks_without_scene, scene_masks
from pipeline.finish.shadows import ShadowEdit, ThrownShadows, edit_shadows, throw_shadows, together
from pipeline.finish.wall_shadows import throw_wall_shadows
from pipeline.joints import ANKLES, SHOULDERS
from pipeline.maths.boxes import Box, clipped, grown, overlap_slices, union_of
from pipeline.maths.cast_shadow import FOOT_BH
from pipeline.maths.front_shift import FrontShift
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.masks import grow
from pipeline.maths.similarity import ring_fit
from pipeline.maths.uneven_light import Veil, match_uneven_light
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.missed import REACH_BH
from pipeline.shaped import Shaped, Shapes

_RING_BH = 0.08
"""Width of the ring around the edit region that the plate's light is matched to, body heights."""
_EDGE_BH = 0.012
"""Width of a mask's uncertain edge."""
_GRID_PX = 4
"""Margin for the chroma grid, on which an edit's box lies."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SurroundingScene(Shaped):
    """The inputs of one frame's edit, in a box with a margin around everything that may change."""

    SHAPES: ClassVar[Shapes] = {"plate": ("h", "w", 3), "seen": ("h", "w")}

    box_xyxy: Box
    plate: Picture
    """(h, w, 3) in the frame's own light and sharpness."""
    masks: SceneMasks
    shadow: ShadowEdit | None = None
    seen: Mask | None = None
    """(h, w) where the plate is known; None where each frame is inpainted."""
    plate_fit: float = float("nan")
    veil: Veil | None = None
    """Light that lies over this frame's box."""


def surrounding_scene(
    inputs: FinishInputs, frame_inputs: FrameInputs, source_rgb: Picture, layer: PlacedLayer | None, height_px: float
) -> SurroundingScene | None:
    """Return the plate, the pixel labels and the shadows; None where the frame has neither subject nor layer."""
    subject_mask = frame_inputs.subject_mask
    reach_px = reach_of_hole(inputs, height_px).total_px
    inner = edit_box(subject_mask, layer, reach_px)
    if inner is None:
        return None
    thrown = _thrown(inputs, frame_inputs, layer, height_px)
    mirrored = _mirrored(inputs, frame_inputs, layer, height_px)
    # Parts found beside the mask get an edge of their own.
    room_px = max(_ring_px(height_px), round(REACH_BH * height_px) + reach_px + _GRID_PX)
    changing = [grown(inner, room_px)]
    changing += [grown(each.box_xyxy, _GRID_PX) for each in thrown]
    if mirrored is not None:
        changing.append(grown(mirrored, _GRID_PX))
    box = clipped(union_of(changing), inputs.clip.info.size_wh)
    x0, y0, x1, y1 = box
    hole = grow(subject_mask[y0:y1, x0:x1], reach_px)
    if inputs.plates is None:
        plate = fill_hole(source_rgb[y0:y1, x0:x1], hole, "ns")
        return SurroundingScene(box, plate, masks_without_scene(subject_mask, frame_inputs.not_subject_mask))
    lit, patch, ring = _beside_plate(inputs, inputs.plates, frame_inputs, source_rgb, box, hole, height_px)
    for each in thrown:
        # Pixels in the subject's shadow are expected to be darker than the plate.
        ring[overlap_slices(each.box_xyxy, box)[0]] &= each.old < 0.05
    shadow = _ground_edit(inputs, patch, hole, thrown, mirrored, layer, frame_inputs.frame.index)
    # Once it is moved the plate fits the ring, whatever it shows in the hole.
    fit = ring_fit(patch.plate, patch.source, ring, height_px)
    single = cache(partial(_single_plate, inputs, inputs.plates, frame_inputs.frame.index, lit, hole))
    masks, shift = _masks(inputs, frame_inputs, lit, single)
    if shift is not None and shift.is_moved and inputs.settings.plate.gain:
        patch = replace(patch, plate=shift.of_moved().laid_over(patch.plate, single()))
    visible = visible_scene(masks, patch)
    plate = moved_onto_surroundings(patch.plate, patch.source, hole, visible, height_px)
    if mirrored is None and layer is not None and inputs.settings.composite.shadows != "remove":
        feet_xy = _feet_xy(inputs, frame_inputs.frame.index, height_px)
        ground = visible & ~_near_kept(masks, patch)
        room = clipped(inner, inputs.clip.info.size_wh)
        shade = shade_at_feet(replace(patch, plate=plate), shadow, layer, ground, feet_xy, room)
        shadow = shadow if shade is None else together(shadow, shade)
    if mirrored is not None:
        foot_row = foot_row_of(inputs.plan, frame_inputs.frame.index)
        masks = masks.without_things(mirrored_area(subject_mask, mirrored, foot_row, height_px))
    return SurroundingScene(box, plate, masks, shadow, patch.seen, fit, patch.veil)


def visible_scene(masks: SceneMasks, patch: Patch) -> Mask:
    """Return where the patch (h, w) shows what its plate knows: neither people nor their uncertain edges.

    What stands in front of the subject, inside their mask, is visible: it shows best by how much the plate is beside
    it.
    """
    x0, y0, x1, y1 = patch.box_xyxy
    hidden = masks.subject[y0:y1, x0:x1] | patch.others
    return np.asarray(~grow(hidden, max(2, round(_EDGE_BH * patch.body_height_px))) & patch.seen, np.bool_)


def _near_kept(masks: SceneMasks, patch: Patch) -> Mask:
    """Return (h, w) what stays on top of the new person, and its uncertain edge."""
    x0, y0, x1, y1 = patch.box_xyxy
    return grow(masks.kept[y0:y1, x0:x1], max(2, round(_EDGE_BH * patch.body_height_px)))


def _feet_xy(inputs: FinishInputs, number: int, height_px: float) -> NDArray[np.float64]:
    """Return (2, 2) the points of the ground below the ankles, source px."""
    ankles = inputs.plan.subject.joints[number, ANKLES, :2].astype(np.float64)
    return ankles + np.array([0.0, FOOT_BH * height_px])


def _ring_px(height_px: float) -> int:
    return max(4, round(_RING_BH * height_px))


def _beside_plate(
    inputs: FinishInputs,
    plates: PlateSet,
    frame_inputs: FrameInputs,
    source_rgb: Picture,
    box: Box,
    hole: Mask,
    height_px: float,
) -> tuple[Patch, Patch, Mask]:
    """Return the box with the plate in the frame's light, with the plate as it is shown, and the ring around the hole.

    In the ring (h, w) the frame shows the background, and the plate is known.
    """
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    ring_px = _ring_px(height_px)
    source = source_rgb[area]
    picture, seen = plates.render(frame_inputs.frame.index, box)
    subject = np.ascontiguousarray(frame_inputs.subject_mask[area])
    others = np.ascontiguousarray(frame_inputs.not_subject_mask[area])
    free = ~hole & ~subject & ~others
    lit, veil = match_uneven_light(picture, source, grow(hole, ring_px) & free)
    ring = grow(hole, 2 * ring_px) & free & seen
    shown = lit if inputs.settings.plate.gain else picture
    if inputs.settings.composite.match_sharpness:
        shown = match_plate(shown, source, ring, height_px)
    patch = Patch(box, source, lit, seen, subject, others, height_px, veil)
    return patch, replace(patch, plate=shown), ring


def _single_plate(inputs: FinishInputs, plates: PlateSet, frame: int, patch: Patch, hole: Mask) -> Picture:
    """Return the patch's plate from a single anchor, (h, w, 3), in the frame's light; what is shown otherwise is a
    blend."""
    ring = grow(hole, _ring_px(patch.body_height_px)) & ~hole & ~patch.subject & ~patch.others
    return match_uneven_light(plates.render(frame, patch.box_xyxy, is_blended=False)[0], patch.source, ring)[0]


def _ground_edit(
    inputs: FinishInputs,
    patch: Patch,
    hole: Mask,
    thrown: Sequence[ThrownShadows],
    mirrored: Box | None,
    layer: PlacedLayer | None,
    frame: int,
) -> ShadowEdit | None:
    """Return the change of the background by shadows and reflections; None where there are none."""
    is_recast = inputs.settings.composite.shadows == "recast"
    edit = None
    for each in thrown:
        beneath = hole[overlap_slices(each.box_xyxy, patch.box_xyxy)[0]]
        edit = together(edit, edit_shadows(each, patch.part(each.box_xyxy), beneath, recast=is_recast))
    if mirrored is not None and inputs.reflections is not None:
        foot_row = foot_row_of(inputs.plan, frame)
        share = float(inputs.reflections[frame])
        edit = edit_reflection(edit, patch.part(mirrored), layer, foot_row, share, recast=is_recast)
    return edit


def _masks(
    inputs: FinishInputs, frame_inputs: FrameInputs, patch: Patch, single: Callable[[], Picture]
) -> tuple[SceneMasks, FrontShift | None]:
    """Return which pixels of the frame are the subject's, and how to move the plate, as ``scene_masks`` does."""
    others_mask = frame_inputs.not_subject_mask
    subject = inputs.plan.subject
    number = frame_inputs.frame.index
    # In a cross-fade everything differs from the plate.
    is_blended = inputs.plan.is_blended is not None and bool(inputs.plan.is_blended[number])
    if inputs.scene is None or inputs.plates is None or is_blended:
        return masks_without_scene(frame_inputs.subject_mask, others_mask), None
    return scene_masks(
        inputs.scene,
        inputs.plates,
        frame_inputs,
        subject.skeletons[number],
        patch,
        inputs.settings.composite,
        single,
        is_borrowed=bool(subject.presence[number] == Presence.UNCERTAIN),
    )


def find_labels(inputs: FinishInputs, frame: Frame) -> NDArray[np.uint8] | None:
    """Return the (H, W) ``Label`` of each pixel of a frame; None where the subject is absent or nothing is known.

    Frames may be requested in any order.
    """
    number = frame.index
    if inputs.plan.subject.presence[number] == Presence.ABSENT:
        return None
    frame_inputs = inputs_with_masks(inputs.masks, frame, None)
    beneath = beneath_panels(rgb_of(frame), panels_of(inputs, number))
    scene = surrounding_scene(inputs, frame_inputs, beneath, None, float(inputs.plan.subject.body_height_px[number]))
    return None if scene is None else scene.masks.labels


def reach_of_hole(inputs: FinishInputs, body_height_px: float) -> HoleReach:
    """Return how far around the subject a frame may change."""
    settings = inputs.settings.composite
    return hole_reach(settings.dilate_bh, settings.feather_px, body_height_px, inputs.clip.info)


def _thrown(
    inputs: FinishInputs, frame_inputs: FrameInputs, layer: PlacedLayer | None, height_px: float
) -> list[ThrownShadows]:
    """Return the shadows of both people in this frame, on the ground and on a wall; none where no plate shows the
    background without them."""
    if inputs.plates is None:
        return []
    number = frame_inputs.frame.index
    joints = inputs.plan.subject.joints[number, :, :2]
    subject_mask = frame_inputs.subject_mask
    shadows = inputs.shadows
    foot_row = float(np.max(joints[ANKLES, 1])) + FOOT_BH * height_px
    found = [throw_shadows(subject_mask, layer, foot_row, height_px, shadows, number)]
    if shadows.wall is not None:
        column, row = (float(value) for value in joints[SHOULDERS].mean(axis=0))
        found.append(throw_wall_shadows(subject_mask, layer, (column, row), height_px, shadows.wall, number))
    return [each for each in found if each is not None]


def _mirrored(
    inputs: FinishInputs, frame_inputs: FrameInputs, layer: PlacedLayer | None, height_px: float
) -> Box | None:
    """Return a box of both people and their reflections; None where the floor shows none."""
    number = frame_inputs.frame.index
    if inputs.plates is None or inputs.reflections is None or not inputs.reflections[number] > 0:
        return None
    return reflection_box(frame_inputs.subject_mask, layer, foot_row_of(inputs.plan, number), height_px)
