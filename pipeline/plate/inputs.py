"""What the plates of a clip are built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Transforms
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.light import CastShadows
from pipeline.plate.moving_things import MovingThings
from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlateInputs(Shaped):
    """A clip of T frames, its camera motion, and who occludes its background."""

    SHAPES: ClassVar[Shapes] = {"world_from_source": ("T", 3, 3), "needed": ("T",)}

    clip: FrameSource
    world_from_source: Transforms
    """(T, 3, 3) px to px of the shot's first frame."""
    shot_starts: NDArray[np.int64]
    """(S,) ascending, the first is 0."""
    needed: NDArray[np.bool_]
    """(T,) frames that need a plate."""
    people_mask: Callable[[int], Mask]
    """Maps a frame number to the (H, W) mask of all people in it."""
    body_height_px: float
    """Typical height of the people: every width around them is a fraction of it."""
    shadows: CastShadows
    """The subject's: plates are free of them where other frames show the ground without."""
    moving: MovingThings = field(default_factory=MovingThings)
    """Plates are free of them where other frames show what is behind."""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the pictures."""
        return self.clip.info.size_wh


def typical_height_px(body_heights_px: NDArray[np.float64], size_wh: tuple[int, int]) -> float:
    """Return the median of the known heights; half the picture where none is known (NaN)."""
    known = body_heights_px[np.isfinite(body_heights_px)]
    return float(np.median(known)) if len(known) else 0.5 * size_wh[1]
