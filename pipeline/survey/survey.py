"""SURVEY: one read of the clip; cuts, camera motion, people and burnt-in graphics, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import Survey
from pipeline.media.clip import Clip
from pipeline.media.pixels import luma_of, rgb_of
from pipeline.models.interfaces import PeopleBackend
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import prefetch
from pipeline.settings import Settings
from pipeline.survey.borders import tracks_inside
from pipeline.survey.camera import CameraEstimator
from pipeline.survey.overlays import OverlayFinder
from pipeline.survey.panels import PanelFinder
from pipeline.survey.people import PeopleFollower, PeopleInFrame
from pipeline.survey.shots import CutDetector
from pipeline.workspace.checkpoints import write_checksum
from pipeline.workspace.masks import MaskStore
from pipeline.workspace.values import load_values, save_values

_T = TypeVar("_T")


def survey_clip(
    clip: Clip,
    people: PeopleBackend,
    store: MaskStore,
    settings: Settings,
    workspace: Path,
    check: Check,
    progress: Progress,
) -> Survey:
    """Read the clip once: hard cuts, camera motion, graphics, people and their joints; masks go to ``store``.

    The result is kept as ``survey.zip`` in ``workspace`` and read from there where it exists.
    """
    path = workspace / "survey.zip"
    if path.exists():
        return load_values(path, Survey)
    info = clip.info
    cuts = CutDetector(info, settings.segment.cut_method)
    follower = PeopleFollower(info, settings.people.max_gap_seconds, people, store)
    camera = CameraEstimator(info, settings.stabilize)
    overlays = OverlayFinder(info)
    panels = PanelFinder(info)
    shot_starts = [0]

    def cut() -> Iterator[tuple[Frame, Picture, bool]]:
        for frame in clip.frames():
            picture = rgb_of(frame)
            yield frame, picture, cuts.push(picture, frame.index) and frame.index > 0

    def looked_at() -> Iterator[tuple[Frame, bool, PeopleInFrame]]:
        with closing(prefetch(cut())) as ahead:
            for frames in _batches(ahead, follower.batch_frames):
                follower.look_ahead([picture for _, picture, _ in frames])
                for frame, picture, is_cut in frames:
                    yield frame, is_cut, follower.push(frame.index, picture, is_cut)

    # Three threads: the camera of one frame is measured while the people of the next are detected, and cuts are looked
    # for in the one after.
    with closing(prefetch(looked_at())) as ahead:
        for frame, is_cut, seen in ahead:
            check()
            if is_cut:
                shot_starts.append(frame.index)
            luma = luma_of(frame)
            world_from_source = camera.push(luma, seen.people_mask, seen.feet_px, is_cut, overlays.known)
            overlays.push(luma, seen.people_mask, world_from_source, is_cut)
            panels.push(overlays.held, partial(rgb_of, frame), frame.index, is_cut=is_cut)
            progress("survey", frame.index + 1, info.num_frames)
    graphics = replace(overlays.finish(), panels=panels.finish())
    tracks = tracks_inside(follower.finish(), graphics)
    store.close()
    starts = np.array(shot_starts, np.int64)
    survey = Survey(info, starts, cuts.finish(), camera.finish(graphics), tracks, graphics, cuts.blend_weights())
    save_values(path, survey)
    write_checksum(workspace, store.path)
    write_checksum(workspace, path)
    return survey


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while some := list(islice(items, size)):
        yield some
