"""Find where every frame lies in the plates around it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Transforms
from pipeline.maths.geometry import normalized
from pipeline.plate.anchors import AnchorPlan
from pipeline.plate.plate_set import read_plate
from pipeline.plate.registration import Reference, Warp

_STRIDE = 3
"""Frames between two that are registered. The rest lie between them: parallax follows the camera's place, which is
smooth, and what turns and shakes is in the chained motion, exact to 0.1 px over so few frames."""
_KEPT_REFERENCES = 3


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """Which plates serve which frames."""

    near: NDArray[np.int32]
    """(T, 2) rows of the plates: the nearer and the other one, -1 for none."""
    share: NDArray[np.float32]
    """(T,) weight of the other one, 0..0.5."""

    def sides(self, frame: int) -> Iterator[tuple[int, int]]:
        """Yield (side, row) of the plates that count in a frame."""
        for side in range(2):
            row = int(self.near[frame, side])
            if row >= 0 and (side == 0 or self.share[frame] > 0):
                yield side, row


def neighbours(num_frames: int, plans: Sequence[AnchorPlan]) -> Served:
    """Say which two plates a frame of the same shot lies between, and how much the farther one counts.

    The plates are mixed only in the middle half between two anchors: near an anchor its own plate is the sharpest,
    and a switch at once would show.
    """
    near = np.full((num_frames, 2), -1, np.int32)
    share = np.zeros(num_frames, np.float32)
    frames = np.array([plan.frame for plan in plans], np.int64)
    for start, stop in sorted({(plan.shot_start, plan.shot_stop) for plan in plans}):
        first, last = np.searchsorted(frames, (start, stop))
        for t in range(start, stop):
            after = int(np.searchsorted(frames, t))
            around = [row for row in (after - 1, after) if first <= row < last]
            around.sort(key=lambda row: abs(int(frames[row]) - t))
            near[t, 0] = around[0]
            if len(around) == 2:
                near[t, 1] = around[1]
                gap = abs(int(frames[around[1]] - frames[around[0]]))
                share[t] = np.clip(2 * abs(int(frames[around[0]]) - t) / gap - 0.5, 0, 0.5)
    return Served(near, share)


def frames_to_register(served: Served, needed: NDArray[np.bool_], anchors: NDArray[np.int64]) -> dict[int, list[int]]:
    """Return frame -> rows to register it to: the ends of each plate's frames, its anchor, and every third between.

    Frames that nobody needs are no ends: where the subject is absent for longer, a run of frames begins anew.
    """
    of_row: dict[int, list[int]] = {}
    for t in np.flatnonzero(needed).tolist():
        for _, row in served.sides(t):
            of_row.setdefault(row, []).append(t)
    chosen: dict[int, list[int]] = {}
    for row, frames in sorted(of_row.items()):
        for i, t in enumerate(frames):
            lone = i == 0 or i == len(frames) - 1 or t - frames[i - 1] > 1 or frames[i + 1] - t > 1
            if lone or (t - int(anchors[row])) % _STRIDE == 0:
                chosen.setdefault(t, []).append(row)
    return dict(sorted(chosen.items()))


class Places:
    """Writes the warps of frames to plates: those registered, and those between two that were."""

    def __init__(self, stored: BinaryIO, from_source: Transforms, served: Served, needed: NDArray[np.bool_]) -> None:
        """``from_source`` (T, 2, 3, 3) holds the chained motion to each plate, and is corrected in place."""
        self._stored, self._served, self._needed = stored, served, needed
        self._from_source = from_source
        self._before: dict[int, tuple[int, Transforms, NDArray[np.float32]]] = {}

    def put(self, frame: int, row: int, warp: Warp) -> None:
        """Take the next registered frame of a plate; its frames since the last one are filled in."""
        side = self._side(frame, row)
        # What registration changes of the chained motion, in the plate: near the identity, so it can be mixed.
        change = normalized(warp.from_to @ np.linalg.inv(self._from_source[frame, side]))
        if row in self._before:
            start, first, nodes = self._before[row]
            between = [t for t in range(start + 1, frame) if self._needed[t]]
            if len(between) == frame - start - 1:
                for t in between:
                    part = (t - start) / (frame - start)
                    mixed = (1 - part) * first + part * change
                    self._write(t, row, mixed, (1 - part) * nodes + part * warp.nodes)
        self._write(frame, row, change, warp.nodes)
        self._before[row] = (frame, change, warp.nodes)

    def _side(self, frame: int, row: int) -> int:
        return next(side for side, other in self._served.sides(frame) if other == row)

    def _write(self, frame: int, row: int, change: Transforms, nodes: NDArray[np.floating]) -> None:
        side = self._side(frame, row)
        self._from_source[frame, side] = change @ self._from_source[frame, side]
        block = nodes.astype(np.float16).tobytes()
        self._stored.seek((2 * frame + side) * len(block))
        self._stored.write(block)


class References:
    """The plates as references; the last few are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[int, Reference] = OrderedDict()

    def __getitem__(self, row: int) -> Reference:
        if row not in self._kept:
            plate, seen = read_plate(self._folder, row)
            self._kept[row] = Reference(plate, seen == 0)
            if len(self._kept) > _KEPT_REFERENCES:
                self._kept.popitem(last=False)
        return self._kept[row]
