"""Compose one frame from layer, plate and source."""

from __future__ import annotations

from collections.abc import Sequence
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
    laid_over,
)
from pipeline.finish.foot_lock import lower_leg_displacement
from pipeline.finish.match_layer import match_grain, match_plate, match_sharpness
from pipeline.finish.reflections import edit_reflection, foot_row_of, reflection_box
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
    """Inputs of FINISH."""

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
    """What the generator could not adopt from prompt and references."""
    reflections: NDArray[np.float32] | None = None
    """(T,) strength of the subject's reflection on the floor, 0 for none."""
    further: tuple[FinishInputs, ...] = ()
    """The other replaced subjects: clip, plates and settings are shared, everything else is their own."""

    @property
    def subjects(self) -> tuple[FinishInputs, ...]:
        """All replaced subjects, in the order of the request."""
        return (self, *self.further)


@dataclass(frozen=True, slots=True, eq=False)
class FrameInputs:
    """The inputs of one frame: spooled data is read in order, by one thread."""

    frame: Frame
    subject_mask: Mask
    others_mask: Mask
    layer: Layer | None
    """None where the subject is absent."""
    overlay_mask: Mask | None = None
    """Burnt-in graphics, which stay on top of everything; None where there are none."""

    @property
    def not_subject_mask(self) -> Mask:
        """(H, W) other people and graphics."""
        return self.others_mask if self.overlay_mask is None else self.others_mask | self.overlay_mask


def read_frame_inputs(inputs: FinishInputs, layers: ChunkedLayers, frame: Frame) -> FrameInputs:
    """Read a frame's inputs from the spools. One thread at a time."""
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
    frame = frame_inputs.frame
    source_rgb = rgb_of(frame)
    piece = find_piece(inputs, frame_inputs, source_rgb, joints_unlocked, foot_offsets_px)
    edit = None if piece is None else edit_piece(inputs, frame.index, piece, grain)
    if edit is None:
        return EditedFrame(frame, frame, source_rgb, source_rgb, frame_inputs.subject_mask, None, None, None)
    result = compose(frame, edit.weights, edit.layer, edit.background)
    masks = edit.masks
    return EditedFrame(
        frame,
        result,
        source_rgb,
        rgb_of(result),
        masks.subject,
        edit.weights,
        edit.layer,
        edit.background,
        masks.labels,
        edit.plate_fit,
        edit.unseen_px,
    )


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


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One subject in one frame: the layer to insert, and what was found around them."""

    layer: PlacedLayer | None
    scene: SurroundingScene
    masks: SceneMasks
    """The scene's masks, beneath graphics."""
    height_px: float


@dataclass(frozen=True, slots=True, eq=False)
class PieceEdit:
    """How one subject's piece changes a frame."""

    masks: SceneMasks
    weights: EditWeights
    layer: PlacedLayer | None
    background: Picture
    """(h, w, 3) in the weights' box."""
    shadow: ShadowEdit | None
    plate_fit: float
    unseen_px: int
    """As in ``EditedFrame``."""


def find_piece(
    inputs: FinishInputs,
    frame_inputs: FrameInputs,
    source_rgb: Picture,
    joints_unlocked: NDArray[np.float64],
    foot_offsets_px: NDArray[np.float64],
) -> Piece | None:
    """Place the new person and analyze the surroundings of the original one; None where there is neither. See
    ``make_frame``."""
    if frame_inputs.layer is None:
        return None
    number = frame_inputs.frame.index
    height_px = float(inputs.plan.subject.body_height_px[number])
    layer = _placed(inputs, frame_inputs.layer, number, joints_unlocked, foot_offsets_px, height_px)
    if layer is not None and inputs.settings.composite.match_sharpness:
        layer = match_sharpness(layer, source_rgb, frame_inputs.subject_mask)
    scene = _scene(inputs, frame_inputs, source_rgb, layer, height_px)
    if scene is None:
        return None
    reach_px = reach_of_hole(inputs, height_px).total_px + 2
    masks = scene.masks.within(_room_inside(scene.box_xyxy, inputs.clip.info.size_wh, reach_px))
    return Piece(layer, scene, masks.beneath(frame_inputs.overlay_mask), height_px)


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
    scene = _scene(inputs, frame_inputs, rgb_of(frame), None, float(inputs.plan.subject.body_height_px[number]))
    return None if scene is None else scene.masks.labels


def _room_inside(box: Box, size_wh: tuple[int, int], reach_px: int) -> Box:
    """Return the part of a box from which an edit with this reach in px stays inside it; the picture's edge limits it,
    too.

    Where masks of two people touch, a part of the other one may be taken for the subject's, up to the end of the box.
    """
    x0, y0, x1, y1 = box
    left, top = x0 + reach_px * (x0 > 0), y0 + reach_px * (y0 > 0)
    return left, top, x1 - reach_px * (x1 < size_wh[0]), y1 - reach_px * (y1 < size_wh[1])


def edit_piece(
    inputs: FinishInputs, number: int, piece: Piece, grain: Grain | None, behind_it: Sequence[PieceEdit] = ()
) -> PieceEdit | None:
    """Determine what a piece changes in the frame ``number``; None where nothing changes.

    ``behind_it`` are the edits of the subjects farther away, back to front: their shadows and layers are part of this
    piece's background.
    """
    scene, masks, layer = piece.scene, piece.masks, piece.layer
    if layer is not None:
        layer = behind(layer, masks.kept)
    reach = reach_of_hole(inputs, piece.height_px)
    weights = edit_weights(masks.subject, masks.kept, layer, inputs.clip.info, reach, scene.shadow)
    if weights is None:
        return None
    x0, y0, x1, y1 = weights.box_xyxy
    left, top = scene.box_xyxy[:2]
    background = scene.plate[y0 - top : y1 - top, x0 - left : x1 - left]
    for each in (scene.shadow, *(edit.shadow for edit in behind_it)):
        if each is not None:
            background = darkened(background, weights.box_xyxy, each)
    if grain is not None:
        background = add_grain(background, grain, inputs.seed, number)
        layer = None if layer is None else match_grain(layer, grain, inputs.seed, number)
    for edit in behind_it:
        if edit.layer is not None:
            background = laid_over(background, weights.box_xyxy, edit.layer)
    unseen_px = _unseen_px(weights, layer, scene)
    return PieceEdit(masks, weights, layer, background, scene.shadow, scene.plate_fit, unseen_px)


def _unseen_px(weights: EditWeights, layer: PlacedLayer | None, scene: SurroundingScene) -> int:
    """Count the pixels that show background which no frame of the clip shows."""
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


def reach_of_hole(inputs: FinishInputs, body_height_px: float) -> HoleReach:
    """Return how far around the subject a frame may change."""
    settings = inputs.settings.composite
    return hole_reach(settings.dilate_bh, settings.feather_px, body_height_px, inputs.clip.info)


def _scene(
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
