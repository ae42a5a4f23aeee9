"""SCENE: learn from some frames what stands in front of the subject, what they carry, and what else moves near them.

No neural model is used. Where the plate is visible inside the silhouette, something static covers the subject; what
differs from the plate and has a color that no part of the subject has is foreign. The result is stored per plate:
FINISH uses it to label each pixel.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.boxes import Box
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.maths.smoothing import true_runs
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet, read_plate
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import prefetch
from pipeline.scene.balls import Balls, Circles, find_circles, follow_balls
from pipeline.scene.body import body_of
from pipeline.scene.color_counts import ColorCounts, faded_sum
from pipeline.scene.colors import density
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
from pipeline.scene.surroundings import body_path, box_around
from pipeline.scene.views import WORK_BODY_PX, Shown, view_of
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks

_EDGE_PX = 2
"""A box this near to the picture's edge may be cut off."""
_LOOKS_PER_SECOND = 10.0
_BATCH = 5
_GAIN_PLATES = 6
_BRIGHT = 150.0
"""Least gray level of the brightest tenth of a picture in daylight."""
_MOST_GAIN = 4.0
_NEAR_ROWS = 4
_CLOSE_BH = 0.1
_MEETING_SECONDS = 0.4
"""How long before and after somebody is seen close to the subject they may be there without a mask."""
_FADE = 0.6
"""Weight of a neighboring plate's counts; colors change slowly with light and orientation."""


