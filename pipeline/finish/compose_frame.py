"""One frame: layer, plate and source composed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.light import CastShadows
from pipeline.datatypes.plan import Chunk, Plan, Presence
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer
from pipeline.finish.composite import (
    EditedFrame,
    EditWeights,
    HoleReach,
    alpha_in,
    behind,
    compose,
    edit_box,
    edit_weights,
    hole_reach,
)
from pipeline.finish.foot_lock import lower_leg_displacement
from pipeline.finish.match_layer import match_grain, match_plate, match_sharpness
from pipeline.finish.reshake import PlacedLayer, place_layer, support_box
from pipeline.finish.scene_masks import SceneMasks, masks_without_scene, scene_masks
from pipeline.finish.shadows import ShadowEdit, ThrownShadows, darkened, edit_shadows, throw_shadows
from pipeline.joints import ANKLES
from pipeline.maths.boxes import Box, clipped, grown, overlap_slices, union_of
from pipeline.maths.cast_shadow import FOOT_BH
from pipeline.maths.geometry import invert
from pipeline.maths.grain import Grain, add_grain
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.maths.similarity import ring_fit
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.layers import REACH_BH
from pipeline.scene.scene_model import SceneModel
from pipeline.settings import Settings
from pipeline.workspace.layers import ChunkedLayers
from pipeline.workspace.subject_masks import SubjectMasks

_RING_BH = 0.08
"""Width of the ring around the edit region that the plate's light is matched to, body heights."""


@dataclass(frozen=True, slots=True, eq=False)
class FinishInputs:
    """What FINISH works on."""

    clip: Clip
    plan: Plan
    masks: SubjectMasks
    plates: PlateSet | None
    scene: SceneModel | None
    shadows: CastShadows
    chunks: list[tuple[Chunk, Path]]
    settings: Settings
    seed: int
    artifacts: frozenset[str]
    output_dir: Path
    reference_person: Person | None
    generator_warnings: tuple[str, ...] = ()
    """What the generator could not take over of prompt and references."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameInputs:
    """What one frame is made of: what lies in spools is read in order, by one thread."""

    frame: Frame
    subject_mask: Mask
    others_mask: Mask
    layer: Layer | None
    """None where the subject is absent."""
    overlay_mask: Mask | None = None
    """Burnt-in graphics, which stay on top of everything; None where there are none."""

    @property
    def not_his_mask(self) -> Mask:
        """(H, W) other people and graphics."""
        return self.others_mask if self.overlay_mask is None else self.others_mask | self.overlay_mask


def read_frame_inputs(inputs: FinishInputs, layers: ChunkedLayers, frame: Frame) -> FrameInputs:
    """Read what a frame is made of from the spools. One thread at a time."""
    number = frame.index
    absent = inputs.plan.subject.presence[number] == Presence.ABSENT
    layer = None if absent else layers.layer(number)
    masks = inputs.masks
    return FrameInputs(frame, masks.subject_mask(number), masks.others_mask(number), layer, masks.overlay_mask(number))


def make_frame(
    inputs: FinishInputs,
    frame_inputs: FrameInputs,
    joints_unlocked: NDArray[np.float64],
    foot_offsets_px: NDArray[np.float64],
    grain: Grain | None,
) -> EditedFrame:
    """Replace the person in one frame. ``joints_unlocked`` (21, 3) and ``foot_offsets_px`` (2, 2) are in source px."""
    frame, info = frame_inputs.frame, inputs.clip.info
    source_rgb = rgb_of(frame)
    untouched = EditedFrame(frame, frame, source_rgb, source_rgb, frame_inputs.subject_mask, None, None, None)
    if frame_inputs.layer is None:
        return untouched
    height_px = float(inputs.plan.subject.body_height_px[frame.index])
    layer = _placed(inputs, frame_inputs.layer, frame.index, joints_unlocked, foot_offsets_px, height_px)
    if layer is not None and inputs.settings.composite.match_sharpness:
        layer = match_sharpness(layer, source_rgb, frame_inputs.subject_mask)
    scene = _scene(inputs, frame_inputs, source_rgb, layer, height_px)
    if scene is None:
        return untouched
    box, plate, shadow = scene.box_xyxy, scene.plate, scene.shadow
    masks = scene.masks.beneath(frame_inputs.overlay_mask)
    if layer is not None:
        layer = behind(layer, masks.kept)
    weights = edit_weights(masks.subject, masks.kept, layer, info, _hole_reach(inputs, height_px), shadow)
    if weights is None:
        return untouched
    x0, y0, x1, y1 = weights.box_xyxy
    background = plate[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    if shadow is not None:
        background = darkened(background, weights.box_xyxy, shadow)
    if grain is not None:
        background = add_grain(background, grain, inputs.seed, frame.index)
        layer = None if layer is None else match_grain(layer, grain, inputs.seed, frame.index)
    result = compose(frame, weights, layer, background)
    return EditedFrame(
        frame,
        result,
        source_rgb,
        rgb_of(result),
        masks.subject,
        weights,
        layer,
        background,
        masks.labels,
        scene.plate_fit,
        _unseen_px(weights, layer, scene),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What one frame's edit works on, in a box with room around all that may change."""

    box_xyxy: Box
    plate: Picture
    """(h, w, 3) in the frame's own light and sharpness."""
    masks: SceneMasks
    shadow: ShadowEdit | None = None
    seen: Mask | None = None
    """(h, w) where the plate was ever seen; None where each frame is inpainted."""
    plate_fit: float = float("nan")


