"""Register every frame to the plates around it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from typing import BinaryIO, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.maths.geometry import normalized
from pipeline.maths.grain import noise_inside
from pipeline.maths.masks import grow
from pipeline.maths.similarity import LEAST_PX, structure_similarity
from pipeline.plate.anchors import AnchorPlan, background_grade
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.registration import Gray, Pattern, RegistrationTarget, fit_warp, work_factor, work_gray
from pipeline.plate.warp import Warp, node_shape
from pipeline.runtime.prefetch import parallel_map
from pipeline.shaped import Shaped, Shapes

_STRIDE = 3
"""Spacing of the registered frames. The rest are interpolated: parallax follows the camera's position, which is smooth,
and rotation and shake are in the chained motion, accurate to 0.1 px over so few frames."""
_KEPT_PLATES = 2
"""A frame is registered once the plates on both sides of it exist."""
_RING_BH = 0.16
_GRAIN_FRAMES = 6
"""Frames in which the grain of plate and source is compared."""
_INSIDE_PX = 6
_INSIDE_BH = 0.04
"""Distance from a person's mask, which is widened by half of that, at which nothing but the person is seen."""
_UNTOLD_FIT = 0.1
"""Differences in fit up to about this say nothing about the hole: beside it one plate may well fit better by chance."""
_TRUST_OF_FIT = np.log(16) / 0.1
"""A plate whose fit is worse by 0.1 more than that gets a sixteenth of the weight."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PlateAssignment(Shaped):
    """Which plates serve which frames."""

    SHAPES: ClassVar[Shapes] = {"plate_rows": ("T", 2), "second_weight": ("T",)}

    plate_rows: NDArray[np.int32]
    """(T, 2) rows of the plates: the nearer and the farther one, -1 for none."""
    second_weight: NDArray[np.float32]
    """(T,) weight of the farther one, 0..0.5."""

    def sides(self, frame: int) -> Iterator[tuple[int, int]]:
        """Yield (side, row) of the plates used in a frame."""
        for side in range(2):
            row = int(self.plate_rows[frame, side])
            if row >= 0 and (side == 0 or self.second_weight[frame] > 0):
                yield side, row


def assign_plates(num_frames: int, plans: Sequence[AnchorPlan]) -> PlateAssignment:
    """Assign each frame the two plates of its shot around it, and the weight of the farther one.

    The weights change linearly from one anchor to the next: the errors of two plates are different ones, so a blend is
    nearer to the truth than either, and nothing switches abruptly.
    """
    plate_rows = np.full((num_frames, 2), -1, np.int32)
    second_weight = np.zeros(num_frames, np.float32)
    frames = np.array([plan.frame for plan in plans], np.int64)
    for start, stop in sorted({(plan.shot_start, plan.shot_stop) for plan in plans}):
        first, last = np.searchsorted(frames, (start, stop))
        for t in range(start, stop):
            after = int(np.searchsorted(frames, t))
            around = [row for row in (after - 1, after) if first <= row < last]
            around.sort(key=lambda row: abs(int(frames[row]) - t))
            plate_rows[t, 0] = around[0]
            if len(around) == 2:
                plate_rows[t, 1] = around[1]
                gap = abs(int(frames[around[1]] - frames[around[0]]))
                second_weight[t] = abs(int(frames[around[0]]) - t) / gap
    return PlateAssignment(plate_rows, second_weight)


def frames_to_register(
    assignment: PlateAssignment, needed: NDArray[np.bool_], anchors: NDArray[np.int64]
) -> dict[int, list[int]]:
    """Return frame -> rows to register it to: the ends of each plate's frames, its anchor, and every third frame
    between.

    Unneeded frames are not ends: after a longer absence of the subject a new run of frames starts.
    """
    of_row: dict[int, list[int]] = {}
    for t in np.flatnonzero(needed).tolist():
        for _, row in assignment.sides(t):
            of_row.setdefault(row, []).append(t)
    chosen: dict[int, list[int]] = {}
    for row, frames in sorted(of_row.items()):
        for i, t in enumerate(frames):
            lone = i == 0 or i == len(frames) - 1 or t - frames[i - 1] > 1 or frames[i + 1] - t > 1
            if lone or (t - int(anchors[row])) % _STRIDE == 0:
                chosen.setdefault(t, []).append(row)
    return dict(sorted(chosen.items()))


class WarpWriter:
    """Writes the warps from frames to plates: measured ones, and those interpolated between two of them."""

    def __init__(
        self, stored: BinaryIO, from_source: Transforms, assignment: PlateAssignment, needed: NDArray[np.bool_]
    ) -> None:
        """``from_source`` (T, 2, 3, 3) holds the chained motion to each plate, and is corrected in place."""
        self.from_source = from_source
        self._stored = stored
        self._assignment = assignment
        self._needed = needed
        self._before: dict[int, tuple[int, Transforms, NDArray[np.float32]]] = {}

    def put(self, frame: int, row: int, warp: Warp) -> None:
        """Take the next registered frame of a plate; the frames since the last one are interpolated."""
        side = self._side(frame, row)
        # The correction by registration of the chained motion, in plate space: close to the identity, so it can be
        # interpolated.
        change = normalized(warp.from_to @ np.linalg.inv(self.from_source[frame, side]))
        if row in self._before:
            start, first, nodes = self._before[row]
            between = [t for t in range(start + 1, frame) if self._needed[t] and self._uses(t, row)]
            if len(between) == frame - start - 1:
                for t in between:
                    part = (t - start) / (frame - start)
                    mixed = (1 - part) * first + part * change
                    self._write(t, row, mixed, (1 - part) * nodes + part * warp.nodes)
        self._write(frame, row, change, warp.nodes)
        self._before[row] = (frame, change, warp.nodes)

    def _uses(self, frame: int, row: int) -> bool:
        return any(other == row for _, other in self._assignment.sides(frame))

    def _side(self, frame: int, row: int) -> int:
        return next(side for side, other in self._assignment.sides(frame) if other == row)

    def _write(self, frame: int, row: int, change: Transforms, nodes: NDArray[np.floating]) -> None:
        side = self._side(frame, row)
        self.from_source[frame, side] = change @ self.from_source[frame, side]
        block = nodes.astype(np.float16).tobytes()
        self._stored.seek((2 * frame + side) * len(block))
        self._stored.write(block)


def chained_warps(world_from_source: Transforms, anchors: NDArray[np.int64], assignment: PlateAssignment) -> Transforms:
    """Return (T, 2, 3, 3): the chained motion from each frame to the two plates of its ``plate_rows``."""
    from_source = np.tile(np.eye(3), (len(world_from_source), 2, 1, 1))
    for t, plate_rows in enumerate(assignment.plate_rows):
        for side in range(2):
            if plate_rows[side] >= 0:
                anchor = anchors[plate_rows[side]]
                from_source[t, side] = np.linalg.inv(world_from_source[anchor]) @ world_from_source[t]
    return from_source


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """A frame that was compared with its plates."""

    picture: Picture
    avoid: Mask
    found: list[tuple[int, int, Warp, float]]
    """For each plate its row, its side, the warp and how well it fits."""


class FrameRegistration:
    """Registers frames to the plates around them, in order."""

    def __init__(
        self,
        inputs: PlateInputs,
        plans: Sequence[AnchorPlan],
        chosen: dict[int, list[int]],
        assignment: PlateAssignment,
        warps: WarpWriter,
    ) -> None:
        """``chosen`` maps the frames to register to rows of ``plans``; the warps found go to ``warps``."""
        self._plans = plans
        self._chosen = chosen
        self._assignment = assignment
        self._warps = warps
        self._people_mask = inputs.people_mask
        self._height = inputs.body_height_px
        self._size_wh = inputs.size_wh
        self._targets: dict[int, RegistrationTarget] = {}
        self._patterns: dict[int, Pattern | None] = {}
        self._plates: dict[int, Picture] = {}
        self._waiting = deque(chosen)
        self._sampled = set(list(chosen)[:: max(1, len(chosen) // _GRAIN_FRAMES)])
        self.grain_patches: tuple[list[Picture], list[Picture], list[Mask]] = ([], [], [])
        self.noise_on_people: list[NDArray[np.float32]] = []
        """What ``maths.grain.noise_inside`` gives for the people of sampled frames."""
        self.fits: NDArray[np.float64] = np.full((len(inputs.needed), 2), np.nan)
        """(T, 2) how well each plate fits around the people of a registered frame; NaN where unknown."""

    def add_plate(self, row: int, plate: Picture, seen: Mask, pattern: Pattern | None = None) -> None:
        """Take the next plate (H, W, 3), where it is known (H, W), and its parallax pattern."""
        self._targets[row] = RegistrationTarget(plate, ~seen)
        self._plates[row] = plate
        self._patterns[row] = pattern
        self._patterns.pop(row - _KEPT_PLATES, None)
        self._targets.pop(row - _KEPT_PLATES, None)
        self._plates.pop(row - _KEPT_PLATES, None)

    def next_frame(self) -> int | None:
        """Return the first frame that is not registered yet."""
        return self._waiting[0] if self._waiting else None

    def ready(self, row: int) -> list[int]:
        """Return the next frames, ascending, whose plates are there once that of ``row`` is."""
        return list(takewhile(lambda frame: max(self._chosen[frame]) <= row, self._waiting))

    def register(self, frames: Iterable[tuple[int, Picture]], done: Callable[[], None]) -> None:
        """Register ``ready`` frames to their plates; ``done`` is called after each, and may raise."""
        with closing(parallel_map(self._measured, frames)) as all_measured:
            for measured in all_measured:
                t = self._waiting.popleft()
                for row, side, warp, fit in measured.found:
                    self.fits[t, side] = fit
                    self._warps.put(t, row, warp)
                    if side == 0 and t in self._sampled:
                        self._sample_grain(row, warp, measured.picture, measured.avoid)
                        self._sample_people(measured.picture, measured.avoid)
                done()

    def _measured(self, item: tuple[int, Picture]) -> _Measured:
        t, picture = item
        gray = work_gray(picture)
        avoid = background_grade(self._people_mask(t), self._height) == 0
        found = []
        for row in self._chosen[t]:
            side = 0 if row == self._assignment.plate_rows[t, 0] else 1
            warp = self._warp(t, side, row, gray, avoid)
            found.append((row, side, warp, self._fit(row, warp, gray, avoid)))
        return _Measured(picture, avoid, found)

    def _warp(self, frame: int, side: int, row: int, gray: Gray, avoid: Mask) -> Warp:
        """Register a frame to a plate; the anchor's own frame needs no registration."""
        guess = np.array(self._warps.from_source[frame, side])
        if self._plans[row].frame == frame:
            return Warp(guess, np.zeros((*node_shape(self._size_wh, self._height), 2), np.float32), 0)
        target = self._targets[row]
        rows, found = target.match(gray, avoid, np.linalg.inv(guess))
        places = target.features()[rows]
        return fit_warp(found, places, self._size_wh, self._height, guess, self._patterns[row])

    def _fit(self, row: int, warp: Warp, gray: Gray, avoid: Mask) -> float:
        """Compare a plate with a frame around its people, at the size of ``gray``."""
        if not avoid.any():
            return float("nan")
        factor = work_factor(self._size_wh)
        hidden = cv2.resize(avoid.view(np.uint8), gray.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        reach = max(3, round(_RING_BH * self._height / factor))
        x0, y0, x1, y1 = clipped(grown(box_of_mask(hidden), reach), (gray.shape[1], gray.shape[0]))
        middle = (factor - 1) / 2
        view, shown = self._targets[row].view(
            factor * np.arange(x0, x1, dtype=np.float64) + middle,
            factor * np.arange(y0, y1, dtype=np.float64) + middle,
            warp,
        )
        hidden = hidden[y0:y1, x0:x1]
        ring = grow(hidden, reach) & ~grow(hidden, 1) & shown
        if np.count_nonzero(ring) < LEAST_PX:
            return float("nan")
        return float(structure_similarity(view, gray[y0:y1, x0:x1], light=False)[ring].mean())

    def _sample_grain(self, row: int, warp: Warp, picture: Picture, avoid: Mask) -> None:
        """Compare a window of plate and source where the plate is a median of several frames."""
        h, w = avoid.shape
        needed_mask = self._plans[row].needed_mask
        ys, xs = np.nonzero(needed_mask)
        if not len(xs):
            return
        cx = int(np.median(xs))
        cy = int(np.median(ys))
        x0, y0, x1, y1 = clipped((cx - 160, cy - 120, cx + 160, cy + 120), (w, h))
        at = warp.coordinates((x0, y0, x1, y1), (w, h))
        static = cv2.remap(needed_mask.astype(np.uint8), at, None, cv2.INTER_NEAREST).astype(bool)
        plates, sources, usable = self.grain_patches
        plates.append(np.asarray(cv2.remap(self._plates[row], at, None, cv2.INTER_LANCZOS4), np.uint8))
        sources.append(np.array(picture[y0:y1, x0:x1]))
        usable.append(np.asarray(static & ~avoid[y0:y1, x0:x1]))

    def _sample_people(self, picture: Picture, avoid: Mask) -> None:
        """Measure the noise well inside the people, whom ``avoid`` (H, W) contains with a margin."""
        if not avoid.any():
            return
        side = 2 * max(_INSIDE_PX, round(_INSIDE_BH * self._height)) + 1
        x0, y0, x1, y1 = box_of_mask(avoid)
        inside = cv2.erode(np.ascontiguousarray(avoid[y0:y1, x0:x1]).view(np.uint8), np.ones((side, side), np.uint8))
        self.noise_on_people.append(noise_inside(np.ascontiguousarray(picture[y0:y1, x0:x1]), inside > 0))


def fitting_weight(second_weight: NDArray[np.float32], fits: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the weights (T,) of the farther plates, shifted towards the plate that fits each frame better.

    ``fits`` (T, 2) is known for the frames registered to both plates, and interpolated in between.
    """
    gain = fits[:, 1] - fits[:, 0]
    known = np.flatnonzero(np.isfinite(gain))
    if not len(known):
        return second_weight
    gain = np.interp(np.arange(len(gain)), known, gain[known])
    # About 0 up to the untold difference, and a straight line beyond.
    gain -= _UNTOLD_FIT * np.tanh(gain / _UNTOLD_FIT)
    share = second_weight * np.exp(_TRUST_OF_FIT * gain)
    return np.asarray(share / (share + 1 - second_weight), np.float32)
