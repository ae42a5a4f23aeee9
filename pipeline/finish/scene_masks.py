"""Which pixels of a frame belong to the subject, and which stay on top of the new person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.finish.inputs import FrameInputs
from pipeline.finish.patch import Patch
from pipeline.maths.boxes import Box, box_of_mask
from pipeline.maths.front_shift import FrontShift
from pipeline.maths.masks import grow
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.balls import Balls
from pipeline.scene.body import body_of
from pipeline.scene.front_in_place import with_front_in_place
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.samples import FEET, Sample, sample_of, without_background
from pipeline.scene.scene_model import SceneModel
from pipeline.scene.touching import taken_by_others
from pipeline.scene.unfound import with_unfound
from pipeline.scene.unsure import with_unsure_plate
from pipeline.scene.views import view_of
from pipeline.settings import CompositeSettings
from pipeline.shaped import Shaped, Shapes

_MOST_FRONT = 0.4
"""Of a mask in a close-up: more that looks static in front of a face is the face, which a plate without a view past it
has learned as background."""
_CLOSE_UP = 2.0
"""Standing height over the picture's, from which no more than head and shoulders are in the picture."""
_BESIDE_PX = 6
"""How far something in front may be from its place, px of a view."""
_SHOE_BH = 0.1
"""Distance from the bones of a foot within which pixels may be its shoe."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SceneMasks(Shaped):
    """Masks (H, W) of the whole frame."""

    SHAPES: ClassVar[Shapes] = {"subject": ("H", "W"), "kept": ("H", "W"), "labels": ("H", "W")}

    subject: Mask
    """The visible part of the subject."""
    kept: Mask
    """What does not belong to the subject and stays on top of the new person."""
    labels: NDArray[np.uint8] | None = None
    """(H, W) of ``Label``; None where only the masks are known."""

    def within(self, box_xyxy: Box) -> SceneMasks:
        """Return the masks without the subject outside a box."""
        x0, y0, x1, y1 = box_xyxy
        left, top, right, bottom = box_of_mask(self.subject)
        if x0 <= left and y0 <= top and right <= x1 and bottom <= y1:
            return self
        part = np.s_[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        subject = np.zeros(self.subject.shape, np.bool_)
        subject[part] = self.subject[part]
        return SceneMasks(subject, self.kept, self.labels)

    def behind_others(self, others_mask: Mask) -> SceneMasks:
        """Return the masks with all pixels of others (H, W) left to them: where the subject was not detected, pixels in
        the subject's colors on another person belong to that person."""
        labels = self.labels
        if labels is not None:
            labels = np.where(others_mask & (labels == Label.SUBJECT), np.uint8(Label.OTHERS), labels)
        return SceneMasks(self.subject & ~others_mask, self.kept | others_mask, labels)

    def without_things(self, area: Mask) -> SceneMasks:
        """Return the masks with nothing of ``Label.THING`` in an area (H, W): a reflection is no object."""
        labels = self.labels
        if labels is None:
            return self
        mirrored = area & (labels == Label.THING)
        return SceneMasks(
            self.subject, self.kept & ~mirrored, np.where(mirrored, np.uint8(Label.NOBODY), labels).astype(np.uint8)
        )

    def beneath(self, overlay_mask: Mask | None) -> SceneMasks:
        """Return the masks with graphics (H, W) on top of everything."""
        if overlay_mask is None:
            return self
        labels = self.labels
        if labels is not None:
            labels = np.where(overlay_mask, np.uint8(Label.FRONT), labels)
        return SceneMasks(self.subject & ~overlay_mask, self.kept | overlay_mask, labels)


def masks_without_scene(subject_mask: Mask, others_mask: Mask) -> SceneMasks:
    """Return the labels implied by the people's masks alone; pixels in both are the subject's."""
    return SceneMasks(subject_mask, others_mask & ~subject_mask)