def learn_scene(
    clip: Clip,
    plan: Plan,
    masks: SubjectMasks,
    plates: PlateSet | None,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> SceneModel | None:
    """Learn the scene's layers, or read them from ``workspace``; None where there are no plates."""
    if plates is None or not len(plates.anchors):
        return None
    known = plan.subject.body_height_px[np.isfinite(plan.subject.body_height_px)]
    height_px = float(np.median(known)) if len(known) else 0.5 * clip.info.size_wh[1]
    folder = workspace / "scene"
    model = SceneModel(folder, max(1.0, height_px / WORK_BODY_PX), _gain_of(plates))
    if keep_if_intact(workspace, folder):
        return model
    folder.mkdir(parents=True)
    rate = float(clip.info.frame_rate) or 30.0
    stride = max(1, round(rate / _LOOKS_PER_SECOND))
    clear = _clear_frames(plan, plates)
    looks = [frame for frame in clear if frame % stride == 0]
    learner = _Learner(plan, masks, plates, model, height_px)
    circles: dict[int, Circles] = {}
    for done, frame in enumerate(prefetch(clip.frames_at(looks)), 1):
        check()
        sample = learner.push(frame)
        # A ball is never part of the background, or of somebody else.
        hidden = sample.others_mask | (sample.view.shown == Shown.PLATE)
        x0, y0, _, _ = sample.view.box_xyxy
        circles[frame.index] = _circles_in(frame, plan).without(hidden, (x0, y0), sample.view.factor)
        progress("scene", done, len(looks))
    learner.finish(rate)
    path = body_path(plan)
    if len(follow_balls(list(circles.values()), path, rate, stride).frames):
        # With a ball every frame is examined: it moves far from one frame to the next.
        for frame in prefetch(clip.frames_at([number for number in clear if number not in circles])):
            check()
            circles[frame.index] = _circles_in(frame, plan)
        follow_balls([circles[number] for number in clear], path, rate).save(balls_path(folder))
        learner = _Learner(plan, masks, plates, model, height_px)
        for frame in prefetch(clip.frames_at(looks)):
            check()
            learner.push(frame)
        learner.finish(rate)
    write_checksum(workspace, folder)
    return model


def _circles_in(frame: Frame, plan: Plan) -> Circles:
    picture = rgb_of(frame)
    x0, y0, x1, y1 = box_around(plan, frame.index, (picture.shape[1], picture.shape[0]))
    height_px = float(plan.subject.body_height_px[frame.index])
    return find_circles(frame.index, picture[y0:y1, x0:x1], (x0, y0), height_px)


def _clear_frames(plan: Plan, plates: PlateSet) -> list[int]:
    looked_at = (plan.subject.presence == Presence.FOUND) | hidden_frames(plan, plates.size_wh)
    clear = looked_at & (plates.plate_rows[:, 0] >= 0)
    clear &= np.isfinite(plan.subject.body_height_px)
    return np.flatnonzero(clear).tolist()


def hidden_frames(plan: Plan, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """(T,): frames in which the subject was not detected, between detections in the same shot inside the picture.

    Only there is the position known: on entering or leaving it is extrapolated.
    """
    presence, boxes = plan.subject.presence, plan.subject.boxes_xyxy
    hidden = np.zeros(len(presence), np.bool_)
    room = np.concatenate([boxes[:, :2], np.array(size_wh) - boxes[:, 2:]], axis=1).min(axis=1)
    inside: NDArray[np.bool_] = room > _EDGE_PX
    for start, stop in true_runs(presence == Presence.UNCERTAIN):
        is_between = start > 0 and stop < len(presence)
        is_between = is_between and presence[start - 1] == presence[stop] == Presence.FOUND
        is_one_shot = not ((plan.shot_starts >= start) & (plan.shot_starts <= stop)).any()
        if is_between and is_one_shot and inside[start - 1 : stop + 1].all():
            hidden[start:stop] = True
    return hidden


def _gain_of(plates: PlateSet) -> float:
    """Return the gain that brings the clip's bright parts to the level of daylight."""
    rows = np.unique(np.linspace(0, len(plates.anchors) - 1, _GAIN_PLATES).astype(int))
    bright = [float(np.percentile(read_plate(plates.folder, int(row))[0][::4, ::4], 90)) for row in rows]
    return float(np.clip(_BRIGHT / max(float(np.median(bright)), 1.0), 1.0, _MOST_GAIN))


class _Counts:
    """The counts around one plate."""

    def __init__(self, plates: PlateSet, height_px: float) -> None:
        self.evidence = PlateEvidence(plates.size_wh, height_px)
        self.colors = ColorCounts()


class _Learner:
    """Takes the frames in order; holds the counts of the plates to which the next frames may still contribute."""

    def __init__(self, plan: Plan, masks: SubjectMasks, plates: PlateSet, model: SceneModel, height_px: float) -> None:
        self._plan, self._masks, self._plates = plan, masks, plates
        self._folder, self._gain, self._height_px = model.folder, model.gain, height_px
        self._balls = Balls.load(balls_path(model.folder))
        self._open: dict[int, _Counts] = {}
        self._colors: dict[int, ColorCounts] = {}
        """Counts of the finished plates."""
        self._waiting: list[tuple[int, Sample]] = []
        """Samples waiting to be counted until more is known about the subject's own colors."""
        self._close_frames: list[int] = []
        """Frames in which somebody is close to the subject."""
        self._written = 0
        self._shot_of = np.searchsorted(plan.shot_starts, plates.anchors, side="right")

    def push(self, frame: Frame) -> Sample:
        """Add the next frame; return its sample."""
        number = frame.index
        sample = look_at(rgb_of(frame), number, self._plan, self._masks, self._plates, self._gain)
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
        is_found = self._is_found(number)
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
        self._waiting.append((number, sample))
        return sample

    def finish(self, rate: float) -> None:
        """Write the remaining rows; ``rate`` in frames per second."""
        self._take_waiting()
        for row in sorted(self._open):
            self._close(row)
        self._write(len(self._plates.anchors))
        save_meetings(self._folder, self._close_frames, round(_MEETING_SECONDS * rate))

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
            known = faded_sum([(1.0, counts.colors), *near])
            counts.colors.add_foreign(*foreign_counts(sample, likelihood, is_wrong, known.is_held()))
        self._waiting.clear()

    def _is_found(self, number: int) -> bool:
        return bool(self._plan.subject.presence[number] == Presence.FOUND)

    def _close(self, row: int) -> None:
        counts = self._open.pop(row)
        self._colors[row] = counts.colors
        plate, _ = read_plate(self._plates.folder, row)
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
            foreign, others = colors.foreign_colors(), colors.others_colors()
            save_row(self._folder, row, SceneRow(colors.own_colors(), foreign, others, colors.breadth_bh, front, wrong))
            self._written += 1
            self._colors.pop(row - _NEAR_ROWS, None)


def look_at(picture: Picture, number: int, plan: Plan, masks: SubjectMasks, plates: PlateSet, gain: float) -> Sample:
    """Compare a frame (H, W, 3) with its plate around the subject."""
    height_px = float(plan.subject.body_height_px[number])
    subject_mask, others_mask = masks.subject_mask(number), masks.others_mask(number)
    overlay_mask = masks.overlay_mask(number)
    if overlay_mask is not None:
        others_mask = others_mask | overlay_mask
    size_wh = plates.size_wh
    box = box_around(plan, number, size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    plate, seen = plates.render(number, box)
    hole = grow(subject_mask[area], max(2, round(0.035 * height_px)))
    ring = grow(hole, max(4, round(0.08 * height_px))) & ~hole & ~(subject_mask | others_mask)[area]
    lit = match_light(plate, picture[area], ring)
    view = view_of(box, picture[area], lit, seen, height_px)
    body = body_of(plan.subject.skeletons[number], height_px, (x0, y0), view.factor)
    return sample_of(view, body, _part(subject_mask, box), _part(others_mask, box), gain)


def _part(mask: Mask, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(mask[y0:y1, x0:x1])
