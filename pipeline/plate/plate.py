"""PLATE: a few frames; the clean background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.light import CastShadows
from pipeline.datatypes.plan import Plan, Presence
from pipeline.media.clip import Clip
from pipeline.plate.build import make_plates
from pipeline.plate.plate_set import PlateSet, load_plates
from pipeline.runtime.callbacks import Check, Progress
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks


def plate_clip(
    clip: Clip,
    plan: Plan,
    masks: SubjectMasks,
    shadows: CastShadows,
    settings: Settings,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> PlateSet | None:
    """Make the clean background where frames need it, or read it from ``workspace``; None where it is off."""
    if settings.plate.method == "off":
        return None
    folder = workspace / "plates"
    if keep_if_intact(workspace, folder):
        return load_plates(folder)
    plates = make_plates(
        clip,
        plan.camera,
        plan.shot_starts,
        _needs_plates(plan),
        masks.hidden_mask,
        plan.subject.body_height_px,
        settings.plate,
        folder,
        check,
        lambda done, total: progress("plate", done, total),
        shadows,
    )
    write_checksum(workspace, folder)
    return plates


def _needs_plates(plan: Plan) -> NDArray[np.bool_]:
    """Return (T,): the frames that are made, and show the subject."""
    needed = np.zeros(len(plan.subject.presence), np.bool_)
    for chunk in plan.chunks:
        needed[chunk.start : chunk.stop] = True
    return needed & (plan.subject.presence > Presence.ABSENT)
