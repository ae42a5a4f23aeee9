"""One frame with several subjects: each is a separate piece, composed from the farthest to the nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.finish.chroma_grid import rgb_of_edit
from pipeline.finish.compose_frame import Piece, PieceEdit, compose_edit, edit_piece, find_piece
from pipeline.finish.composite import EditedFrame, EditWeights, layers_together
from pipeline.finish.copy_around import with_copy_around
from pipeline.finish.depth_order import depth_order
from pipeline.finish.inputs import FinishInputs, FrameInputs, read_frame_inputs
from pipeline.finish.panels import beneath_panels, panels_of
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.surrounding_scene import reach_of_hole
from pipeline.maths.boxes import overlap_slices, union_of
from pipeline.maths.grain import Grain
from pipeline.maths.masks import grow
from pipeline.media.pixels import rgb_of
from pipeline.scene.layers import Label
from pipeline.workspace.layers import ChunkedLayers


@dataclass(frozen=True, slots=True, eq=False)
class SubjectShare:
    """The result for one subject in one frame."""

    is_replaced: bool
    old_px: int
    """Pixels of the subject."""
    source_left_px: float
    """Sum of the source's weight over them."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupFrame:
    """A frame of several subjects before and after."""

    edited: EditedFrame
    """All of them together."""
    shares: tuple[SubjectShare, ...]
    """One for each subject."""


def read_group_inputs(inputs: FinishInputs, layers: Sequence[ChunkedLayers], frame: Frame) -> tuple[FrameInputs, ...]:
    """Read a frame's inputs for each subject. One thread at a time."""
    return tuple(read_frame_inputs(each, of_one, frame) for each, of_one in zip(inputs.subjects, layers, strict=True))


def order_of(inputs: FinishInputs) -> NDArray[np.int64]:
    """Return (T, K): the indices of the subjects in each frame, from the farthest to the nearest."""
    subjects = inputs.subjects
    return depth_order(
        [each.plan.subject for each in subjects],
        [each.masks.subject_mask for each in subjects],
        inputs.clip.info,
        inputs.plan.shot_starts,
    )


def make_group_frame(
    inputs: FinishInputs,
    frame_inputs: Sequence[FrameInputs],
    joints_unlocked: Sequence[NDArray[np.float64]],
    foot_offsets_px: Sequence[NDArray[np.float64]],
    order: Sequence[int],
    grain: Grain | None,
) -> GroupFrame:
    """Replace all subjects in one frame; ``order`` has their indices from the farthest to the nearest.

    ``joints_unlocked`` (21, 3) and ``foot_offsets_px`` (2, 2) of each are in source px. All analysis runs on the
    source, before anybody is replaced.
    """
    frame = frame_inputs[0].frame
    source_rgb = rgb_of(frame)
    panels = panels_of(inputs, frame.index)
    beneath = beneath_panels(source_rgb, panels)
    found = [
        find_piece(each, of_one, beneath, joints, offsets)
        for each, of_one, joints, offsets in zip(
            inputs.subjects, frame_inputs, joints_unlocked, foot_offsets_px, strict=True
        )
    ]
    old_masks = [of_one.subject_mask for of_one in frame_inputs]
    pieces = with_consistent_masks(inputs, found, old_masks)
    result = frame
    edits: list[PieceEdit] = []
    replaced = set()
    for number in order:
        piece = pieces[number]
        edit = None if piece is None else edit_piece(inputs.subjects[number], frame.index, piece, grain, edits)
        if edit is not None:
            result = compose_edit(result, edit, panels)
            edits.append(edit)
            replaced.add(number)
    subject_masks = [
        old if piece is None else piece.masks.subject for piece, old in zip(pieces, old_masks, strict=True)
    ]
    together = _together(frame, result, source_rgb, np.logical_or.reduce(subject_masks), edits)
    edited = with_copy_around(together, inputs.plan.overlays)
    left = edited.source_weight
    shares = tuple(
        SubjectShare(number in replaced, int(np.count_nonzero(mask)), float(left[mask].sum(dtype=np.float64)))
        for number, mask in enumerate(subject_masks)
    )
    return GroupFrame(edited, shares)


