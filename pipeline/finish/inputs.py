"""What FINISH works from: of the whole job, and of one frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.light import CastShadows
from pipeline.datatypes.plan import Chunk, Plan, Presence
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer
from pipeline.media.clip import Clip
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.scene_model import SceneModel
from pipeline.settings import Settings
from pipeline.shaped import Shaped, Shapes
from pipeline.workspace.layers import ChunkedLayers, LayersInProgress
from pipeline.workspace.subject_masks import SubjectMasks


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
    layers_in_progress: LayersInProgress | None = None
    """Where the chunks are still being made: FINISH follows them."""
    reflections: NDArray[np.float32] | None = None
    """(T,) strength of the subject's reflection on the floor, 0 for none."""
    veil_rgb: NDArray[np.float32] | None = None
    """(T, 3) of ``SceneLight``, for layers that are drawn without it; None for those painted into the scene."""
    further: tuple[FinishInputs, ...] = ()
    """The other replaced subjects: clip, plates and settings are shared, everything else is their own."""

    def open_layers(self) -> ChunkedLayers:
        """Return the subject's layers; the caller closes them."""
        return ChunkedLayers(self.chunks, self.layers_in_progress, self.settings.segment.overlap_frames)

    @property
    def subjects(self) -> tuple[FinishInputs, ...]:
        """All replaced subjects, in the order of the request."""
        return (self, *self.further)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameInputs(Shaped):
    """The inputs of one frame: spooled data is read in order, by one thread."""

    SHAPES: ClassVar[Shapes] = {
        "subject_mask": ("H", "W"), "others_mask": ("H", "W"), "overlay_mask": ("H", "W"), "unfound_mask": ("H", "W"),
    }  # fmt: skip

    frame: Frame
    subject_mask: Mask
    others_mask: Mask
    layer: Layer | None
    """None where the subject is absent."""
    overlay_mask: Mask | None = None
    """Burnt-in graphics, which stay on top of everything; None where there are none."""
    unfound_mask: Mask | None = None
    """About where others are who pass the subject and are not found in this frame; None for nobody."""

    @property
    def not_subject_mask(self) -> Mask:
        """(H, W) other people and graphics."""
        return self.others_mask if self.overlay_mask is None else self.others_mask | self.overlay_mask


def read_frame_inputs(inputs: FinishInputs, layers: ChunkedLayers, frame: Frame) -> FrameInputs:
    """Read a frame's inputs from the spools. One thread at a time."""
    absent = inputs.plan.subject.presence[frame.index] == Presence.ABSENT
    return inputs_with_masks(inputs.masks, frame, None if absent else layers.layer(frame.index))


def inputs_with_masks(masks: SubjectMasks, frame: Frame, layer: Layer | None) -> FrameInputs:
    """Return a frame with its masks, and a ``layer``."""
    number = frame.index
    return FrameInputs(
        frame,
        masks.subject_mask(number),
        masks.others_mask(number),
        layer,
        masks.overlay_mask(number),
        masks.unfound_others_mask(number),
    )
