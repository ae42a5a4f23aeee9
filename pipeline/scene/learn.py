"""SCENE: learn from some frames what stands in front of the subject, what they carry, and what else moves near them.

No neural model is used. Where the plate is visible inside the silhouette, something static covers the subject; what
differs from the plate and has a color that no part of the subject has is foreign. The result is stored per plate:
FINISH uses it to label each pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import Frame, FrameSource
from pipeline.datatypes.plan import Plan, Presence
from pipeline.maths.camera_speed import FAST, frame_speeds
from pipeline.maths.smoothing import true_runs
from pipeline.media.pixels import rgb_of
from pipeline.plate.plate_set import PlateSet
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import parallel_map, prefetch
from pipeline.scene.ball_search import search_balls
from pipeline.scene.balls import Circles, find_circles
from pipeline.scene.held_search import HeldLook, HeldSearch
from pipeline.scene.kept_samples import KeptSamples
from pipeline.scene.learner import SceneLearner, look_at
from pipeline.scene.near_layer import NearLayers
from pipeline.scene.near_search import DOUBTED, NearSearch
from pipeline.scene.samples import Sample
from pipeline.scene.scene_model import SceneModel, balls_path
from pipeline.scene.surroundings import body_path, box_around
from pipeline.scene.unsure import with_unsure_plate
from pipeline.scene.views import WORK_BODY_PX, Shown
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks

_EDGE_PX = 2
"""A box this near to the picture's edge may be cut off."""
_LOOKS_PER_SECOND = 10.0
_GAIN_PLATES = 6
_BRIGHT = 150.0
"""Least gray level of the brightest tenth of a picture in daylight."""
_MOST_GAIN = 4.0

_Out = TypeVar("_Out")
_Again = Callable[[Callable[[int, Sample], tuple[int, int, HeldLook]]], Generator[tuple[int, int, HeldLook]]]
"""Yields what a function makes of the number and sample of each frame that was looked at."""


def learn_scene(
    clip: FrameSource,
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
    is_fast = frame_speeds(plan.camera.world_from_source, plates.size_wh) > FAST
    gain = _gain_of(plates)
    model = SceneModel(folder, max(1.0, height_px / WORK_BODY_PX), gain, NearLayers(folder, gain), is_fast)
    if keep_if_intact(workspace, folder):
        return model
    folder.mkdir(parents=True)
    rate = float(clip.info.frame_rate) or 30.0
    stride = max(1, round(rate / _LOOKS_PER_SECOND))
    clear = _clear_frames(plan, plates)
    looks = [frame for frame in clear if frame % stride == 0]
    learner = SceneLearner(plan, plates, model, height_px)
    circles: dict[int, Circles] = {}
    kept = KeptSamples(folder, gain)

    def seen_in(picture: Picture, number: int) -> Sample:
        sample = look_at(picture, number, plan, masks, plates, model.gain)
        return with_unsure_plate(sample) if is_fast[number] else sample

    def sampled(frame: Frame) -> Sample:
        return seen_in(rgb_of(frame), frame.index)

    def circled(frame: Frame) -> Circles:
        return _circles_in(frame.index, rgb_of(frame), plan)

    def looked(frame: Frame) -> tuple[int, Sample, Circles]:
        picture = rgb_of(frame)
        sample = seen_in(picture, frame.index)
        # A ball is never part of the background, or of somebody else.
        hidden = sample.others_mask | (sample.view.shown == Shown.PLATE)
        x0, y0, _, _ = sample.view.box_xyxy
        found = _circles_in(frame.index, picture, plan).without(hidden, (x0, y0), sample.view.factor)
        return frame.index, sample, found

    with closing(_of_frames(clip, looks, looked)) as all_looked:
        for done, (number, sample, found) in enumerate(all_looked, 1):
            check()
            learner.push(number, sample)
            kept.put(number, sample)
            circles[number] = found
            progress("scene", done, len(looks))
    learner.finish(rate)

    def again(function: Callable[[int, Sample], _Out]) -> Generator[_Out]:
        """Yield ``function`` of the looks and their samples once more."""
        count = sum(number in kept for number in looks)
        with closing(parallel_map(lambda number: function(number, kept.get(number)), looks[:count])) as found:
            yield from found
        with closing(_of_frames(clip, looks[count:], lambda frame: function(frame.index, sampled(frame)))) as found:
            yield from found

    def more_circles(numbers: list[int]) -> Iterator[Circles]:
        with closing(_of_frames(clip, numbers, circled)) as found:
            for each in found:
                check()
                yield each

    balls = search_balls(circles, clear, stride, body_path(plan), rate, more_circles)
    if len(balls.frames):
        balls.save(balls_path(folder))
        # What was counted as foreign may have been the ball.
        learner = SceneLearner(plan, plates, model, height_px)
        with closing(again(lambda number, sample: (number, sample))) as samples:
            for number, sample in samples:
                check()
                learner.push(number, sample)
        learner.finish(rate)
    if learner.sees_things:
        _learn_held_places(again, plan, plates, model, rate, check)
    doubted = {row for row, doubt in learner.doubts.items() if doubt > DOUBTED}
    NearSearch(clip, plan, masks, plates, model).run(looks, doubted, check)
    write_checksum(workspace, folder)
    return model


def _learn_held_places(
    again: _Again, plan: Plan, plates: PlateSet, model: SceneModel, rate: float, check: Check
) -> None:
    """Look ``again`` at the frames, once the colors are known: where is what is kept, relative to the limbs?"""
    held = HeldSearch(model, plates.anchors, plan.shot_starts, rate)

    def kept(number: int, sample: Sample) -> tuple[int, int, HeldLook]:
        row = int(plates.plate_rows[number, 0])
        positions = plates.positions(number, 0, sample.view.box_xyxy, sample.view.size_wh)
        look = held.look(row, sample, model.places_at(row, positions), may_meet=model.may_meet(number))
        return number, row, look

    with closing(again(kept)) as all_kept:
        for number, row, look in all_kept:
            check()
            held.push(number, row, look)
    held.finish()


def _of_frames(clip: FrameSource, numbers: list[int], function: Callable[[Frame], _Out]) -> Generator[_Out]:
    """Yield ``function`` of some frames, ascending; a few of them are computed at a time."""
    with closing(prefetch(clip.frames_at(numbers))) as frames:
        yield from parallel_map(function, frames)


def _circles_in(number: int, picture: Picture, plan: Plan) -> Circles:
    x0, y0, x1, y1 = box_around(plan, number, (picture.shape[1], picture.shape[0]))
    height_px = float(plan.subject.body_height_px[number])
    return find_circles(number, picture[y0:y1, x0:x1], (x0, y0), height_px)


def _clear_frames(plan: Plan, plates: PlateSet) -> list[int]:
    looked_at = (plan.subject.presence == Presence.FOUND) | hidden_frames(plan, plates.size_wh)
    clear = looked_at & (plates.plate_rows[:, 0] >= 0)
    clear &= np.isfinite(plan.subject.body_height_px)
    if plan.is_blended is not None:
        clear &= ~plan.is_blended
    return np.flatnonzero(clear).tolist()


def hidden_frames(plan: Plan, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """(T,): frames in which the subject was not detected, between detections in the same shot inside the picture.

    Only there is the position known: on entering or leaving it is extrapolated.
    """
    presence = plan.subject.presence
    boxes = plan.subject.boxes_xyxy
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
    bright = max(float(np.median(plates.bright_levels[rows])), 1.0)
    return float(np.clip(_BRIGHT / bright, 1.0, _MOST_GAIN))
