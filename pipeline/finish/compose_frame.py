"""Compose one frame from layer, plate and source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.panels import Panel
from pipeline.datatypes.window import Layer
from pipeline.finish.chroma_grid import rgb_of_edit
from pipeline.finish.composite import (
    EditedFrame,
    EditWeights,
    alpha_in,
    behind,
    compose,
    edit_weights,
    laid_over,
    layers_together,
)
from pipeline.finish.copy_around import with_copy_around
from pipeline.finish.inputs import FinishInputs, FrameInputs
from pipeline.finish.leg_displacement import lower_leg_displacement
from pipeline.finish.match_layer import behind_veil, graded, match_grain, match_sharpness, veiled
from pipeline.finish.mixed_rims import MixedRims, mixed_rims
from pipeline.finish.panels import background_under_panels, beneath_panels, layer_under_panels, panels_of
from pipeline.finish.reshake import PlacedLayer, place_layer, support_box
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.shadows import ShadowEdit, darkened
from pipeline.finish.surrounding_scene import SurroundingScene, reach_of_hole, surrounding_scene
from pipeline.maths.boxes import Box, overlap_slices
from pipeline.maths.color_grade import ColorGrade, find_grade
from pipeline.maths.geometry import invert
from pipeline.maths.grain import Grain, add_grain
from pipeline.maths.masks import grow
from pipeline.media.pixels import rgb_of
from pipeline.shaped import Shaped, Shapes

_CHROMA_PX = 4
"""Reach of a chroma sample, px."""


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
    panels = panels_of(inputs, frame.index)
    beneath = beneath_panels(source_rgb, panels)
    piece = find_piece(inputs, frame_inputs, beneath, joints_unlocked, foot_offsets_px)
    edit = None if piece is None else edit_piece(inputs, frame.index, piece, grain)
    if edit is None:
        return EditedFrame(frame, frame, source_rgb, source_rgb, frame_inputs.subject_mask, None, None, None)
    result = compose_edit(frame, edit, panels)
    masks = edit.masks
    edited = EditedFrame(
        frame,
        result,
        source_rgb,
        rgb_of_edit(result, edit.weights.box_xyxy, source_rgb),
        masks.subject,
        edit.weights,
        edit.layer,
        edit.clean,
        masks.labels,
        edit.plate_fit,
        edit.unseen_px,
    )
    return with_copy_around(edited, inputs.plan.overlays)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One subject in one frame: the layer to insert, and what was found around them."""

    layer: PlacedLayer | None
    scene: SurroundingScene
    masks: SceneMasks
    """The scene's masks, beneath graphics."""
    height_px: float
    source_rgb: Picture
    """(H, W, 3) the frame."""
    overlay_mask: Mask | None = None
    """(H, W) graphics, which stay as they are."""
    grade: ColorGrade | None = None
    """The tones of black-and-white or toned footage; None for usual colors."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PieceEdit(Shaped):
    """How one subject's piece changes a frame."""

    SHAPES: ClassVar[Shapes] = {"clean": ("h", "w", 3), "background": ("h", "w", 3)}

    masks: SceneMasks
    weights: EditWeights
    layer: PlacedLayer | None
    clean: Picture
    """(h, w, 3) the background without anybody and anybody's shadow, in the weights' box."""
    background: Picture
    """(h, w, 3) what lies under the layer there: with the new shadow, and with who is farther away."""
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
    if layer is not None and inputs.veil_rgb is not None:
        layer = veiled(layer, inputs.veil_rgb[number])
    scene = surrounding_scene(inputs, frame_inputs, source_rgb, layer, height_px)
    if scene is None:
        return None
    takes_light = inputs.settings.composite.light != "daylight"
    if layer is not None and scene.veil is not None and takes_light:
        layer = behind_veil(layer, scene.veil, scene.box_xyxy)
    reach_px = reach_of_hole(inputs, height_px).total_px + 2
    masks = scene.masks.within(_room_inside(scene.box_xyxy, inputs.clip.info.size_wh, reach_px))
    overlay_mask = frame_inputs.overlay_mask
    grade = find_grade(source_rgb, frame_inputs.subject_mask, overlay_mask) if takes_light else None
    return Piece(layer, scene, masks.beneath(overlay_mask), height_px, source_rgb, overlay_mask, grade)


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
    scene = piece.scene
    masks = piece.masks
    layer = piece.layer
    kept = masks.kept
    rims = _rims(piece)
    if rims is not None:
        kept = kept & ~rims.opened
    if layer is not None:
        layer = behind(layer, kept)
    reach = reach_of_hole(inputs, piece.height_px)
    weights = edit_weights(masks.subject, kept, layer, inputs.clip.info, reach, scene.shadow)
    if weights is None:
        return None
    x0, y0, x1, y1 = weights.box_xyxy
    left, top = scene.box_xyxy[:2]
    clean = scene.plate[y0 - top : y1 - top, x0 - left : x1 - left]
    if grain is not None:
        # Chroma is filtered over neighbors.
        shown = grow(weights.hole > 0, _CHROMA_PX)
        clean = add_grain(clean, grain, inputs.seed, number, shown)
        layer = None if layer is None else match_grain(layer, grain.of_people(), inputs.seed, number)
    background = clean
    for each in (scene.shadow, *(edit.shadow for edit in behind_it)):
        if each is not None:
            background = darkened(background, weights.box_xyxy, each)
    for edit in behind_it:
        if edit.layer is not None:
            background = laid_over(background, weights.box_xyxy, edit.layer)
    if piece.grade is not None:
        clean, background = piece.grade.of_picture(clean), piece.grade.of_picture(background)
        layer = None if layer is None else graded(layer, piece.grade)
    unseen_px = _unseen_px(weights, layer, scene)
    if rims is not None:
        layer = layers_together([rims.layer] if layer is None else [layer, rims.layer])
    return PieceEdit(masks, weights, layer, clean, background, scene.shadow, scene.plate_fit, unseen_px)


def _rims(piece: Piece) -> MixedRims | None:
    """Return the mixed edges between the subject and what stays, but for graphics."""
    kept = piece.masks.kept
    if piece.overlay_mask is not None:
        kept = kept & ~piece.overlay_mask
    return mixed_rims(piece.source_rgb, piece.masks.subject, kept, piece.height_px)


def compose_edit(frame: Frame, edit: PieceEdit, panels: Sequence[Panel]) -> Frame:
    """Return a frame with one edit written into it, under the frame's panels."""
    layer = layer_under_panels(edit.layer, panels)
    return compose(frame, edit.weights, layer, background_under_panels(edit.background, edit.weights.box_xyxy, panels))


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
