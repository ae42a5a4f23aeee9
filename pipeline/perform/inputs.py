"""What PERFORM works from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.plan import Plan
from pipeline.plate.plate_set import PlateSet
from pipeline.workspace.subject_masks import SubjectMasks


@dataclass(frozen=True, slots=True, eq=False)
class PerformInputs:
    """The inputs of one subject's layers."""

    clip: FrameSource
    plan: Plan
    masks: SubjectMasks
    plates: PlateSet | None
    light: SceneLight
    seed: int
    folder: Path
    """The subject's folder: its layers are checkpoints there."""
