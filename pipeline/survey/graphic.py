"""One burnt-in graphic: where it is, what it looks like, and from which frame to which it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Transforms
from pipeline.maths.boxes import Box, box_of_mask, clipped, grown
from pipeline.maths.masks import grow
from pipeline.maths.smoothing import longest_run
from pipeline.survey.behind_people import OverPeople, seen_over_people

Luma = NDArray[np.uint8]
Tints = NDArray[np.uint8]
_SHOWN = 0.5
"""Least opacity of a graphic that is still there."""
_MOST = 1.6
"""Largest one: the background that shows through a panel is clearer where there is no panel."""
_ALIKE = 12.0
"""Largest median difference in gray levels from what a graphic looks like before a still camera."""
_OTHER = 24
"""Gray levels by which a pixel differs that shows something else."""
_OTHER_SHARE = 0.33
"""Largest share of such pixels: more changes when one word replaces another at its place."""
_FADING = 0.2
"""Least opacity while it fades: the scene's own edges cause less."""
_LINK_PX = 4
"""Letters and words this close together form one graphic."""
LEAST_EDGE_PX = 24
_TYPICAL = 0.8
"""Share of a graphic's frames, those most like the others, that tell how steady it is."""
_STEADY_LEVELS = 1.2
_STEADY = 0.04
_STEADY_LARGE = 0.08
"""Largest mean deviation of an opaque graphic's edges from frame to frame, relative to their gradient. In coded clips
it is 0.00 to 0.04 for captions and up to 0.07 for pictures; for leaves that move on the spot, folds of cloth, and what
a person uncovers it is from 0.05 on in small parts and from 0.09 on in large ones."""
_LARGE_EDGE_PX = 400
_FAINT = 8.0
"""Median gradient, gray levels per px, below which an edge may be a curtain's."""
_STEADY_OPACITY = 0.12
"""Largest standard deviation of a faint graphic's opacity."""
_OUTLINE_PX = 3
"""From a person's mask to their outline, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One of the last frames, at the reduced size."""

    index: int
    luma: Luma
    """(h, w)."""
    people: Mask
    """(h, w)."""
    small_world: Transforms
    """(3, 3) from px of the small picture to the shot's ``world`` at that size."""
    tints: Tints | None = None
    """(h / 2, w / 2, 2) chroma, 128 where it is neutral; None for a gray picture."""


