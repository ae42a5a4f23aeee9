"""What PLAN decides: the subject, their contacts, the camera path, segments, chunks and the crop path."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.survey import Overlays
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.shaped import Shaped, Shapes


class Presence(IntEnum):
    """Presence of the subject in a frame."""

    ABSENT = 0
    UNCERTAIN = 1
    """Interpolated over a short gap, or seen with low confidence."""
    FOUND = 2


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CameraPath(Shaped):
    """The camera's motion and its smoothing."""

    SHAPES: ClassVar[Shapes] = {"world_from_source": ("T", 3, 3), "stable_from_source": ("T", 3, 3)}

    world_from_source: Transforms
    """(T, 3, 3)."""
    stable_from_source: Transforms
    """(T, 3, 3), similarities."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MovedMasks(Shaped):
    """Where people are who are not found for a moment: masks of other frames, moved."""

    SHAPES: ClassVar[Shapes] = {
        "frames": ("N",), "source_frames": ("N",), "track_ids": ("N",), "offsets_xy": ("N", 2),
    }  # fmt: skip

    frames: NDArray[np.int64]
    """(N,) ascending; a frame may occur several times."""
    source_frames: NDArray[np.int64]
    """(N,) the frame of the mask."""
    track_ids: NDArray[np.int64]
    """(N,) whose mask it is there."""
    offsets_xy: NDArray[np.float64]
    """(N, 2) px of the source to move it by."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Subject(Shaped):
    """The person to replace, over all frames; source space."""

    SHAPES: ClassVar[Shapes] = {
        "track_of_frame": ("T",), "presence": ("T",), "boxes_xyxy": ("T", 4), "joints": ("T", NUM_JOINTS, 3),
        "skeletons": ("T", NUM_SKELETON, 3), "body_height_px": ("T",), "visible": ("T",),
        "others_lost": ("T",),
    }  # fmt: skip

    track_of_frame: NDArray[np.int64]
    """(T,) the track whose mask is the subject's; -1 where none is. A track may be somebody else's in other frames."""
    presence: NDArray[np.uint8]
    """(T,) of ``Presence``."""
    boxes_xyxy: NDArray[np.float64]
    """(T, 4), NaN where absent."""
    joints: NDArray[np.float32]
    """(T, 21, 3) smoothed, gaps filled; NaN where unknown."""
    skeletons: NDArray[np.float32]
    """(T, 23, 3) smoothed (z more than x and y)."""
    body_height_px: NDArray[np.float64]
    """(T,) standing height in source px, smooth over time, NaN where absent."""
    visible: NDArray[np.float32] | None = None
    """(T,) 0..1 how much of the subject is seen, 0 where not found; None where that is not known."""
    others_lost: NDArray[np.bool_] | None = None
    """(T,) frames in which somebody lost from sight may be close to them; None where that is not known."""
    others_moved: MovedMasks | None = None
    """Masks of people close to them who are not found for a moment; None where there are none."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Contacts(Shaped):
    """When the feet are planted and where; columns are left, right."""

    SHAPES: ClassVar[Shapes] = {"planted": ("T", 2), "plant_id": ("T", 2), "anchors": ("T", 2, 2), "speed": ("T", 2)}

    planted: NDArray[np.bool_]
    """(T, 2)."""
    plant_id: NDArray[np.int64]
    """(T, 2) number of the plant, -1 in the air."""
    anchors: NDArray[np.float64]
    """(T, 2, 2) source px: where the planted ankle stands, carried by the local ground motion; NaN in the air."""
    speed: NDArray[np.float64]
    """(T, 2) ankle speed against the ground, body heights a second; NaN unknown."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a shot with one kind of motion; frames ``start`` to ``stop`` (exclusive)."""

    shot: int
    start: int
    stop: int
    kind: Literal["approach", "hold", "exit", "whole", "part"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit of checkpointing: frames ``start`` to ``stop`` (exclusive) of one segment."""

    index: int
    shot: int
    segment: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CropPath(Shaped):
    """The generator's virtual camera."""

    SHAPES: ClassVar[Shapes] = {"crop_from_stable": ("T", 3, 3)}

    crop_from_stable: Transforms
    """(T, 3, 3), similarities (times the pixel aspect, so that crop pixels are square)."""
    size_wh: tuple[int, int]
    focal_px: float = float("inf")
    """Assumed focal length of the source's camera, source px."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Plan(Shaped):
    """All decisions of a job; made without frames, saved as a file."""

    shot_starts: NDArray[np.int64]
    segments: tuple[Segment, ...]
    chunks: tuple[Chunk, ...]
    camera: CameraPath
    subject: Subject
    contacts: Contacts
    crop: CropPath
    warnings: tuple[str, ...] = ()
    overlays: Overlays | None = None
    body_scale: float = 1.0
    """Height of the new person over the subject's."""
    blend_weights: NDArray[np.float32] | None = None
    """``Survey.blend_weights``."""
    light_steps: NDArray[np.float32] | None = None
    """``Survey.light_steps``."""

    def __post_init__(self) -> None:
        frames = {
            "camera": len(self.camera.world_from_source),
            "subject": len(self.subject.presence),
            "contacts": len(self.contacts.planted),
            "crop": len(self.crop.crop_from_stable),
        }
        if len(set(frames.values())) > 1:
            raise ValueError(f"the parts of a plan are of different lengths: {frames}")

    @property
    def is_blended(self) -> NDArray[np.bool_] | None:
        """(T,) frames of cross-fades, which show two shots at once; None where there are none."""
        return None if self.blend_weights is None else np.isfinite(self.blend_weights)

    def crop_from_source(self, frame: int) -> Transforms:
        """(3, 3) of one frame."""
        return self.crop.crop_from_stable[frame] @ self.camera.stable_from_source[frame]
