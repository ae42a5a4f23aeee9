"""The part of a frame in which something may change, beside its clean background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.maths.boxes import Box, overlap_slices
from pipeline.maths.uneven_light import Veil
from pipeline.shaped import Shaped, Shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Patch(Shaped):
    """A box of one frame; all pictures and masks are of the box."""

    SHAPES: ClassVar[Shapes] = {
        "source": ("h", "w", 3), "plate": ("h", "w", 3), "seen": ("h", "w"),
        "subject": ("h", "w"), "others": ("h", "w"),
    }  # fmt: skip

    box_xyxy: Box
    source: Picture
    plate: Picture
    """(h, w, 3) the background, in the source's light."""
    seen: Mask
    """(h, w) where the plate is known."""
    subject: Mask
    """(h, w) the subject's mask."""
    others: Mask
    """(h, w) other people, and graphics on top of the picture."""
    body_height_px: float
    veil: Veil | None = None
    """Over the box, and not over the plate."""

    @property
    def people(self) -> Mask:
        """(h, w) the subject, other people and graphics."""
        return self.subject | self.others

    def part(self, box_xyxy: Box) -> Patch:
        """Return the patch of a box inside this one."""
        into = overlap_slices(box_xyxy, self.box_xyxy)[0]
        return Patch(
            box_xyxy,
            self.source[into],
            self.plate[into],
            self.seen[into],
            np.ascontiguousarray(self.subject[into]),
            self.others[into],
            self.body_height_px,
        )
