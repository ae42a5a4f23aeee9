"""PLATE: build the clean background from a few frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.light import CastShadows
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.masks import grow
from pipeline.plate.build import make_plates
from pipeline.plate.extremities import extremities
from pipeline.plate.graphics_behind import write_graphics_behind
from pipeline.plate.inputs import PlateInputs, typical_height_px
from pipeline.plate.plate_set import PlateSet, load_plates
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks

_UNCERTAIN_BH = 0.25
"""How far a mask that was moved here from another frame may be off: limbs are elsewhere."""
_OUTLINE_BH = 0.03
"""From a mask to the outline of the person, at most."""


def plate_clip(
    clip: FrameSource,
    plans: Sequence[Plan],
    masks: Sequence[SubjectMasks],
    shadows: Sequence[CastShadows],
    settings: Settings,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> PlateSet | None:
    """Build the clean background where frames need it, or read it from ``workspace``; None where it is off.

    One plate set serves all subjects of a job, each with its plan, masks and shadows.
    """
    if settings.plate.method == "off":
        return None
    folder = workspace / "plates"
    if keep_if_intact(workspace, folder):
        return load_plates(folder)
    heights_px = np.concatenate([plan.subject.body_height_px for plan in plans])
    inputs = PlateInputs(
        clip=clip,
        world_from_source=plans[0].camera.world_from_source,
        shot_starts=plans[0].shot_starts,
        needed=np.asarray(np.stack([_needs_plates(plan) for plan in plans]).any(axis=0)),
        people_mask=lambda frame: hidden_in(plans, masks, frame),
        body_height_px=typical_height_px(heights_px, clip.info.size_wh),
        shadows=_any_shadow(shadows),
    )
    height_px = inputs.body_height_px
    write_graphics_behind(
        clip,
        plans[0].overlays,
        lambda frame: grow(_people_in(masks, frame), round(_OUTLINE_BH * height_px)),
        folder,
        check,
    )
    plates = make_plates(inputs, settings.plate, folder, check, lambda done, total: progress("plate", done, total))
    write_checksum(workspace, folder)
    return plates


def _people_in(masks: Sequence[SubjectMasks], frame: int) -> Mask:
    people = masks[0].people_mask(frame)
    for further in masks[1:]:
        people = people | further.subject_mask(frame)
    return people


def _needs_plates(plan: Plan) -> NDArray[np.bool_]:
    """Return (T,): the frames that are generated and show the subject."""
    needed = np.zeros(len(plan.subject.presence), np.bool_)
    for chunk in plan.chunks:
        needed[chunk.start : chunk.stop] = True
    return needed & (plan.subject.presence > Presence.ABSENT)


def hidden_in(plans: Sequence[Plan], masks: Sequence[SubjectMasks], frame: int) -> Mask:
    """(H, W) everything that occludes the background: to each subject everybody else is one of the others."""
    hidden = masks[0].hidden_mask(frame)
    is_blended = plans[0].is_blended
    if is_blended is not None and is_blended[frame]:
        # The background of another shot shows through.
        return np.ones_like(hidden)
    panels = None if plans[0].overlays is None else plans[0].overlays.panels
    if panels is not None and panels.hides_all(frame, (hidden.shape[1], hidden.shape[0])):
        # Of a picture that has faded away only noise is restored.
        return np.ones_like(hidden)
    for further in masks[1:]:
        hidden = hidden | further.subject_mask(frame)
    for plan, own in zip(plans, masks, strict=True):
        if plan.subject.presence[frame] == Presence.UNCERTAIN:
            height_px = float(np.nan_to_num(plan.subject.body_height_px[frame]))
            hidden = hidden | grow(own.subject_mask(frame), round(_UNCERTAIN_BH * height_px))
        hidden = hidden | extremities(plan.subject.skeletons[frame], plan.subject.body_height_px[frame], hidden.shape)
    return hidden


def _any_shadow(shadows: Sequence[CastShadows]) -> CastShadows:
    """Return in each frame the shadow of the first subject that casts one: the sun is the same for all."""
    merged = shadows[0]
    for further in shadows[1:]:
        merged = merged.or_else(further)
    return merged