def with_consistent_masks(
    inputs: FinishInputs, pieces: Sequence[Piece | None], old_masks: Sequence[Mask]
) -> list[Piece | None]:
    """Return the pieces with mutually consistent masks.

    To each subject the others are people who stay; those who are replaced as well do not. What anybody carries stays
    for all: an object carried by two belongs to neither.
    """
    held = [_labelled(piece, Label.CARRIED) for piece in pieces if piece is not None]
    carried = np.logical_or.reduce(held) if held else None
    fitted: list[Piece | None] = []
    for number, piece in enumerate(pieces):
        if piece is None or carried is None:
            fitted.append(piece)
            continue
        gone = np.zeros(carried.shape, np.bool_)
        for other, of_other in enumerate(pieces):
            if other != number and of_other is not None:
                gone |= _goes_with(of_other, old_masks[other], inputs, piece)
        keeps_carried = inputs.settings.composite.carried != "remove"
        stays = carried if keeps_carried else np.zeros_like(carried)
        masks = SceneMasks(piece.masks.subject & ~stays, (piece.masks.kept & ~gone) | stays, piece.masks.labels)
        fitted.append(replace(piece, masks=masks))
    return fitted


def _labelled(piece: Piece, label: Label) -> Mask:
    """(H, W) where a piece's scene has a label; empty where only the masks are known."""
    if piece.masks.labels is None:
        return np.zeros(piece.masks.subject.shape, np.bool_)
    return piece.masks.labels == label


def _goes_with(other: Piece, old_mask: Mask, inputs: FinishInputs, piece: Piece) -> Mask:
    """Return (H, W) the pixels removed with another subject: that person, and the rim of them that ``piece`` labeled as
    a person."""
    around = grow(old_mask, reach_of_hole(inputs, other.height_px).total_px)
    labels = piece.masks.labels
    taken_for_people = around & piece.masks.kept if labels is None else around & (labels == Label.OTHERS)
    return other.masks.subject | taken_for_people


def _together(
    frame: Frame, result: Frame, source_rgb: Picture, subject_mask: Mask, edits: Sequence[PieceEdit]
) -> EditedFrame:
    """Return the edits of all subjects, back to front, as one."""
    if not edits:
        return EditedFrame(frame, frame, source_rgb, source_rgb, subject_mask, None, None, None)
    box = union_of([edit.weights.box_xyxy for edit in edits])
    height, width = box[3] - box[1], box[2] - box[0]
    x0, y0, x1, y1 = box
    hole = np.zeros((height, width), np.float32)
    source = np.ones((height, width), np.float32)
    region = np.zeros((height, width), np.bool_)
    clean = source_rgb[y0:y1, x0:x1].copy()
    labels: NDArray[np.uint8] | None = None
    for edit in edits:
        into, part = overlap_slices(edit.weights.box_xyxy, box)
        hole[into] = 1 - (1 - hole[into]) * (1 - edit.weights.hole[part])
        source[into] *= edit.weights.source[part]
        region[into] |= edit.weights.region[part]
        clean[into] = np.where(edit.weights.hole[part][..., None] > 0, edit.clean[part], clean[into])
        labels = _labels_of_both(labels, edit.masks.labels)
    shadow_px = sum(edit.weights.shadow_px for edit in edits)
    weights = EditWeights(box, hole, source, region, shadow_px)
    layer = layers_together([edit.layer for edit in edits if edit.layer is not None])
    fits = [edit.plate_fit for edit in edits if np.isfinite(edit.plate_fit)]
    return EditedFrame(
        frame,
        result,
        source_rgb,
        rgb_of_edit(result, box, source_rgb),
        subject_mask,
        weights,
        layer,
        clean,
        labels,
        min(fits, default=float("nan")),
        sum(edit.unseen_px for edit in edits),
    )


def _labels_of_both(one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None) -> NDArray[np.uint8] | None:
    """Return labels in which a subject of either input is a subject."""
    if one is None or other is None:
        return one if other is None else other
    return np.where((one == Label.NOBODY) | (other == Label.SUBJECT), other, one)
