"""Translucent panels that an editor laid over a clip, behind captions and along the picture's edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline.shaped import Shaped, Shapes

_HIDES = 0.6
"""Opacity beyond which what is restored beneath a panel is mostly noise."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel in one frame: ``picture = (1 - opacity) * beneath + opacity * color`` inside a rounded rectangle."""

    box_xyxy: tuple[float, float, float, float]
    """Its edges in source px, in which the first pixel reaches from 0 to 1."""
    radius_px: float
    color: tuple[float, float, float]
    """RGB, 0..255."""
    opacity: float
    """0..1."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Panels(Shaped):
    """All panels of a clip, and how opaque they are in each frame: they fade in and out."""

    SHAPES: ClassVar[Shapes] = {
        "boxes_xyxy": ("K", 4), "radii_px": ("K",), "colors": ("K", 3), "firsts": ("K",), "offsets": ("M",),
        "opacities": ("N",),
    }  # fmt: skip

    boxes_xyxy: NDArray[np.float64]
    """(K, 4) as ``Panel.box_xyxy``."""
    radii_px: NDArray[np.float64]
    """(K,)."""
    colors: NDArray[np.float64]
    """(K, 3) RGB, 0..255."""
    firsts: NDArray[np.int64]
    """(K,) first frame of each."""
    offsets: NDArray[np.int64]
    """(K + 1,) start of each panel's frames in ``opacities``, and the end of the last."""
    opacities: NDArray[np.float64]
    """(N,) of all panels in all their frames."""

    def hides_all(self, frame: int, size_wh: tuple[int, int]) -> bool:
        """Return whether a panel covers the whole of a frame and little of what is beneath it can be restored."""
        width, height = size_wh
        return any(
            panel.opacity > _HIDES and box[0] <= 0 and box[1] <= 0 and box[2] >= width and box[3] >= height
            for panel in self.shown(frame)
            for box in [panel.box_xyxy]
        )

    def whole_frames(self, num_frames: int, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
        """Return (T,) in which frames a panel covers the whole picture: those of fades."""
        frames = np.zeros(num_frames, np.bool_)
        x0, y0, x1, y1 = self.boxes_xyxy.T
        is_whole = (x0 <= 0) & (y0 <= 0) & (x1 >= size_wh[0]) & (y1 >= size_wh[1])
        for number in np.flatnonzero(is_whole).tolist():
            first = int(self.firsts[number])
            frames[first : first + int(self.offsets[number + 1] - self.offsets[number])] = True
        return frames

    def over(self, lower: Panels | None) -> Panels:
        """Return these panels together with the ``lower`` ones beneath them."""
        if lower is None:
            return self
        both = (lower, self)
        return Panels(
            boxes_xyxy=np.concatenate([each.boxes_xyxy for each in both]),
            radii_px=np.concatenate([each.radii_px for each in both]),
            colors=np.concatenate([each.colors for each in both]),
            firsts=np.concatenate([each.firsts for each in both]),
            offsets=np.concatenate([lower.offsets, self.offsets[1:] + lower.offsets[-1]]),
            opacities=np.concatenate([each.opacities for each in both]),
        )

    def shown(self, frame: int) -> list[Panel]:
        """Return the panels of a frame, from the lowest to the topmost."""
        found = []
        for number, first in enumerate(self.firsts.tolist()):
            begin, end = self.offsets[number : number + 2].tolist()
            if 0 <= frame - first < end - begin:
                x0, y0, x1, y1 = self.boxes_xyxy[number].tolist()
                red, green, blue = self.colors[number].tolist()
                opacity = float(self.opacities[begin + frame - first])
                found.append(Panel((x0, y0, x1, y1), float(self.radii_px[number]), (red, green, blue), opacity))
        return found
