"""The new person, as the caller describes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.survey import Person
from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReferencePicture(Shaped):
    """One reference picture of the new person."""

    SHAPES: ClassVar[Shapes] = {"picture": ("H", "W", "C")}

    picture: NDArray[np.uint8]
    """(H, W, 3 or 4) RGB(A)."""
    person: Person
    """The one person in it, in the picture's pixels."""


@dataclass(frozen=True, slots=True)
class CharacterFit:
    """How well a figure became the reference pictures' person."""

    views: tuple[str, ...] = ()
    """Sides that were taken over, in the order in which they count."""
    overlap: float | None = None
    """Intersection over union of its outline and the first picture's person; None without a picture."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Appearance(Shaped):
    """The new person of a job: prompt and reference pictures."""

    SHAPES: ClassVar[Shapes] = {"reference": ("H", "W", "C")}

    prompt: str = ""
    negative_prompt: str = ""
    reference: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4) RGB(A), the reference picture."""
    reference_person: Person | None = None
    """The person found in the reference picture; its pixels' space."""
    more_references: tuple[ReferencePicture, ...] = ()
    """The same person from other sides."""
