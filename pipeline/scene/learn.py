"""SCENE: some frames; what stands in front of the subject, what he carries, what else moves near him.

No model is asked. Where the plate is seen inside his silhouette, something static covers him; what differs from the
plate and has a color that none of his parts has is foreign. What is learned is kept for each plate: FINISH tells by it
whose each pixel is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Frame, Mask, Picture, Plan, Presence
from pipeline.maths.boxes import Box, clipped, grown
from pipeline.maths.light import match_light
from pipeline.maths.masks import grow
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet, read_plate
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import prefetch
from pipeline.scene.body import NUM_PARTS, body_of
from pipeline.scene.colors import NUM_BINS, density
from pipeline.scene.occluders import CoverEvidence
from pipeline.scene.samples import Sample, covered, foreign_counts, his_counts, others_counts, sample_of, uncovered
from pipeline.scene.scene_model import SceneModel, SceneRow, save_row
from pipeline.scene.views import WORK_BODY_PX, view_of
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks

_LOOKS_PER_SECOND = 10.0
_ROOM_BH = 0.35
"""Around him: an arm's length of a carried thing."""
_BATCH = 5
_NEAR_ROWS = 4
_FADE = 0.6
"""Of what a neighbouring plate told; colors change with light and turn, slowly."""


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
    model = SceneModel(folder, max(1.0, height_px / WORK_BODY_PX))
    if keep_if_intact(workspace, folder):
        return model
    folder.mkdir(parents=True)
    learner = _Learner(plan, masks, plates, folder, height_px)
    frames = _frames_to_look_at(clip, plan, plates)
    for done, frame in enumerate(prefetch(clip.frames_at(frames)), 1):
        check()
        learner.push(frame)
        progress("scene", done, len(frames))
    learner.finish()
    write_checksum(workspace, folder)
    return model


def _frames_to_look_at(clip: Clip, plan: Plan, plates: PlateSet) -> list[int]:
    rate = float(clip.info.frame_rate) or 30.0
    step = max(1, round(rate / _LOOKS_PER_SECOND))
    clear = (plan.subject.presence == Presence.FOUND) & (plates.plate_rows[:, 0] >= 0)
    clear &= np.isfinite(plan.subject.body_height_px)
    return [int(frame) for frame in np.flatnonzero(clear) if frame % step == 0]


class _Counts:
    """What is counted around one plate."""

    def __init__(self, plates: PlateSet, height_px: float) -> None:
        self.cover = CoverEvidence(plates.size_wh, height_px)
        self.his = np.zeros((NUM_PARTS, NUM_BINS))
        self.others = np.zeros(NUM_BINS)
        self.foreign = np.zeros(NUM_BINS)
        self.waiting: list[Sample] = []
        """Samples whose foreign colors are counted as soon as more is known of his own."""


