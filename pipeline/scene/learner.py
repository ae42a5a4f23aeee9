"""Count what the frames show around the subject, plate by plate, and write what follows from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow, resized_mask
from pipeline.maths.reduce import reduced
from pipeline.maths.uneven_light import match_uneven_light
from pipeline.plate.plate_set import PlateSet
from pipeline.scene.balls import Balls
from pipeline.scene.body import body_of
from pipeline.scene.color_counts import ColorCounts, faded_sum
from pipeline.scene.colors import density
from pipeline.scene.front_in_place import with_front_in_place
from pipeline.scene.hair import hair_counts, head_counts, worn_cells
from pipeline.scene.hand_colors import hand_counts, outline_counts
from pipeline.scene.occluders import Evidence, PlateEvidence
from pipeline.scene.samples import (
    Sample,
    beside_counts,
    foreign_counts,
    likeness,
    others_counts,
    sample_of,
    subject_counts,
)
from pipeline.scene.scene_model import SceneModel, SceneRow, balls_path, bins_at, save_meetings, save_row
from pipeline.scene.surroundings import box_around
from pipeline.scene.unfound import with_unfound
from pipeline.scene.views import view_of, view_size
from pipeline.workspace.subject_masks import SubjectMasks

_BATCH = 5
_NEAR_ROWS = 4
_CLOSE_BH = 0.1
_MEETING_SECONDS = 0.4
"""How long before and after somebody is seen close to the subject they may be there without a mask."""
_LONGEST_MEETING_SECONDS = 3.0
"""Who was close to the subject and is so again after no longer than this was there, hidden or not found."""
_LEAST_THING_PX = 30.0
"""Pixels of foreign objects in a frame, on average, at ``WORK_BODY_PX``: those of a book or a bottle."""
_FADE = 0.6
"""Weight of a neighboring plate's counts; colors change slowly with light and orientation."""


class _Counts:
    """The counts around one plate."""

    def __init__(self, plates: PlateSet, height_px: float) -> None:
        self.evidence = PlateEvidence(plates.size_wh, height_px)
        self.colors = ColorCounts()


