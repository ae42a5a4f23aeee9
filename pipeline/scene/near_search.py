"""Search for layers near the camera that stand in front of the subject and do not move with the plate.

Only where the frames keep differing from the plates beside people. The subject is behind such a layer where it is seen
inside their outline: that is voted on along its lines, plate by plate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.plan import Plan
from pipeline.maths.boxes import Box
from pipeline.maths.geometry import normalized
from pipeline.maths.masks import grow
from pipeline.maths.reduce import reduced
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import prefetch
from pipeline.scene.body import body_of, part_distances
from pipeline.scene.narrow import narrow_lines
from pipeline.scene.near_layer import save_motion, save_near_row
from pipeline.scene.near_mosaic import NearMosaic, warped
from pipeline.scene.near_plane import Look, near_plane, plane_from_plate
from pipeline.scene.near_votes import RowVotes, in_front
from pipeline.scene.parallax import RowParallax, row_parallax
from pipeline.scene.samples import eroded
from pipeline.scene.scene_model import SceneModel
from pipeline.scene.surroundings import box_around
from pipeline.workspace.subject_masks import SubjectMasks

DOUBTED = 0.003
"""Share of the pixels beside people that differ from a plate, from which a layer is searched for."""
_NEAR_BH = 0.03
_CORE_BH = 0.018
_HIDDEN_BH = 0.018
"""Half the width of a bar that a mask may leave out."""
_CALM_PX = 0.6
_PLANE_STRIDE = 2
"""Every how many looks are compared at all depths."""
_SEEN = 14.0
_NOT_SEEN = 24.0
"""Largest and least difference, gray levels, from what the layer looks like where it is seen, and is not."""
_CLEAR = 0.4
"""Share of the points on the clearest plane, below which one around another plate is a chance."""
_TEXTURE = 9.0
_TEXTURE_PX = 5
"""Least deviation of a pattern that is recognized, gray levels, and the side of the square in which it is compared."""
_MOST_EARLIER = 48
"""Looks before a layer is found in which it is searched for, too."""
_STEADY_LOOKS = 3
"""Looks over which a layer's motion is measured to foretell it."""
_WARM_UP = 6
"""Looks that are put together as the plane predicts, before the mosaic tells better."""
_MOST_LOST = 10
"""Looks after which a layer that is not recognized has gone."""


_Planes = dict[int, tuple[RowParallax, NDArray[np.float64]]]
"""By plate: the camera's movement around it, and a plane as ``near_plane`` returns it."""


@dataclass(slots=True, eq=False)
class _Layer:
    """A layer that is followed."""

    mosaic: NearMosaic
    near_from_world: dict[int, Transforms] = field(default_factory=dict)
    """By look."""
    num_lost: int = 0

    def predicted(self, number: int) -> Transforms:
        """Return ``near_from_world`` in a look before or after all others: it moves as between the nearest ones."""
        numbers = sorted(self.near_from_world, key=lambda known: abs(known - number))
        last = self.near_from_world[numbers[0]]
        if len(numbers) <= _STEADY_LOOKS:
            return last
        before = self.near_from_world[numbers[_STEADY_LOOKS]]
        return last + (last - before) * ((number - numbers[0]) / (numbers[0] - numbers[_STEADY_LOOKS]))