class _Learner:
    """Takes the frames in order; holds the counts of the plates that the next frames may still add to."""

    def __init__(self, plan: Plan, masks: SubjectMasks, plates: PlateSet, folder: Path, height_px: float) -> None:
        self._plan, self._masks, self._plates = plan, masks, plates
        self._folder, self._height_px = folder, height_px
        self._open: dict[int, _Counts] = {}
        self._colors: dict[int, NDArray[np.float64]] = {}
        """(parts + 2, NUM_BINS) of the plates that are done: his parts, the foreign, the others."""
        self._written = 0
        self._shot_of = np.searchsorted(plan.shot_starts, plates.anchors, side="right")

    def push(self, frame: Frame) -> None:
        """Take in the next frame."""
        number = frame.index
        sample = look_at(rgb_of(frame), number, self._plan, self._masks, self._plates)
        rows = [int(row) for row in self._plates.plate_rows[number]]
        for row in sorted(self._open):
            if row < min(other for other in rows if other >= 0):
                self._close(row)
        his, shows = covered(sample), uncovered(sample)
        for side, row in enumerate(rows):
            if row < 0:
                continue
            counts = self._open.setdefault(row, _Counts(self._plates, self._height_px))
            positions = self._plates.positions(number, side, sample.view.box_xyxy, sample.view.size_wh)
            counts.cover.add(positions, his, shows)
        counts = self._open[rows[0]]
        counts.his += his_counts(sample)
        counts.others += others_counts(sample)
        counts.waiting.append(sample)
        if len(counts.waiting) >= _BATCH:
            self._count_foreign(rows[0], counts)

    def finish(self) -> None:
        """Write what is left."""
        for row in sorted(self._open):
            self._close(row)
        self._write(len(self._plates.anchors))

    def _count_foreign(self, row: int, counts: _Counts) -> None:
        # Colours seen outside of him are foreign only by what is known of him so far.
        own = counts.his.copy()
        for near in self._near(row, row):
            own += _FADE ** abs(near - row) * self._colors[near][:NUM_PARTS]
        his = density(own)
        for sample in counts.waiting:
            counts.foreign += foreign_counts(sample, his)
        counts.waiting.clear()

    def _close(self, row: int) -> None:
        counts = self._open.pop(row)
        self._count_foreign(row, counts)
        self._colors[row] = np.concatenate([counts.his, counts.foreign[None], counts.others[None]])
        plate, _ = read_plate(self._plates.folder, row)
        front = counts.cover.front(plate)
        np.savez(self._front_path(row), front=np.packbits(front, axis=-1), width=np.int64(front.shape[1]))
        self._write(row - _NEAR_ROWS)

    def _front_path(self, row: int) -> Path:
        return self._folder / f"front_{row:04d}.npz"

    def _take_front(self, row: int) -> Mask:
        path = self._front_path(row)
        if not path.exists():
            return np.zeros((1, 1), np.bool_)
        with np.load(path) as saved:
            front = np.unpackbits(saved["front"], axis=-1, count=int(saved["width"])).astype(np.bool_)
        path.unlink()
        return front

    def _near(self, row: int, stop: int) -> list[int]:
        return [
            near
            for near in range(max(row - _NEAR_ROWS, 0), stop)
            if near in self._colors and self._shot_of[near] == self._shot_of[row]
        ]

    def _write(self, stop: int) -> None:
        """Write the rows below ``stop`` whose neighbours are known, and let go of what no other row needs."""
        while self._written < stop:
            row = self._written
            total = np.zeros((NUM_PARTS + 2, NUM_BINS))
            for near in self._near(row, row + _NEAR_ROWS + 1):
                total += _FADE ** abs(near - row) * self._colors[near]
            his, foreign, others = density(total[:NUM_PARTS]), density(total[NUM_PARTS]), density(total[NUM_PARTS + 1])
            # A thing held before him for long is counted among his colors; what is the more frequent on it, is its.
            his = np.asarray(his * his / (his + 3 * foreign), np.float32)
            front = self._take_front(row)
            save_row(self._folder, row, SceneRow(his, foreign, others, front))
            self._written += 1
            self._colors.pop(row - _NEAR_ROWS, None)


def look_at(picture: Picture, number: int, plan: Plan, masks: SubjectMasks, plates: PlateSet) -> Sample:
    """Compare a frame (H, W, 3) with its plate around the subject."""
    height_px = float(plan.subject.body_height_px[number])
    subject_mask, others_mask = masks.subject_mask(number), masks.others_mask(number)
    size_wh = plates.size_wh
    box = _box_around(plan, number, height_px, size_wh)
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    plate, seen = plates.render(number, box)
    hole = grow(subject_mask[area], max(2, round(0.035 * height_px)))
    ring = grow(hole, max(4, round(0.08 * height_px))) & ~hole & ~(subject_mask | others_mask)[area]
    lit = match_light(plate, picture[area], ring)
    view = view_of(box, picture[area], lit, seen, height_px)
    body = body_of(plan.subject.skeletons[number], height_px, (x0, y0), view.factor)
    return sample_of(view, body, _part(subject_mask, box), _part(others_mask, box))


def _part(mask: Mask, box: Box) -> Mask:
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(mask[y0:y1, x0:x1])


def _box_around(plan: Plan, number: int, height_px: float, size_wh: tuple[int, int]) -> Box:
    points = plan.subject.skeletons[number, :, :2].astype(np.float64)
    corners = np.concatenate([points, plan.subject.boxes_xyxy[number].reshape(2, 2)])
    low, high = np.nanmin(corners, axis=0), np.nanmax(corners, axis=0)
    box = (int(np.floor(low[0])), int(np.floor(low[1])), int(np.ceil(high[0])) + 1, int(np.ceil(high[1])) + 1)
    x0, y0, x1, y1 = clipped(grown(box, round(_ROOM_BH * height_px)), size_wh)
    return min(x0, size_wh[0] - 1), min(y0, size_wh[1] - 1), max(x1, x0 + 1), max(y1, y0 + 1)