@dataclass(slots=True, eq=False)
class Graphic:
    """A graphic, at the reduced size."""

    box_xyxy: Box
    mask: Mask
    """(h, w) of the box."""
    edges: Mask
    """(h, w) of the box."""
    gx: Float32Array
    gy: Float32Array
    """(N,) gradient of the gray levels at the ``edges``."""
    gray: Float32Array
    """(N,) gray levels of the ``mask``."""
    first: int
    last: int
    """Frames, both included."""
    is_before_still: bool = False
    """The camera stands still: what shows through does not change either, where nobody passes behind."""
    is_lasting: bool = False
    """Found by what lasts while the scene moves, and perhaps translucent."""
    over_people: OverPeople = field(default_factory=OverPeople)
    """What its frames up to ``_looked_at`` tell."""
    _looked_at: int = -1

    @property
    def area(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        x0, y0, x1, y1 = self.box_xyxy
        return slice(y0, y1), slice(x0, x1)

    def opacity(self, luma: Luma, free: Mask | None = None) -> float:
        """Return how strongly the graphic shows in a frame (h, w): about 1 where it does, about 0 where it does not.

        The factor by which its gradient, at the edges (those of ``free`` (N,) where it is given), fits that of the
        frame best (least squares).
        """
        gx, gy = self._gradient(luma)
        own_x, own_y = self.gx, self.gy
        if free is not None:
            gx, gy, own_x, own_y = gx[free], gy[free], own_x[free], own_y[free]
        return float(gx @ own_x + gy @ own_y) / max(float(own_x @ own_x + own_y @ own_y), 1e-6)

    def _gradient(self, luma: Luma) -> tuple[Float32Array, Float32Array]:
        """Return a frame's gradient at the edges, (N,) each."""
        x0, y0, x1, y1 = self.box_xyxy
        left, top = max(x0 - 1, 0), max(y0 - 1, 0)
        part = luma[top : y1 + 1, left : x1 + 1]
        inner = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        gx = cv2.Sobel(part, cv2.CV_32F, 1, 0, scale=1 / 8)[inner][self.edges]
        gy = cv2.Sobel(part, cv2.CV_32F, 0, 1, scale=1 / 8)[inner][self.edges]
        return gx, gy

    def shows(self, frame: Seen) -> bool:
        """Return whether the graphic is completely shown in a frame, as far as nobody is in front of it."""
        if not _SHOWN <= self._opacity_in(frame) <= _MOST:
            return False
        if not self.is_before_still:
            return True
        away = np.abs(frame.luma[self.area][self.mask] - self.gray)
        if self.over_people.is_behind:
            away = away[~self._near_people(frame)[self.mask]]
        return not len(away) or float(np.median(away)) <= _ALIKE

    def look_at_people(self, frames: Sequence[Seen]) -> None:
        """Learn from the graphic's frames, as far as they are among the given ones, whether people hide it."""
        for frame in frames:
            if self.first <= frame.index <= self.last and frame.index > self._looked_at:
                self._looked_at = frame.index
                x0, y0, x1, y1 = self.box_xyxy
                if not frame.people[self.area].any():
                    continue
                around = clipped(grown(self.box_xyxy, _OUTLINE_PX), (frame.people.shape[1], frame.people.shape[0]))
                people = frame.people[around[1] : around[3], around[0] : around[2]]
                inner = np.s_[y0 - around[1] : y1 - around[1], x0 - around[0] : x1 - around[0]]
                over = ~grow(~people, _OUTLINE_PX)[inner][self.edges]
                beside = ~self._near_people(frame)[self.edges]
                own = self.gx, self.gy
                self.over_people += seen_over_people(self._gradient(frame.luma), own, over, beside)

    def _near_people(self, frame: Seen) -> Mask:
        """Return (h, w) of the box."""
        return grow(frame.people[self.area], _OUTLINE_PX)

    def _opacity_in(self, frame: Seen) -> float:
        if not self.over_people.is_behind:
            return self.opacity(frame.luma)
        free = ~self._near_people(frame)[self.edges]
        # Whoever hides nearly all of it does not end it.
        return self.opacity(frame.luma, free) if np.count_nonzero(free) >= LEAST_EDGE_PX else 1.0

    def trim(self, frames: Sequence[Seen]) -> None:
        """Reduce an opaque graphic to the longest time, among the given frames, in which it looks as it was found: the
        words before and after it may share its strokes."""
        own = [frame for frame in frames if self.first <= frame.index <= self.last]
        if self.is_lasting or not own:
            return
        start, stop = longest_run(np.array([self._looks_as_found(frame.luma) for frame in own]))
        if start < stop:
            if start > 0:
                self.first = own[start].index
            if stop < len(own):
                self.last = own[stop - 1].index

    def _looks_as_found(self, luma: Luma) -> bool:
        away = np.abs(luma[self.area][self.mask] - self.gray)
        return float(np.median(away)) <= _ALIKE and float(np.mean(away > _OTHER)) <= _OTHER_SHARE

    def is_steady(self, frames: Sequence[Seen]) -> bool:
        """Return whether the graphic looks the same in all of its frames, as far as they are among the given ones.

        A scene's own edges vary: leaves in the wind, folds of cloth, a curtain that the light comes through.
        """
        own = [frame.luma for frame in frames if self.first <= frame.index <= self.last]
        if len(own) < 2:
            return True
        gradient = float(np.median(np.hypot(self.gx, self.gy)))
        if self.is_lasting:
            return gradient >= _FAINT or float(np.std([self.opacity(luma) for luma in own])) <= _STEADY_OPACITY
        levels = np.stack([luma[self.area][self.edges] for luma in own]).astype(np.float32)
        away = np.sort(np.abs(levels - np.median(levels, axis=0)), axis=0)
        noise = float(np.median(away[: max(1, round(_TYPICAL * len(own)))].mean(axis=0)))
        is_large = np.count_nonzero(self.edges) >= _LARGE_EDGE_PX
        return noise <= max(_STEADY_LEVELS, (_STEADY_LARGE if is_large else _STEADY) * gradient)

    def follow(self, frames: Sequence[Seen]) -> bool:
        """Extend the graphic over newer frames while it shows; return whether it still does in the last one."""
        newer = [frame for frame in frames if frame.index > self.last]
        if not newer:
            return True
        if self.shows(newer[-1]):
            self.last = newer[-1].index
            return True
        self.last = self._reach(newer, self.last)
        return False

    def look_back(self, frames: Sequence[Seen], stop: int) -> None:
        """Extend the graphic over earlier frames, down to ``stop``, while it shows."""
        self.first = self._reach([frame for frame in reversed(frames) if stop <= frame.index < self.first], self.first)

    def _reach(self, frames: Iterable[Seen], known: int) -> int:
        """Return the last of consecutive frames in which the graphic shows or fades."""
        fades = False
        for frame in frames:
            opacity = self._opacity_in(frame)
            if self.is_before_still and not self.shows(frame) and opacity >= _SHOWN:
                break
            if not _FADING <= opacity <= _MOST or (fades and opacity > _SHOWN):
                break
            fades |= opacity < _SHOWN
            known = frame.index
        return known


def graphics_of(edges: Mask, area: Mask, mean: Float32Array, first: int, last: int) -> list[Graphic]:
    """Divide edges and the area around them, (h, w), into graphics; ``mean`` (h, w) is what they look like."""
    found = []
    count, labels = cv2.connectedComponents(grow(edges | area, _LINK_PX).view(np.uint8))
    gx = cv2.Sobel(mean, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(mean, cv2.CV_32F, 0, 1, scale=1 / 8)
    for label in range(1, count):
        own = labels == label
        own_edges = edges & own
        if np.count_nonzero(own_edges) < LEAST_EDGE_PX:
            continue
        whole = (area | edges) & own
        box = clipped(grown(box_of_mask(whole), 1), (edges.shape[1], edges.shape[0]))
        x0, y0, x1, y1 = box
        part = np.s_[y0:y1, x0:x1]
        inside = np.ascontiguousarray(own_edges[part])
        found.append(
            Graphic(
                box_xyxy=box,
                mask=np.ascontiguousarray(whole[part]),
                edges=inside,
                gx=gx[part][inside],
                gy=gy[part][inside],
                gray=mean[part][whole[part]],
                first=first,
                last=last,
            )
        )
    return found
