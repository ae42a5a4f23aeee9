"""One frame: layer, plate and source composed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Chunk, Frame, Layer, Mask, Person, Picture, Plan, Presence, Transforms
from pipeline.finish.complete_mask import REACH_BH, complete_mask
from pipeline.finish.composite import EditedFrame, compose, edit_box, edit_weights, hole_reach
from pipeline.finish.foot_lock import lower_leg_displacement
from pipeline.finish.reshake import PlacedLayer, place_layer, support_box
from pipeline.maths.boxes import Box, clipped, grown
from pipeline.maths.geometry import invert
from pipeline.maths.grain import Grain, add_grain
from pipeline.maths.inpaint import fill_hole
from pipeline.maths.light import match_light
from pipeline.maths.masks import widened
from pipeline.media.clip import Clip
from pipeline.media.decode import rgb_of
from pipeline.plate.plate_set import PlateSet
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
    chunks: list[tuple[Chunk, Path]]
    settings: Settings
    seed: int
    artifacts: frozenset[str]
    output_dir: Path
    reference_person: Person | None


def crop_from_source_of(job: FinishInputs, frame: int) -> Transforms:
    if job.settings.composite.reshake:
        return job.plan.crop_from_source(frame)
    return np.asarray(job.plan.crop.crop_from_stable[frame], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class FrameInputs:
    """What one frame is made of: what lies in spools is read in order, by one thread."""

    frame: Frame
    old: Mask
    others: Mask
    layer: Layer | None
    """None where the subject is absent."""


def frame_inputs(job: FinishInputs, source: ChunkedLayers, frame: Frame) -> FrameInputs:
    """Read what a frame is made of from the spools. One thread at a time."""
    number = frame.index
    absent = job.plan.subject.presence[number] == Presence.ABSENT
    layer = None if absent else source.layer(number)
    return FrameInputs(frame, job.masks.old(number), job.masks.others(number), layer)


def make_frame(
    job: FinishInputs,
    inputs: FrameInputs,
    unlocked: NDArray[np.float64],
    offsets: NDArray[np.float64],
    grain: Grain | None,
) -> EditedFrame:
    """Replace the person in one frame. ``unlocked`` (21, 3) joints and ``offsets`` (2, 2) of the feet are source px."""
    frame, info = inputs.frame, job.clip.info
    source_rgb = rgb_of(frame)
    untouched = EditedFrame(frame, frame, source_rgb, source_rgb, inputs.old, None, None, None)
    if inputs.layer is None:
        return untouched
    height_px = float(job.plan.subject.body_height_px[frame.index])
    layer = _placed(job, inputs.layer, frame.index, unlocked, offsets, height_px)
    scene = _scene(job, inputs, source_rgb, layer, height_px)
    if scene is None:
        return untouched
    box, plate, old = scene
    weights = edit_weights(old, inputs.others, layer, height_px, info, job.settings.composite)
    if weights is None:
        return untouched
    x0, y0, x1, y1 = weights.box_xyxy
    background = plate[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]]
    if grain is not None:
        background = add_grain(background, grain, job.seed, frame.index)
    result = compose(frame, weights, layer, background)
    return EditedFrame(frame, result, source_rgb, rgb_of(result), old, weights, layer, background)


def _placed(
    job: FinishInputs,
    layer: Layer,
    number: int,
    unlocked: NDArray[np.float64],
    offsets: NDArray[np.float64],
    height_px: float,
) -> PlacedLayer | None:
    crop_from_source = crop_from_source_of(job, number)
    moved = float(np.abs(offsets).max())
    box = support_box(layer, invert(crop_from_source), job.clip.info.size_wh, moved)
    if box is None:
        return None
    displacement = lower_leg_displacement(unlocked, offsets, height_px, box) if moved > 0 else None
    return place_layer(layer, crop_from_source, box, displacement)


def _scene(
    job: FinishInputs, inputs: FrameInputs, source_rgb: Picture, layer: PlacedLayer | None, height_px: float
) -> tuple[Box, Picture, Mask] | None:
    """Return a box with room around all that may change, the plate (h, w, 3) in it, and the (H, W) old person.

    The plate is in the frame's own light. The old person is his mask, and what differs from the plate beside it. None
    where there is neither he nor a layer.
    """
    settings, old = job.settings.plate, inputs.old
    ring_px = max(4, round(_RING_BH * height_px))
    solid_px = hole_reach(height_px, job.clip.info, job.settings.composite)
    inner = edit_box(old, layer, solid_px)
    if inner is None:
        return None
    # Whatever is found beside the mask gets an edge of its own; 4 px for the chroma grid.
    room_px = max(ring_px, round(REACH_BH * height_px) + solid_px + 4)
    box = clipped(grown(inner, room_px), job.clip.info.size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    patch, people = source_rgb[area], (old | inputs.others)[area]
    hole = widened(old[area], solid_px)
    if job.plates is None:
        return box, fill_hole(patch, hole, "ns"), old
    picture, seen = job.plates.render(inputs.frame.index, box)
    lit = match_light(picture, patch, widened(hole, ring_px) & ~hole & ~people)
    if job.settings.composite.complete_mask:
        old = old.copy()
        old[area] = complete_mask(old[area], inputs.others[area], patch, lit, seen, height_px)
    return box, lit if settings.gain else picture, old
