"""The protocols of the models; stages import this file and no wrapper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.appearance import Appearance, CharacterFit
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import FigureGuide, Layer, Window
from pipeline.runtime.callbacks import Check


class PeopleBackend(Protocol):
    """Detects people in consecutive frames."""

    @property
    def look_back(self) -> int:
        """How many frames back the first of ``Person.earlier`` can reach at most; 0: none are returned."""
        ...

    @property
    def batch_frames(self) -> int:
        """Preferred number of frames of ``find_batch``; 1 where a frame depends on the previous one."""
        ...

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """As ``find``, for the next frames."""
        ...

    def find(self, picture: Picture) -> list[Person]:
        """Return the people of the next frame, upright RGB with square pixels, in its pixels.

        Backends may keep state between frames (the next region comes from this frame's joints).
        """
        ...

    def reset(self) -> None:
        """Forget the frames so far, at a cut or for another clip."""
        ...


@runtime_checkable
class PeopleInDepthBackend(PeopleBackend, Protocol):
    """Adds joint depth to the people detected by another backend."""

    @property
    def flat(self) -> PeopleBackend:
        """The other backend: faster, and sufficient where only positions and outlines are needed."""
        ...


@runtime_checkable
class RestingPeopleBackend(PeopleBackend, Protocol):
    """Takes much memory that loads again in no time."""

    def rest(self) -> None:
        """Forget the frames so far and release the memory, until the next ``find``."""
        ...


class FigureBackend(Protocol):
    """Poses a figure of the new person like the subject, to guide image generators."""

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references, once a job; return warnings of what it could not take over."""
        ...

    def guide(self, window: Window, check: Check) -> FigureGuide:
        """Return the figure in each frame of the window; empty in frames without the subject."""
        ...

    def motion(self, window: Window) -> NDArray[np.float32]:
        """Return (h, w, 2) px: from a pixel of the second of two frames to where its surface point was in the first.

        NaN outside the figure, and where the point was hidden.
        """
        ...


class CharacterBackend(Protocol):
    """Shows the new person alone, from any side."""

    @property
    def fit(self) -> CharacterFit:
        """How well it fits the person of the last ``prepare``."""
        ...

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references; return warnings of what it could not take over."""
        ...

    def turned(self, angle: float, size_wh: tuple[int, int]) -> Layer:
        """Draw the person in a relaxed stance, rotated from facing the camera by an angle in radians."""
        ...


@runtime_checkable
class FittedBackend(Protocol):
    """Becomes a person by a fit that takes seconds, and whose outcome can be kept in a file."""

    @property
    def person(self) -> object:
        """The outcome of the last ``prepare``: a frozen dataclass of arrays, numbers and texts."""
        ...

    def become(self, person: object) -> tuple[str, ...]:
        """Take over the outcome of an earlier ``prepare``, instead of it; return its warnings."""
        ...


class SafetyBackend(Protocol):
    """Flags pictures that must not be shown."""

    def flagged(self, pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return (N,) of (N, h, w, 3) RGB."""
        ...


WindowInput = Literal["pictures", "plates", "masks", "figure"]
"""Fields of a window that are filled only for generators that need them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a generator needs as input, and what it returns."""

    crop_size_wh: tuple[int, int] | None
    """Fixed crop size in px, or None: as large as the subject is in the source, up to ``max_crop_height_px``."""
    window_frames: int
    """Frames processed at once."""
    conditioning_frames: int = 0
    """Finished frames that the next window can be conditioned on."""
    controls: tuple[str, ...] = ()
    """Control images, out of ``pose``, ``wan_pose``, ``depth``, ``normal``, ``canny``."""
    inputs: frozenset[WindowInput] = frozenset()
    """Further required fields of a window; ``figure`` is the posed figure that guides it."""
    output: Literal["layers", "pictures"] = "layers"
    """Layers with an alpha of their own, or whole pictures, which need a matte."""
    max_crop_height_px: int = 768
    """Maximum crop height where the crop size is not fixed."""


class Generator(Protocol):
    """Turns windows into layers of the new person."""

    @property
    def needs(self) -> Needs: ...

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references, once a job; return warnings of what it could not take over."""
        ...

    def use_less_memory(self) -> bool:
        """Use about half the memory from now on, at the cost of time; False where that is impossible."""
        ...

    def rest(self) -> None:
        """Release memory that is only kept for speed; called after each chunk."""
        ...

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield one layer for each frame of the window, in order; deterministic for a window and seed.

        Raises ``OutOfMemory``, and ``GpuError`` for a failing device and for values that are not finite.
        """
        ...