def _unseen_px(weights: EditWeights, layer: PlacedLayer | None, scene: _Scene) -> int:
    """Count the pixels that show background which no frame of the clip ever did."""
    if scene.seen is None:
        return 0
    into, part = overlap_slices(weights.box_xyxy, scene.box_xyxy)
    shown = weights.hole[part] > 0.5
    if layer is not None:
        shown &= alpha_in(layer, weights.box_xyxy)[part] < 0.5
    return int(np.count_nonzero(shown & ~scene.seen[into]))


def _placed(
    inputs: FinishInputs,
    layer: Layer,
    number: int,
    joints_unlocked: NDArray[np.float64],
    foot_offsets_px: NDArray[np.float64],
    height_px: float,
) -> PlacedLayer | None:
    crop_from_source = inputs.plan.crop_from_source(number)
    moved = float(np.abs(foot_offsets_px).max())
    box = support_box(layer, invert(crop_from_source), inputs.clip.info.size_wh, moved)
    if box is None:
        return None
    displacement = lower_leg_displacement(joints_unlocked, foot_offsets_px, height_px, box) if moved > 0 else None
    return place_layer(layer, crop_from_source, box, displacement)


def _hole_reach(inputs: FinishInputs, body_height_px: float) -> HoleReach:
    settings = inputs.settings.composite
    return hole_reach(settings.dilate_bh, settings.feather_px, body_height_px, inputs.clip.info)


def _scene(
    inputs: FinishInputs, frame_inputs: FrameInputs, source_rgb: Picture, layer: PlacedLayer | None, height_px: float
) -> _Scene | None:
    """Return the plate, whose the pixels are, and the shadows; None where there is neither he nor a layer."""
    settings, subject_mask = inputs.settings.plate, frame_inputs.subject_mask
    ring_px = max(4, round(_RING_BH * height_px))
    reach_px = _hole_reach(inputs, height_px).total_px
    inner = edit_box(subject_mask, layer, reach_px)
    if inner is None:
        return None
    # Whatever is found beside the mask gets an edge of its own; 4 px for the chroma grid.
    room_px = max(ring_px, round(REACH_BH * height_px) + reach_px + 4)
    thrown = _thrown(inputs, frame_inputs, layer, height_px)
    if thrown is not None:
        inner = union_of([inner, thrown.box_xyxy])
    box = clipped(grown(inner, room_px), inputs.clip.info.size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    patch, people = source_rgb[area], (subject_mask | frame_inputs.not_his_mask)[area]
    hole = grow(subject_mask[area], reach_px)
    people_masks = subject_mask, frame_inputs.not_his_mask
    if inputs.plates is None:
        return _Scene(box, fill_hole(patch, hole, "ns"), masks_without_scene(*people_masks))
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
        # What is in his shadow is darker than the plate, and rightly so.
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
    fit = ring_fit(plate, patch, ring, height_px)
    if inputs.scene is None:
        return _Scene(box, plate, masks_without_scene(*people_masks), shadow, seen, fit)
    skeleton, composite = inputs.plan.subject.skeletons[number], inputs.settings.composite
    masks = scene_masks(
        inputs.scene, inputs.plates, number, skeleton, height_px, box, (patch, lit, seen), people_masks, composite
    )
    return _Scene(box, plate, masks, shadow, seen, fit)


def _thrown(
    inputs: FinishInputs, frame_inputs: FrameInputs, layer: PlacedLayer | None, height_px: float
) -> ThrownShadows | None:
    """Return the shadows of both people in this frame; None where none falls or no plate shows the ground without."""
    if inputs.plates is None:
        return None
    number = frame_inputs.frame.index
    foot_row = float(np.max(inputs.plan.subject.joints[number, ANKLES, 1])) + FOOT_BH * height_px
    return throw_shadows(frame_inputs.subject_mask, layer, foot_row, height_px, inputs.shadows, number)
