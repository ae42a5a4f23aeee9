"""What a job knows of each person that it replaces, between PLAN and FINISH."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.light import CastShadows, SceneLight
from pipeline.datatypes.plan import Plan
from pipeline.finish.inputs import FinishInputs
from pipeline.media.clip import Clip
from pipeline.plate.plate_set import PlateSet
from pipeline.request import JobRequest
from pipeline.scene.scene_model import SceneModel
from pipeline.settings import Settings
from pipeline.shaped import Shaped, Shapes
from pipeline.workspace.layers import LayersInProgress, chunk_path
from pipeline.workspace.subject_masks import SubjectMasks


@dataclass(frozen=True, slots=True, eq=False)
class PlannedSubject:
    """One person to replace, before anything is generated."""

    number: int
    """In the order of the request."""
    request: JobRequest
    """Of this subject alone."""
    appearance: Appearance
    """Of the new person."""
    plan: Plan
    masks: SubjectMasks
    folder: Path
    """The subject's own files in the workspace."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Surroundings(Shaped):
    """What surrounds one subject, from PLATE and SCENE."""

    SHAPES: ClassVar[Shapes] = {"reflections": ("T",)}

    plates: PlateSet | None
    """The same for all subjects; None where they are off."""
    light: SceneLight
    shadows: CastShadows
    scene: SceneModel | None
    reflections: NDArray[np.float32]
    """(T,) strength on the floor, 0 for none."""


def finish_inputs(
    clip: Clip,
    subject: PlannedSubject,
    around: Surroundings,
    settings: Settings,
    job: JobRequest,
    in_progress: LayersInProgress,
) -> FinishInputs:
    """Return the inputs of FINISH for one subject of a ``job``, whose layers may still be ``in_progress``."""
    return FinishInputs(
        clip=clip,
        plan=subject.plan,
        masks=subject.masks,
        plates=around.plates,
        scene=around.scene,
        shadows=around.shadows,
        veil_rgb=around.light.veil_rgb if settings.generate.backend == "mannequin" else None,
        reflections=around.reflections,
        chunks=[(chunk, chunk_path(subject.folder, chunk)) for chunk in subject.plan.chunks],
        settings=settings,
        seed=job.seed,
        artifacts=frozenset(job.artifacts),
        output_dir=job.output_dir,
        reference_person=subject.appearance.reference_person,
        layers_in_progress=in_progress,
    )


def generator_warnings(notes: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return what the generator could not adopt for each subject, naming the subject where there are several."""
    if len(notes) == 1:
        return notes[0]
    return tuple(f"subject {number}: {warning}" for number, of_one in enumerate(notes) for warning in of_one)
