"""Follow the layers near the camera through the looks of a clip, several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.plan import Plan
from pipeline.maths.geometry import normalized
from pipeline.scene.near_mosaic import NearMosaic
from pipeline.scene.near_plane import Look, NearPlane, plane_from_plate
from pipeline.scene.parallax import RowParallax

_MOST_AT_ONCE = 3
_MOST_EARLIER = 48
"""Looks before a layer is found in which it is searched for, too."""
_STEADY_LOOKS = 3
"""Looks over which a layer's motion is measured to foretell it."""
_WARM_UP = 6
"""Looks that are put together as the plane predicts, before the mosaic tells better."""
_TOLD_PX = 6.0
"""Parallax of a layer against the plate from which its movement tells it from others."""
_ALIKE = 0.12
_ALIKE_PX = 0.6
"""Two layers are one if their movements differ by less than this share of a layer's parallax against the plate, plus so
many px."""
_MOST_DRIFT = 0.3
_MOST_DRIFT_PX = 3.0
"""A layer is given up where it lies farther than this share of the parallax, plus so many px, from where its plane
predicts it: then it follows the background."""
_SETTLED = 14
"""Looks after which a layer is recognized in those before it was found."""
_MOST_LOST = 10
"""Looks after which a layer that is not recognized has gone."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneAround:
    """A plane that was found around a plate."""

    movement: RowParallax
    plane: NearPlane

    def near_from_source(self, number: int, bin_px: float) -> Transforms | None:
        """Return the motion (3, 3) of a frame into the plane; None where it is not known."""
        row = self.movement.row_of(number)
        if row is None:
            return None
        small = np.diag([1 / bin_px, 1 / bin_px, 1.0])
        onto_plane = plane_from_plate(self.movement, self.plane.depth, row)
        return np.asarray(onto_plane @ small @ self.movement.plate_from_source[row], np.float64)

    def parallax_px(self, numbers: Sequence[int]) -> float:
        """Return how far the plane moves against the plate over some frames, as far as they are known."""
        rows = [row for number in numbers if (row := self.movement.row_of(number)) is not None]
        depth = self.plane.depth[:2] @ self.plane.middle_xy + self.plane.depth[2]
        return float(np.ptp(self.movement.moves[rows]) * abs(depth)) if rows else 0.0


@dataclass(slots=True, eq=False)
class Layer:
    """A layer that is followed."""

    mosaic: NearMosaic
    planes: list[tuple[PlaneAround, int]]
    """With the look in which the layer is where the plane is."""
    earlier: list[Look]
    """The looks before the first one."""
    near_from_world: dict[int, Transforms] = field(default_factory=dict)
    """By look."""
    num_lost: int = 0
    is_compared: bool = False

    def predicted(self, number: int) -> Transforms:
        """Return ``near_from_world`` in a look before or after all others: it moves as between the nearest ones."""
        numbers = sorted(self.near_from_world, key=lambda known: abs(known - number))
        last = self.near_from_world[numbers[0]]
        if len(numbers) <= _STEADY_LOOKS:
            return last
        before = self.near_from_world[numbers[_STEADY_LOOKS]]
        return last + (last - before) * ((number - numbers[0]) / (numbers[0] - numbers[_STEADY_LOOKS]))

    def moves_as(self, older: Layer) -> bool | None:
        """Return whether it is the same as a layer that was found before; None as long as looks at both do not tell."""
        both = sorted(self.near_from_world.keys() & older.near_from_world.keys())
        rows = [known.movement for known, _ in older.planes]
        shared = [look for look in both if any(row.row_of(look) is not None for row in rows)]
        around = self.planes[0][0]
        parallax_px = around.parallax_px(shared)
        if parallax_px < _TOLD_PX:
            return None
        middle = self.mosaic.placed(np.eye(3))[:2, 2] + around.plane.middle_xy
        motions = [older.near_from_world[look] @ np.linalg.inv(self.near_from_world[look]) for look in shared]
        places = [cv2.perspectiveTransform(middle[None, None], motion)[0, 0] for motion in motions]
        return bool(np.ptp(places, axis=0).max() < _ALIKE * parallax_px + _ALIKE_PX)


class NearFollower:
    """Takes the looks in order; each plane begins a layer, unless it is one that is followed already."""

    def __init__(
        self,
        plan: Plan,
        planes: Sequence[PlaneAround],
        bin_px: float,
        size_wh: tuple[int, int],
        body_height: float,
        most_beyond: int,
    ) -> None:
        """``size_wh`` and ``body_height`` are those of work pictures; a layer is followed ``most_beyond`` frames past
        those around the plates of its planes."""
        self._plan = plan
        self._waiting = sorted(planes, key=lambda around: around.plane.first_look)
        self._bin_px = bin_px
        self._size_wh = size_wh
        self._body_height = body_height
        self._most_beyond = most_beyond
        self._live: list[Layer] = []
        self._earlier: deque[Look] = deque(maxlen=_MOST_EARLIER)
        self._shot = -1

    def push(self, look: Look) -> list[Layer]:
        """Take the next look; return the layers that have ended."""
        ended = []
        shot = int(np.searchsorted(self._plan.shot_starts, look.number, side="right"))
        if shot != self._shot:
            ended = self.finish()
            self._shot = shot
            self._earlier.clear()
        for layer in self._live:
            self._follow(layer, look)
        gone = [layer for layer in self._live if layer.num_lost > _MOST_LOST]
        self._live = [layer for layer in self._live if layer.num_lost <= _MOST_LOST]
        self._begin(look)
        self._join()
        self._earlier.append(look)
        for layer in self._live:
            if len(layer.near_from_world) >= _SETTLED:
                self._follow_back(layer)
        for layer in gone:
            self._follow_back(layer)
        return ended + gone

    def finish(self) -> list[Layer]:
        """Return the layers that are followed to the end."""
        ended = self._live
        self._live = []
        for layer in ended:
            self._follow_back(layer)
        return ended

    def _begin(self, look: Look) -> None:
        """Begin the layers of planes that are known in a look from now on."""
        for around in list(self._waiting):
            if around.plane.first_look > look.number or len(self._live) >= _MOST_AT_ONCE:
                break
            self._waiting.remove(around)
            start = around.near_from_source(look.number, self._bin_px)
            if start is not None:
                mosaic = NearMosaic(self._size_wh, self._body_height)
                layer = Layer(mosaic, [(around, look.number)], list(self._earlier))
                self._add(layer, look, mosaic.placed(start) @ look.source_from_view)
                self._live.append(layer)

    def _join(self) -> None:
        """Keep the older of two layers that move alike, with the planes of both."""
        for number, layer in reversed(list(enumerate(self._live))):
            if layer.is_compared or layer.num_lost:
                continue
            alike = [layer.moves_as(older) for older in self._live[:number]]
            layer.is_compared = None not in alike
            if True in alike:
                older = self._live[alike.index(True)]
                last = max(layer.near_from_world.keys() & older.near_from_world.keys())
                older.planes += [(around, last) for around, _ in layer.planes]
                self._live.remove(layer)

    def _follow(self, layer: Layer, look: Look) -> None:
        motion = self._motion(layer, look, is_new=len(layer.near_from_world) <= _WARM_UP)
        if motion is None:
            layer.num_lost += 1
        else:
            layer.num_lost = 0
            self._add(layer, look, motion)

    def _follow_back(self, layer: Layer) -> None:
        """Add the looks before the first one of a layer, as far as it is recognized in them."""
        earlier = layer.earlier
        layer.earlier = []
        for look in reversed(earlier):
            motion = self._motion(layer, look)
            if motion is None:
                break
            self._add(layer, look, motion)

    def _motion(self, layer: Layer, look: Look, *, is_new: bool = False) -> Transforms | None:
        """Return the motion of a look into the mosaic; None where it is not recognized."""
        number = look.number
        nearest = min(layer.near_from_world, key=lambda known: abs(known - number))
        worlds = self._plan.camera.world_from_source
        for around, start in layer.planes:
            now = around.near_from_source(number, self._bin_px)
            before = around.near_from_source(nearest, self._bin_px)
            first = around.near_from_source(start, self._bin_px)
            if now is None or before is None or first is None:
                continue
            prior, planned = (
                layer.near_from_world[known] @ worlds[known] @ np.linalg.inv(then) @ now
                for known, then in ((nearest, before), (start, first))
            )
            if is_new:
                return prior @ look.source_from_view
            motion = layer.mosaic.refined(look, prior @ look.source_from_view)
            if motion is None:
                return None
            seen = np.linalg.inv(now) @ (*around.plane.middle_xy, 1.0)
            places = [each @ seen for each in (motion @ np.linalg.inv(look.source_from_view), planned)]
            drift_px = np.hypot(*(places[0][:2] / places[0][2] - places[1][:2] / places[1][2]))
            most_px = _MOST_DRIFT_PX + _MOST_DRIFT * around.parallax_px((start, number))
            return motion if drift_px < most_px else None
        rows = [around.movement.frames for around, _ in layer.planes]
        if min(np.abs(frames - number).min() for frames in rows) > self._most_beyond:
            return None
        return layer.mosaic.refined(look, layer.predicted(number) @ worlds[number] @ look.source_from_view)

    def _add(self, layer: Layer, look: Look, motion: Transforms) -> None:
        from_source = motion @ np.linalg.inv(look.source_from_view)
        world = self._plan.camera.world_from_source[look.number]
        layer.near_from_world[look.number] = normalized(from_source @ np.linalg.inv(world))
        layer.mosaic.add(look, motion)


def motions_of(layer: Layer, worlds: Transforms) -> tuple[int, NDArray[np.float64]]:
    """Return the first frame and (N, 3, 3) the motion of all frames from it on into the layer's mosaic.

    Between two looks it changes evenly. ``worlds`` (T, 3, 3) is the camera's.
    """
    looks = np.array(sorted(layer.near_from_world))
    near = np.stack([layer.near_from_world[look] for look in looks.tolist()])
    frames = np.arange(looks[0], looks[-1] + 1)
    motions = np.empty((len(frames), 3, 3))
    for row in range(3):
        for column in range(3):
            motions[:, row, column] = np.interp(frames, looks, near[:, row, column])
    return int(looks[0]), motions @ worlds[frames]