class NearSearch:
    """The search in one clip."""

    def __init__(self, clip: FrameSource, plan: Plan, masks: SubjectMasks, plates: PlateSet, model: SceneModel) -> None:
        self._clip = clip
        self._plan = plan
        self._masks = masks
        self._plates = plates
        self._folder = model.folder
        self._bin_px = model.bin_px
        self._gain = model.gain
        known = plan.subject.body_height_px[np.isfinite(plan.subject.body_height_px)]
        self._body_height = float(np.median(known)) / model.bin_px
        self._small = np.diag([1 / model.bin_px, 1 / model.bin_px, 1.0])

    def run(self, numbers: Sequence[int], doubted_rows: set[int], check: Check) -> None:
        """Search in the frames ``numbers``, ascending, around the plates ``doubted_rows``, and write what is found."""
        rows = self._plates.plate_rows
        numbers = [number for number in numbers if doubted_rows & {int(row) for row in rows[number]}]
        if not numbers:
            return
        planes = self._planes(numbers, doubted_rows, check)
        if not planes:
            return
        layer = self._followed(numbers, planes, check)
        if layer is None:
            return
        self._vote(layer, check)
        save_motion(self._folder, self._motions(layer))

    def _looks(self, numbers: Sequence[int], check: Check) -> Iterator[Look]:
        for frame in prefetch(self._clip.frames_at(numbers)):
            check()
            yield self._look(frame.index, rgb_of(frame))

    def _look(self, number: int, picture: Picture) -> Look:
        size_wh = self._plates.size_wh
        box = box_around(self._plan, number, size_wh)
        x0, y0, x1, y1 = box
        area = np.s_[y0:y1, x0:x1]
        width, height = (max(1, round(side / self._bin_px)) for side in (x1 - x0, y1 - y0))
        small = cv2.GaussianBlur(reduced(picture[area], (width, height)), (0, 0), _CALM_PX)
        small = cv2.convertScaleAbs(small, alpha=self._gain)
        masks = self._masks.subject_mask(number), self._masks.others_mask(number)
        parts = (np.ascontiguousarray(mask[area]).view(np.uint8) for mask in masks)
        subject, others = (cv2.resize(part, (width, height), interpolation=cv2.INTER_NEAREST) > 0 for part in parts)
        inside = self._inside(number, subject, box)
        free = ~grow(subject | others, max(2, round(_NEAR_BH * self._body_height)))
        scale_x, scale_y = (x1 - x0) / width, (y1 - y0) / height
        from_view = np.array(
            [[scale_x, 0, x0 + 0.5 * scale_x - 0.5], [0, scale_y, y0 + 0.5 * scale_y - 0.5], [0, 0, 1]], np.float64
        )
        return Look(number, np.asarray(small, np.uint8), free, inside & ~others, from_view, size_wh)

    def _inside(self, number: int, subject: Mask, box_xyxy: Box) -> Mask:
        """Return (h, w) where the subject is, seen or not: the mask may leave out what is in front of them."""
        height_px = float(self._plan.subject.body_height_px[number])
        skeleton = self._plan.subject.skeletons[number]
        body = body_of(skeleton, height_px, box_xyxy[:2], self._bin_px, self._plates.size_wh)
        limbs = part_distances(body.segments[body.in_picture], *subject.shape).min(axis=0) < -_CORE_BH * body.height_px
        gap_px = max(1, round(_HIDDEN_BH * self._body_height))
        kernel = np.ones((2 * gap_px + 1, 2 * gap_px + 1), np.uint8)
        closed = cv2.morphologyEx(subject.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
        return np.asarray(limbs | eroded(closed, 1), np.bool_)

    def _planes(self, numbers: Sequence[int], doubted_rows: set[int], check: Check) -> _Planes:
        """Return the planes found around plates, with the camera's movement there."""
        movements = {row: movement for row in sorted(doubted_rows) if (movement := row_parallax(self._plates, row))}
        waiting: dict[int, list[Look]] = {row: [] for row in movements}
        planes: dict[int, tuple[RowParallax, NDArray[np.float64], int]] = {}

        def finish(row: int) -> None:
            plane = near_plane(waiting.pop(row), movements[row], self._bin_px, self._body_height)
            if plane is not None:
                planes[row] = movements[row], *plane

        for look in self._looks(numbers[::_PLANE_STRIDE], check):
            for row in [row for row in waiting if movements[row].frames[-1] < look.number]:
                finish(row)
            for row in waiting:
                if movements[row].row_of(look.number) is not None:
                    waiting[row].append(look)
        for row in list(waiting):
            finish(row)
        most = max((points for _, _, points in planes.values()), default=0)
        return {row: (movement, plane) for row, (movement, plane, points) in planes.items() if points > _CLEAR * most}

    def _followed(
        self,
        numbers: Sequence[int],
        planes: _Planes,
        check: Check,
    ) -> _Layer | None:
        """Follow the first layer that was found, and put its picture together."""
        layer = None
        earlier: deque[Look] = deque(maxlen=_MOST_EARLIER)
        shot = -1
        for look in self._looks(numbers, check):
            shot_before, shot = shot, int(np.searchsorted(self._plan.shot_starts, look.number, side="right"))
            if shot != shot_before:
                earlier.clear()
                if layer is not None:
                    break
            if layer is None:
                start = self._start(look.number, planes)
                if start is None:
                    earlier.append(look)
                    continue
                width, height = (max(1, round(side / self._bin_px)) for side in self._plates.size_wh)
                layer = _Layer(NearMosaic((width, height), self._body_height))
                prior = layer.mosaic.placed(start)
            else:
                prior = self._prior(layer, look.number, planes)
            motion: Transforms | None = prior @ look.source_from_view
            if len(layer.near_from_world) > _WARM_UP:
                motion = layer.mosaic.refined(look, prior @ look.source_from_view)
            if motion is None:
                layer.num_lost += 1
                if layer.num_lost > _MOST_LOST:
                    break
                continue
            layer.num_lost = 0
            self._add(layer, look, motion)
        if layer is not None:
            self._follow_back(layer, list(earlier))
        return layer

    def _follow_back(self, layer: _Layer, earlier: list[Look]) -> None:
        """Add the looks before the first one of a layer, as far as it is recognized in them."""
        for look in reversed(earlier):
            prior = layer.predicted(look.number) @ self._plan.camera.world_from_source[look.number]
            motion = layer.mosaic.refined(look, prior @ look.source_from_view)
            if motion is None:
                break
            self._add(layer, look, motion)

    def _add(self, layer: _Layer, look: Look, motion: Transforms) -> None:
        from_source = motion @ np.linalg.inv(look.source_from_view)
        world = self._plan.camera.world_from_source[look.number]
        layer.near_from_world[look.number] = normalized(from_source @ np.linalg.inv(world))
        layer.mosaic.add(look, motion)

    def _start(self, number: int, planes: _Planes) -> Transforms | None:
        """Return the motion of a frame into the first plane that is known in it."""
        for movement, plane in planes.values():
            row = movement.row_of(number)
            if row is not None:
                return plane_from_plate(movement, plane, row) @ self._small @ movement.plate_from_source[row]
        return None

    def _prior(self, layer: _Layer, number: int, planes: _Planes) -> Transforms:
        """Return the motion of a frame into the mosaic: from its last look as a plane tells, or else as it moved."""
        last = max(layer.near_from_world)
        worlds = self._plan.camera.world_from_source
        for movement, plane in planes.values():
            rows = [movement.row_of(each) for each in (last, number)]
            if rows[0] is not None and rows[1] is not None:
                then, now = (
                    plane_from_plate(movement, plane, row) @ self._small @ movement.plate_from_source[row]
                    for row in (rows[0], rows[1])
                )
                return normalized(layer.near_from_world[last] @ worlds[last] @ np.linalg.inv(then) @ now)
        return normalized(layer.predicted(number) @ worlds[number])

    def _motions(self, layer: _Layer) -> Transforms:
        """Return (T, 3, 3) the motion of all frames into the mosaic: between two looks it changes evenly."""
        worlds = self._plan.camera.world_from_source
        motions = np.full((len(worlds), 3, 3), np.nan)
        looks = np.array(sorted(layer.near_from_world))
        near = np.stack([layer.near_from_world[look] for look in looks.tolist()])
        frames = np.arange(looks[0], looks[-1] + 1)
        for row in range(3):
            for column in range(3):
                motions[frames, row, column] = np.interp(frames, looks, near[:, row, column])
        motions[frames] = motions[frames] @ worlds[frames]
        return motions

    def _vote(self, layer: _Layer, check: Check) -> None:
        """Write, plate by plate, which of the layer's lines stand in front of the subject."""
        mosaic = layer.mosaic
        parts, steady = mosaic.parts()
        votes = RowVotes(parts.shape)
        for look in self._looks(sorted(layer.near_from_world), check):
            row = int(self._plates.plate_rows[look.number, 0])
            for done, seen_votes, hidden_votes in votes.before(row):
                self._write(layer, done, in_front(parts, steady, seen_votes, hidden_votes, self._body_height), steady)
            world = self._plan.camera.world_from_source[look.number]
            motion = layer.near_from_world[look.number] @ world @ look.source_from_view
            x0, y0, x1, y1 = box = mosaic.box_of(look, motion)
            if x1 <= x0 or y1 <= y0:
                continue
            seen, inside = warped(look.picture, look.body, motion, box)
            apart = np.abs(seen - mosaic.picture[y0:y1, x0:x1]).max(axis=-1)
            gray = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY)
            power = cv2.blur(gray * gray, (_TEXTURE_PX, _TEXTURE_PX)) - cv2.blur(gray, (_TEXTURE_PX, _TEXTURE_PX)) ** 2
            # Clothes in the layer's colors show neither its pattern nor its lines.
            pattern = steady[y0:y1, x0:x1] & (power > _TEXTURE**2)
            pattern &= cv2.blur(apart, (_TEXTURE_PX, _TEXTURE_PX)) < _SEEN
            shown = grow(narrow_lines(np.ascontiguousarray(seen.astype(np.uint8)), self._body_height), 1)
            # A pixel off the line's middle is mixed with what is behind it.
            apart = cv2.erode(apart, np.ones((3, 3), np.uint8))
            inside &= parts[y0:y1, x0:x1]
            votes.add(row, box, inside & ((shown & (apart < _SEEN)) | pattern), inside & (apart > _NOT_SEEN))
        for done, seen_votes, hidden_votes in votes.before(None):
            self._write(layer, done, in_front(parts, steady, seen_votes, hidden_votes, self._body_height), steady)

    def _write(self, layer: _Layer, row: int, front: Mask, steady: Mask) -> None:
        save_near_row(self._folder, row, front, steady, layer.mosaic.picture)