class SceneLearner:
    """Takes the frames in order; holds the counts of the plates to which the next frames may still contribute."""

    def __init__(self, plan: Plan, plates: PlateSet, model: SceneModel, height_px: float) -> None:
        self._plan = plan
        self._plates = plates
        self._folder = model.folder
        self._height_px = height_px
        self._balls = Balls.load(balls_path(model.folder))
        self._open: dict[int, _Counts] = {}
        self._colors: dict[int, ColorCounts] = {}
        """Counts of the finished plates."""
        self._waiting: list[tuple[int, Sample]] = []
        """Samples waiting to be counted until more is known about the subject's own colors."""
        self._close_frames: list[int] = []
        """Frames in which somebody is close to the subject."""
        self.doubts: dict[int, float] = {}
        """By plate: how much of what is beside people differs from it; of the finished plates."""
        self._thing_px = 0.0
        self._num_looks = 0
        self._written = 0
        self._shot_of = np.searchsorted(plan.shot_starts, plates.anchors, side="right")

    def push(self, number: int, sample: Sample) -> None:
        """Add the sample of the next frame (``look_at``)."""
        rows = [int(row) for row in self._plates.plate_rows[number]]
        done = [row for row in sorted(self._open) if row < min(other for other in rows if other >= 0)]
        if done or len(self._waiting) >= _BATCH:
            self._take_waiting()
        for row in done:
            self._close(row)
        for row in rows:
            if row >= 0:
                self._open.setdefault(row, _Counts(self._plates, self._height_px))
        counts = self._open[rows[0]]
        is_found = self._is_found(number) and not sample.is_veiled
        if is_found:
            counts.colors.others += others_counts(sample)
        if (sample.others_mask & (sample.outside < _CLOSE_BH)).any():
            self._close_frames.append(number)
        ball = self._balls.mask(number, sample.view.box_xyxy)
        if ball is not None:
            # Recognized by its shape: its colors are not evidence about the subject or about what they carry.
            sample = replace(sample, others_mask=sample.others_mask | sample.view.reduced(ball))
        if is_found:
            counts.colors.add_subject(subject_counts(sample))
            counts.colors.head += head_counts(sample)
        if not (sample.is_unsure or sample.is_veiled):
            self._waiting.append((number, sample))

    @property
    def sees_things(self) -> bool:
        """Whether foreign objects are seen often enough for one to be carried."""
        return self._thing_px > _LEAST_THING_PX * self._num_looks

    def finish(self, rate: float) -> None:
        """Write the remaining rows; ``rate`` in frames per second."""
        self._take_waiting()
        for row in sorted(self._open):
            self._close(row)
        self._write(len(self._plates.anchors))
        gap = round(_LONGEST_MEETING_SECONDS * rate)
        lost = self._plan.subject.others_lost
        if lost is not None:
            self._close_frames = sorted({*self._close_frames, *np.flatnonzero(lost).tolist()})
        save_meetings(self._folder, self._close_frames, round(_MEETING_SECONDS * rate), gap)

    def _take_waiting(self) -> None:
        """Count what is visible around the subject, given what is known about their colors so far."""
        for number, sample in self._waiting:
            rows = [int(row) for row in self._plates.plate_rows[number]]
            counts = self._open[rows[0]]
            near = [(_FADE ** abs(other - rows[0]), self._colors[other]) for other in self._near(rows[0], rows[0])]
            subject = density(counts.colors.subject + sum(weight * colors.subject for weight, colors in near))
            likelihood = likeness(sample, subject)
            is_found = self._is_found(number)
            evidence = (Evidence.of if is_found else Evidence.of_hidden)(sample, likelihood)
            places = {}
            for side, row in enumerate(rows):
                if row >= 0:
                    places[side] = self._plates.positions(number, side, sample.view.box_xyxy, sample.view.size_wh)
                    self._open[row].evidence.add(places[side], evidence)
            if not is_found:
                continue
            is_wrong = bins_at(counts.evidence.wrong(), places[0], counts.evidence.bin_px)
            counts.colors.add_beside(*beside_counts(sample, is_wrong))
            counts.colors.add_hands(hand_counts(sample, is_wrong))
            counts.colors.outline += outline_counts(sample)
            known = faded_sum([(1.0, counts.colors), *near])
            foreign, breadth_bh = foreign_counts(sample, likelihood, is_wrong, known.is_held())
            counts.colors.add_foreign(foreign, breadth_bh)
            self._thing_px += float(foreign.sum())
            self._num_looks += 1
            counts.colors.hair += hair_counts(sample, worn_cells(known.head))
        self._waiting.clear()

    def _is_found(self, number: int) -> bool:
        return bool(self._plan.subject.presence[number] == Presence.FOUND)

    def _close(self, row: int) -> None:
        counts = self._open.pop(row)
        self._colors[row] = counts.colors
        self.doubts[row] = counts.evidence.doubt
        plate, _ = self._plates.plate(row)
        places = np.stack([counts.evidence.front(plate), counts.evidence.wrong()])
        np.savez(self._places_path(row), places=np.packbits(places, axis=-1), width=np.int64(places.shape[2]))
        self._write(row - _NEAR_ROWS)

    def _places_path(self, row: int) -> Path:
        return self._folder / f"places_{row:04d}.npz"

    def _take_places(self, row: int) -> NDArray[np.bool_]:
        """Return (2, h, w): what stands in front of the subject, and where the plate is wrong."""
        path = self._places_path(row)
        if not path.exists():
            return np.zeros((2, 1, 1), np.bool_)
        with np.load(path) as saved:
            places = np.unpackbits(saved["places"], axis=-1, count=int(saved["width"])).astype(np.bool_)
        path.unlink()
        return places

    def _near(self, row: int, stop: int) -> list[int]:
        return [
            near
            for near in range(max(row - _NEAR_ROWS, 0), stop)
            if near in self._colors and self._shot_of[near] == self._shot_of[row]
        ]

    def _write(self, stop: int) -> None:
        """Write the rows below ``stop`` whose neighbors are known, and release what no other row needs."""
        while self._written < stop:
            row = self._written
            near_rows = self._near(row, row + _NEAR_ROWS + 1)
            colors = faded_sum([(_FADE ** abs(near - row), self._colors[near]) for near in near_rows])
            front, wrong = self._take_places(row)
            foreign = colors.foreign_colors()
            others = colors.others_colors()
            over_time = colors.in_hand_colors(), colors.is_surely_held(), worn_cells(colors.head)
            own = colors.own_colors()
            save_row(self._folder, row, SceneRow(own, foreign, others, colors.breadth_bh, front, wrong, *over_time))
            self._written += 1
            self._colors.pop(row - _NEAR_ROWS, None)


def look_at(picture: Picture, number: int, plan: Plan, masks: SubjectMasks, plates: PlateSet, gain: float) -> Sample:
    """Compare a frame (H, W, 3) with its plate around the subject."""
    height_px = float(plan.subject.body_height_px[number])
    subject_mask = masks.subject_mask(number)
    others_mask = masks.others_mask(number)
    overlay_mask = masks.overlay_mask(number)
    if overlay_mask is not None:
        others_mask = others_mask | overlay_mask
    size_wh = plates.size_wh
    box = box_around(plan, number, size_wh)
    x0, y0, x1, y1 = box
    view_wh = view_size(box, height_px)
    plate, seen = plates.render(number, box, view_wh)
    source = reduced(picture[y0:y1, x0:x1], view_wh)
    scale = view_wh[1] / (y1 - y0)
    subject, others = (_part(mask, box) for mask in (subject_mask, others_mask))
    own, people = (resized_mask(mask, view_wh) for mask in (subject, subject | others))
    hole = grow(own, max(2, round(0.035 * height_px * scale)))
    ring = grow(hole, max(4, round(0.08 * height_px * scale))) & ~hole & ~people
    lit, veil = match_uneven_light(plate, source, ring)
    view = view_of(box, source, lit, seen, height_px)
    body = body_of(plan.subject.skeletons[number], height_px, (x0, y0), view.factor, size_wh)
    sample = replace(sample_of(view, body, subject, others, gain), is_veiled=veil is not None and veil.hides(own))

    def single() -> Picture:
        return match_uneven_light(plates.render(number, box, view_wh, is_blended=False)[0], source, ring)[0]

    sample, _ = with_front_in_place(sample, single)
    unfound_mask = masks.unfound_others_mask(number)
    return sample if unfound_mask is None else with_unfound(sample, _part(unfound_mask, box))


def _part(mask: Mask, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(mask[y0:y1, x0:x1])
