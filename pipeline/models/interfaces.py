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
    """Finds people in one frame after the other."""

    @property
    def look_back(self) -> int:
        """How many frames back the first of ``Person.earlier`` can reach at most; 0: none are given."""
        ...

    @property
    def batch_frames(self) -> int:
        """How many frames ``find_batch`` likes to be given at once; 1 where a frame needs the one before."""
        ...

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """As ``find``, for the next frames."""
        ...

    def find(self, picture: Picture) -> list[Person]:
        """Return the people of the next frame, upright RGB with square pixels, in its pixels.

        Backends may carry state from frame to frame (the next region comes from this frame's joints).
        """
        ...

    def reset(self) -> None:
        """Forget the frames so far: a cut, or another clip."""
        ...


@runtime_checkable
class PeopleInDepthBackend(PeopleBackend, Protocol):
    """Finds people with the depth of their joints by what another backend found."""

    @property
    def flat(self) -> PeopleBackend:
        """The other one: quicker, and enough where only places and outlines are wanted."""
        ...


class FigureBackend(Protocol):
    """Poses a body that looks like the new person on the subject, to guide generators that paint."""

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references, once a job; return warnings of what it could not take over."""
        ...

    def guide(self, window: Window, check: Check) -> FigureGuide:
        """Return the figure in each frame of the window; nothing in frames without the subject."""
        ...

    def motion(self, window: Window) -> NDArray[np.float32]:
        """Return (h, w, 2) px: from a pixel of the second of two frames to where its surface point was in the first.

        NaN where the figure is not, and where the point was hidden.
        """
        ...


class CharacterBackend(Protocol):
    """Shows the new person alone, from any side."""

    @property
    def fit(self) -> CharacterFit:
        """How well it became the person of the last ``prepare``."""
        ...

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references; return warnings of what it could not take over."""
        ...

    def turned(self, angle: float, size_wh: tuple[int, int]) -> Layer:
        """Draw the person standing at ease, turned from facing the camera by an angle in radians."""
        ...


class SafetyBackend(Protocol):
    """Flags pictures that must not be shown."""

    def flagged(self, pictures: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return (N,) of (N, h, w, 3) RGB."""
        ...


WindowInput = Literal["pictures", "plates", "masks", "figure"]
"""Fields of a window that are filled only for generators that ask for them."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a generator needs as input, and what it returns."""

    crop_size_wh: tuple[int, int] | None
    """Fixed crop size in px, or None: as large as the subject is in the source, up to ``max_crop_height_px``."""
    window_frames: int
    """Frames taken at once."""
    conditioning_frames: int = 0
    """Finished frames that the next window can be conditioned on."""
    controls: tuple[str, ...] = ()
    """Of ``pose``, ``wan_pose``, ``depth``, ``normal``, ``canny``."""
    inputs: frozenset[WindowInput] = frozenset()
    """What else a window must hold; ``figure`` is the posed figure that guides it."""
    output: Literal["layers", "pictures"] = "layers"
    """Layers with an alpha of their own, or whole pictures, for which a matte has to be made."""
    max_crop_height_px: int = 768
    """Where the crop size is not fixed."""


class Generator(Protocol):
    """Turns windows into layers of the new person."""

    @property
    def needs(self) -> Needs: ...

    def prepare(self, appearance: Appearance) -> tuple[str, ...]:
        """Take over prompt and references, once a job; return warnings of what it could not take over."""
        ...

    def use_less_memory(self) -> bool:
        """Work with about half the memory from now on, at the cost of time; False where that is not possible."""
        ...

    def rest(self) -> None:
        """Give back memory that is only kept for speed; called after each chunk."""
        ...

    def generate(self, window: Window, seed: int, check: Check) -> Iterator[Layer]:
        """Yield one layer for each frame of the window, in order. Same window and seed, same layers.

        Raises ``OutOfMemory``, and ``GpuError`` for a failing device and for values that are not finite.
        """
        ...
