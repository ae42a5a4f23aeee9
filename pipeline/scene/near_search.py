"""Search for layers near the camera that stand in front of the subject and do not move with the plate.

Only where the frames keep differing from the plates beside people. The subject is behind such a layer where it is seen
inside their outline: that is voted on along its lines, plate by plate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.plan import Plan
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow
from pipeline.maths.reduce import reduced
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.runtime.callbacks import Check
from pipeline.runtime.prefetch import prefetch
from pipeline.scene.body import body_of, part_distances
from pipeline.scene.colors import bins_of
from pipeline.scene.narrow import narrow_lines
from pipeline.scene.near_follow import Layer, NearFollower, PlaneAround, motions_of
from pipeline.scene.near_layer import save_motions, save_near_row
from pipeline.scene.near_mosaic import warped, warped_mask
from pipeline.scene.near_plane import Look, near_planes
from pipeline.scene.near_votes import RowVotes, in_front, surfaces_in_front
from pipeline.scene.parallax import row_parallax
from pipeline.scene.samples import COMMON, UNLIKELY, eroded
from pipeline.scene.scene_model import SceneModel
from pipeline.scene.surroundings import box_around
from pipeline.workspace.subject_masks import SubjectMasks

DOUBTED = 0.003
"""Share of the pixels beside people that differ from a plate, from which a layer is searched for."""
_NEAR_BH = 0.03
_CORE_BH = 0.018
_HIDDEN_BH = 0.018
"""Half the width of a bar that a mask may leave out."""
_CORE_PX = 3
_BONE_PX = 3.0
"""How far inside the mask colors tell of something in front, and how near a bone anything does that is not in it."""
_CALM_PX = 0.6
_BEYOND_LOOKS = 4
"""How far a layer is followed beyond the frames around the plates where its planes are known."""
_PLANE_STRIDE = 2
"""Every how many looks are compared at all depths."""
_SEEN = 14.0
_NOT_SEEN = 24.0
"""Largest and least difference, gray levels, from what the layer looks like where it is seen, and is not."""
_TEXTURE = 9.0
_TEXTURE_PX = 5
"""Least deviation of a pattern that is recognized, gray levels, and the side of the square in which it is compared."""


class NearSearch:
    """The search in one clip."""

    def __init__(self, clip: FrameSource, plan: Plan, masks: SubjectMasks, plates: PlateSet, model: SceneModel) -> None:
        self._clip = clip
        self._plan = plan
        self._masks = masks
        self._plates = plates
        self._model = model
        self._folder = model.folder
        self._bin_px = model.bin_px
        self._gain = model.gain
        known = plan.subject.body_height_px[np.isfinite(plan.subject.body_height_px)]
        self._body_height = float(np.median(known)) / model.bin_px

    def run(self, numbers: Sequence[int], doubted_rows: set[int], check: Check) -> None:
        """Search in the frames ``numbers``, ascending, around the plates ``doubted_rows``, and write what is found."""
        rows = self._plates.plate_rows
        numbers = [number for number in numbers if doubted_rows & {int(row) for row in rows[number]}]
        if not numbers:
            return
        planes = self._planes(numbers, doubted_rows, check)
        if not planes:
            return
        width, height = (max(1, round(side / self._bin_px)) for side in self._plates.size_wh)
        follower = NearFollower(
            self._plan,
            planes,
            self._bin_px,
            (width, height),
            self._body_height,
            _BEYOND_LOOKS * int(np.median(np.diff(numbers))),
        )
        motions: list[tuple[int, Transforms]] = []

        def keep(layers: list[Layer]) -> None:
            for layer in layers:
                self._vote(layer, len(motions), check)
                motions.append(motions_of(layer, self._plan.camera.world_from_source))

        for look in self._looks(numbers, check):
            keep(follower.push(look))
        keep(follower.finish())
        if motions:
            save_motions(self._folder, motions)

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
        inside, unseen = self._inside(number, subject, box)
        free = ~grow(subject | others, max(2, round(_NEAR_BH * self._body_height)))
        scale_x, scale_y = (x1 - x0) / width, (y1 - y0) / height
        from_view = np.array(
            [[scale_x, 0, x0 + 0.5 * scale_x - 0.5], [0, scale_y, y0 + 0.5 * scale_y - 0.5], [0, 0, 1]], np.float64
        )
        core = eroded(subject, _CORE_PX) & ~others
        calm = np.asarray(small, np.uint8)
        return Look(number, calm, free, inside & ~others, from_view, size_wh, core, unseen & ~others)

    def _inside(self, number: int, subject: Mask, box_xyxy: Box) -> tuple[Mask, Mask]:
        """Return (h, w) where the subject is, seen or not, and the bones that the mask leaves out, as it may what is in
        front of them."""
        height_px = float(self._plan.subject.body_height_px[number])
        skeleton = self._plan.subject.skeletons[number]
        body = body_of(skeleton, height_px, box_xyxy[:2], self._bin_px, self._plates.size_wh)
        segments = body.segments[body.in_picture].copy()
        limbs = part_distances(segments, *subject.shape).min(axis=0) < -_CORE_BH * body.height_px
        segments[:, 4] = _BONE_PX
        bones = part_distances(segments, *subject.shape).min(axis=0) < 0
        gap_px = max(1, round(_HIDDEN_BH * self._body_height))
        kernel = np.ones((2 * gap_px + 1, 2 * gap_px + 1), np.uint8)
        closed = cv2.morphologyEx(subject.view(np.uint8), cv2.MORPH_CLOSE, kernel) > 0
        return np.asarray(limbs | eroded(closed, 1), np.bool_), np.asarray(bones & ~subject, np.bool_)

    def _planes(self, numbers: Sequence[int], doubted_rows: set[int], check: Check) -> list[PlaneAround]:
        """Return the planes found around plates."""
        movements = {row: movement for row in sorted(doubted_rows) if (movement := row_parallax(self._plates, row))}
        waiting: dict[int, list[Look]] = {row: [] for row in movements}
        planes: list[PlaneAround] = []

        def finish(row: int) -> None:
            found = near_planes(waiting.pop(row), movements[row], self._bin_px, self._body_height)
            planes.extend(PlaneAround(movements[row], plane) for plane in found)

        for look in self._looks(numbers[::_PLANE_STRIDE], check):
            for row in [row for row in waiting if movements[row].frames[-1] < look.number]:
                finish(row)
            for row in waiting:
                if movements[row].row_of(look.number) is not None:
                    waiting[row].append(look)
        for row in list(waiting):
            finish(row)
        return planes

    def _vote(self, layer: Layer, number: int, check: Check) -> None:
        """Write, plate by plate, which of the layer's lines and surfaces stand in front of the subject."""
        mosaic = layer.mosaic
        parts, steady = mosaic.parts()
        plain = mosaic.plain()
        picture = np.clip(np.rint(mosaic.picture), 0, 255).astype(np.uint8)
        votes = RowVotes(parts.shape)

        def write(before: int | None) -> None:
            for done, seen_votes, hidden_votes in votes.before(before):
                front = in_front(parts, steady, seen_votes * parts, hidden_votes * parts, self._body_height)
                surfaces = surfaces_in_front(picture, plain, seen_votes, hidden_votes, self._body_height)
                save_near_row(self._folder, done, number, front | surfaces, steady, mosaic.picture)

        for look in self._looks(sorted(layer.near_from_world), check):
            row = int(self._plates.plate_rows[look.number, 0])
            write(row)
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
            core, unseen = (warped_mask(part, motion, box) for part in (look.core, look.unseen))
            lines, surface = parts[y0:y1, x0:x1], plain[y0:y1, x0:x1]
            colors = bins_of(np.asarray(seen, np.uint8), 1.0)
            likely = self._model.row(row).subject.max(axis=0)[colors]
            foreign = (core & (likely < UNLIKELY)) | (unseen & (likely < COMMON))
            alike = apart < _SEEN
            found = (lines & ((shown & alike) | pattern)) | (surface & foreign & alike)
            votes.add(row, box, inside & found, inside & (lines | surface) & (apart > _NOT_SEEN))
        write(None)