def scene_masks(
    scene: SceneModel,
    plates: PlateSet,
    frame_inputs: FrameInputs,
    skeleton: Float32Array,
    patch: Patch,
    settings: CompositeSettings,
    single: Callable[[], Picture],
    *,
    is_borrowed: bool = False,
) -> tuple[SceneMasks, FrontShift | None]:
    """Label the pixels of ``patch``; outside of it nothing is the subject's. ``skeleton`` (23, 3) in source px.

    Also returns how the patch's plate is to be moved to where what is in front of the subject is seen. ``single``
    returns one of the plates that it is a blend of. ``is_borrowed``: the subject's mask is that of another frame, and
    contains background.
    """
    frame = frame_inputs.frame.index
    box_xyxy = patch.box_xyxy
    subject_mask = frame_inputs.subject_mask
    others_mask = frame_inputs.not_subject_mask
    x0, y0, x1, y1 = box_xyxy
    view = view_of(box_xyxy, patch.source, patch.plate, patch.seen, patch.body_height_px)
    body = body_of(skeleton, patch.body_height_px, (x0, y0), view.factor)
    if not len(body.segments):
        return masks_without_scene(subject_mask, others_mask), None
    sample = sample_of(view, body, patch.subject, np.ascontiguousarray(patch.others), scene.gain)
    if frame_inputs.unfound_mask is not None:
        sample = with_unfound(sample, np.ascontiguousarray(frame_inputs.unfound_mask[y0:y1, x0:x1]))
    row = int(plates.plate_rows[frame, 0])
    taken = np.zeros(sample.subject_mask.shape, np.bool_)
    if is_borrowed:
        sample = without_background(sample, scene.row(row).subject)
        taken = taken_by_others(sample, scene.row(row).subject, scene.row(row).others)
        sample = replace(sample, subject_mask=sample.subject_mask | taken, others_mask=sample.others_mask & ~taken)
    if scene.is_fast[frame : frame + 1].any():
        sample = with_unsure_plate(sample)
    is_veiled = patch.veil is not None and patch.veil.hides(patch.subject)
    sample = replace(sample, is_unsure=sample.is_unsure or is_veiled)
    places = scene.places_at(row, plates.positions(frame, 0, box_xyxy, view.size_wh))
    sample, shift = with_front_in_place(sample, single, grow(places[0], _BESIDE_PX))
    near = scene.near.mask(frame, row, box_xyxy, view.picture)
    shafts = scene.shafts.expected(frame)
    may_meet = scene.may_meet(frame)
    small = labels_of(sample, scene.row(row), places, settings.complete_mask, may_meet, near, shafts)
    if is_veiled:
        # Their colors are not theirs there; what stands in front of them is known from other frames.
        known_front = places[0] if near is None else places[0] | near[0]
        small[sample.subject_mask & ~known_front & (small != Label.OTHERS)] = Label.SUBJECT
    if not is_borrowed and patch.body_height_px > _CLOSE_UP * subject_mask.shape[0]:
        leave_face(small, sample.subject_mask)
    if scene.balls.mask(frame, box_xyxy) is not None:
        label_shoes(small, sample)
    theirs = others_mask & ~subject_mask
    labels = theirs * np.uint8(Label.OTHERS)
    labels[y0:y1, x0:x1] = view.enlarged_labels(small)
    label_balls(labels, scene.balls, frame, box_xyxy)
    part = labels[y0:y1, x0:x1]
    removed = np.zeros(labels.shape, np.bool_)
    removed[y0:y1, x0:x1] = part == Label.SUBJECT
    if settings.carried == "remove":
        removed[y0:y1, x0:x1] |= part == Label.CARRIED
    kept = theirs.copy()
    kept[y0:y1, x0:x1] = (part != Label.NOBODY) & ~removed[y0:y1, x0:x1]
    masks = SceneMasks(removed, kept, labels)
    if not is_borrowed:
        return masks, shift
    theirs[y0:y1, x0:x1] &= ~view.enlarged(taken)
    return masks.behind_others(theirs), shift


def leave_face(labels: NDArray[np.uint8], subject_mask: Mask) -> None:
    """Give a close-up's mask (h, w) to the subject in ``labels`` (h, w) where too much of it is ``Label.FRONT``."""
    front = subject_mask & (labels == Label.FRONT)
    if np.count_nonzero(front) > _MOST_FRONT * np.count_nonzero(subject_mask):
        labels[front] = Label.SUBJECT


def label_balls(labels: NDArray[np.uint8], balls: Balls, frame: int, box_xyxy: Box) -> None:
    """Write the balls of a box into a frame's labels (H, W), complete except for what stands in front of them."""
    ball = balls.mask(frame, box_xyxy)
    if ball is not None:
        x0, y0, x1, y1 = box_xyxy
        part = labels[y0:y1, x0:x1]
        part[ball & (part != Label.FRONT)] = Label.THING


def label_shoes(labels: NDArray[np.uint8], sample: Sample) -> None:
    """Relabel objects at the subject's feet as shoes in the labels (h, w) of a view: where there is a ball it is
    recognized by its shape, not by its color, which is often that of the shoes."""
    labels[(labels == Label.THING) & (sample.distances[FEET] < _SHOE_BH)] = Label.SUBJECT
