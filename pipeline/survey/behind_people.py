"""Tell graphics that people walk in front of (an editor's "text behind the subject") from those on top of everything.

The edges of a graphic on top show before people as they do elsewhere, however translucent it is; those of one behind
them end at their outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.maths.boxes import Box

_LEAST_EDGE_PX = 120
"""Edge pixels before people, of all frames together, that tell."""
_LEAST_FRAMES = 3
_HIDDEN = 0.4
"""Opacity before people, relative to that elsewhere, below which they hide a text: masks reach a little too far."""
_CLEAR = (0.25, 0.7)
"""The same, outside of which one letter's own evidence tells."""
_NEAR_PX = 8
_NEAR = 0.25
"""Letters and words of one text are this close together, px of the reduced picture or fraction of their height."""


@dataclass(frozen=True, slots=True)
class OverPeople:
    """How strongly a graphic's edges show before people and elsewhere; sums over frames."""

    fit: float = 0.0
    energy: float = 0.0
    fit_beside: float = 0.0
    energy_beside: float = 0.0
    count: int = 0
    frames: int = 0

    def __add__(self, other: OverPeople) -> OverPeople:
        return OverPeople(
            self.fit + other.fit,
            self.energy + other.energy,
            self.fit_beside + other.fit_beside,
            self.energy_beside + other.energy_beside,
            self.count + other.count,
            self.frames + other.frames,
        )

    @property
    def opacity(self) -> float | None:
        """How strongly the graphic shows before people, relative to elsewhere; None where too little was seen of it."""
        is_seen = self.energy > 0 and self.fit_beside > 0
        if not is_seen or self.count < _LEAST_EDGE_PX or self.frames < _LEAST_FRAMES:
            return None
        return self.fit / self.energy * self.energy_beside / self.fit_beside

    @property
    def is_behind(self) -> bool:
        """Whether people hide the graphic. False where nobody passes it."""
        opacity = self.opacity
        return opacity is not None and opacity < _HIDDEN


def seen_over_people(
    shown: tuple[Float32Array, Float32Array], own: tuple[Float32Array, Float32Array], over: Mask, beside: Mask
) -> OverPeople:
    """Return what one frame tells: by its gradient x, y (N,) at the edges of a graphic whose ``own`` gradient is known,
    and by which of these lie well before people, or well beside them (N,)."""
    fit = shown[0] * own[0] + shown[1] * own[1]
    energy = own[0] ** 2 + own[1] ** 2
    count = int(np.count_nonzero(over))
    return OverPeople(
        float(fit[over].sum()),
        float(energy[over].sum()),
        float(fit[beside].sum()),
        float(energy[beside].sum()),
        count,
        int(count > 0),
    )


def behind_people(boxes_xyxy: Sequence[Box], evidence: Sequence[OverPeople | None]) -> NDArray[np.bool_]:
    """Return (K,) which graphics people walk in front of. None stands for what is no text, and in front.

    Where the evidence on one is not clear, that on all letters and words of its text tells, whenever each was found.
    """
    texts = {row: own for row, own in enumerate(evidence) if own is not None}
    groups = dict(zip(texts, _groups([boxes_xyxy[row] for row in texts]), strict=True))
    together: dict[int, OverPeople] = {}
    for row, own in texts.items():
        together[groups[row]] = together.get(groups[row], OverPeople()) + own
    is_behind = np.zeros(len(evidence), np.bool_)
    for row, own in texts.items():
        opacity = own.opacity
        is_clear = opacity is not None and not _CLEAR[0] <= opacity <= _CLEAR[1]
        is_behind[row] = own.is_behind if is_clear else together[groups[row]].is_behind
    return is_behind


def _groups(boxes_xyxy: Sequence[Box]) -> list[int]:
    """Return a number for each box, the same for those of one text: in a long clip thousands of words are compared."""
    boxes = np.array(boxes_xyxy, np.int64).reshape(-1, 4)
    groups = np.arange(len(boxes))
    for at, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        room = max(_NEAR_PX, round(_NEAR * (y1 - y0)))
        low = np.maximum(boxes[:at, :2], (x0 - room, y0 - room))
        high = np.minimum(boxes[:at, 2:], (x1 + room, y1 + room))
        near = groups[:at][(low < high).all(axis=1)]
        groups[np.isin(groups, near)] = at
    return [int(group) for group in groups]
