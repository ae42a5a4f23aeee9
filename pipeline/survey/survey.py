"""SURVEY: one read of the clip; cuts, camera motion, people and burnt-in graphics, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipeline.datatypes.arrays import Picture, Transforms
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.datatypes.survey import CameraMotion, Overlays, Survey, Track
from pipeline.maths.boxes import Box
from pipeline.media.clip import Clip
from pipeline.media.pixels import luma_of, rgb_of, tints_of
from pipeline.models.interfaces import PeopleBackend
from pipeline.request import PointChoice
from pipeline.runtime.callbacks import Check, Progress
from pipeline.runtime.prefetch import prefetch
from pipeline.settings import Settings
from pipeline.survey.borders import seen_in_copies, tracks_inside
from pipeline.survey.camera import CameraEstimator
from pipeline.survey.changed_light import ColorsInOneLight
from pipeline.survey.fades import FadeFinder
from pipeline.survey.light_steps import LightSteps
from pipeline.survey.moving_dissolves import with_moving_dissolves
from pipeline.survey.overlays import OverlayFinder
from pipeline.survey.panels import PanelFinder
from pipeline.survey.people import PeopleFollower, PeopleInFrame, people_in_frame
from pipeline.survey.pushes import find_pushes, starts_in_pushes
from pipeline.survey.shots import CutDetector
from pipeline.survey.split_screen import SplitScreen, chosen_parts, split_screen_table, tracks_behind_insets
from pipeline.survey.transitions import starts_in_transitions
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
    points: Sequence[PointChoice] = (),
) -> Survey:
    """Read the clip once: hard cuts, camera motion, graphics, light, people and their joints; masks go to ``store``.

    Where two videos are shown at once, camera and graphics are measured a second time, in that one alone in which
    the people are, or in which ``points`` select them. Where people go on in a blurred copy around the picture, they
    are looked for a second time, in the picture alone.

    The result is kept as ``survey.zip`` in ``workspace`` and read from there where it exists.
    """
    path = workspace / "survey.zip"
    if path.exists():
        return load_values(path, Survey)
    info = clip.info
    cuts = CutDetector(info, settings.segment.cut_method)
    follower = PeopleFollower(info, settings.people.max_gap_seconds, people, store)
    background = _Background.of(info, settings)
    fades = FadeFinder(info)
    colors = ColorsInOneLight(info.size_wh)
    light = LightSteps()
    shot_starts = [0]
    worlds: list[Transforms] = []

    def cut() -> Iterator[tuple[Frame, Picture, bool]]:
        for frame in clip.frames():
            picture = rgb_of(frame)
            fades.push(picture)
            light.push(picture)
            yield frame, picture, cuts.push(picture, frame.index) and frame.index > 0

    def looked_at() -> Iterator[tuple[Frame, Picture, bool, PeopleInFrame]]:
        with closing(prefetch(cut())) as ahead:
            for frames in _batches(ahead, follower.batch_frames):
                follower.look_ahead([picture for _, picture, _ in frames])
                for frame, picture, is_cut in frames:
                    yield frame, picture, is_cut, follower.push(frame.index, picture, is_cut)

    # Three threads: the camera of one frame is measured while the people of the next are detected, and cuts are looked
    # for in the one after.
    with closing(prefetch(looked_at())) as ahead:
        for frame, picture, is_cut, seen in ahead:
            check()
            if is_cut:
                shot_starts.append(frame.index)
            worlds.append(background.push(frame, seen, is_cut))
            colors.push(frame.index, picture, seen, worlds[-1], is_cut=is_cut)
            progress("survey", frame.index + 1, info.num_frames)
    tracks = colors.finish(follower.finish())
    screens = background.overlays.split_screens()
    pictures = background.overlays.pictures_in_copies()
    starts = set(shot_starts[1:])
    if seen_in_copies(tracks, pictures):
        store.clear()
        follower = PeopleFollower(info, settings.people.max_gap_seconds, people, store, pictures)
        tracks = _followed(clip, follower, worlds, starts, check, progress)
    store.close()
    parts = chosen_parts(screens, tracks, info.pts_seconds, points)
    if screens:
        background = _Background.of(info, settings, list(zip(screens, parts, strict=True)))
        _measure_again(clip, background, tracks, store, starts, check, progress)
    motion, graphics = background.finish()
    change = cuts.finish()
    pushes = find_pushes(clip, motion, shot_starts, check) if change.any() else []
    shot_starts = sorted({*shot_starts, *starts_in_pushes(pushes, shot_starts)})
    shot_starts = sorted({*shot_starts, *starts_in_transitions(clip, motion, tracks, change, shot_starts)})
    if (faded := fades.finish(shot_starts)) is not None:
        graphics = replace(graphics, panels=faded.over(graphics.panels))
    survey = Survey(
        info=info,
        shot_starts=np.array(shot_starts, np.int64),
        unexplained_change=change,
        motion=motion,
        tracks=tracks_behind_insets(tracks_inside(tracks, graphics), screens, parts),
        overlays=graphics,
        blend_weights=with_moving_dissolves(clip, cuts.energy, cuts.blend_weights(), check),
        split_screens=split_screen_table(screens, parts),
        light_steps=light.finish(),
        pushes=np.array([(push.first, push.stop) for push in pushes], np.int64).reshape(-1, 2),
    )
    save_values(path, survey)
    write_checksum(workspace, store.path)
    write_checksum(workspace, path)
    return survey


def _measure_again(
    clip: Clip,
    background: _Background,
    tracks: Sequence[Track],
    store: MaskStore,
    starts: Set[int],
    check: Check,
    progress: Progress,
) -> None:
    """Push a clip to ``background`` with the people found; ``starts`` are the first frames of its shots but the
    first."""
    for frame in clip.frames():
        check()
        seen = people_in_frame(tracks, store.get(frame.index), frame.index, clip.info.size_wh)
        background.push(frame, seen, frame.index in starts)
        progress("split_screen", frame.index + 1, clip.info.num_frames)


def _followed(
    clip: Clip,
    follower: PeopleFollower,
    worlds: Sequence[Transforms],
    starts: Set[int],
    check: Check,
    progress: Progress,
) -> tuple[Track, ...]:
    """Return the people of a clip, looked for once more. ``worlds`` are the camera's motion since the shot began,
    ``starts`` the first frames of the shots but the first."""
    colors = ColorsInOneLight(clip.info.size_wh)
    with closing(prefetch((frame.index, rgb_of(frame)) for frame in clip.frames())) as ahead:
        for frames in _batches(ahead, follower.batch_frames):
            follower.look_ahead([picture for _, picture in frames])
            for index, picture in frames:
                check()
                seen = follower.push(index, picture, index in starts)
                colors.push(index, picture, seen, worlds[index], is_cut=index in starts)
                progress("split_screen", index + 1, clip.info.num_frames)
    return colors.finish(follower.finish())


@dataclass(frozen=True, slots=True, eq=False)
class _Background:
    """What is measured beside the people: the camera's motion, graphics and panels."""

    camera: CameraEstimator
    overlays: OverlayFinder
    panels: PanelFinder

    @classmethod
    def of(cls, info: VideoInfo, settings: Settings, given: Sequence[tuple[SplitScreen, Box]] = ()) -> _Background:
        """Return it for a clip; ``given`` as in ``OverlayFinder``."""
        return cls(CameraEstimator(info, settings.stabilize), OverlayFinder(info, given), PanelFinder(info))

    def push(self, frame: Frame, seen: PeopleInFrame, is_cut: bool) -> Transforms:
        """Take the next frame and its people; return (3, 3) the camera's motion since the shot began."""
        luma = luma_of(frame)
        world_from_source = self.camera.push(luma, seen.people_mask, seen.feet_px, is_cut, self.overlays.known)
        self.overlays.push(luma, seen.people_mask, world_from_source, is_cut, tints_of(frame))
        self.panels.push(self.overlays.held, partial(rgb_of, frame), frame.index, is_cut=is_cut)
        return world_from_source

    def finish(self) -> tuple[CameraMotion, Overlays]:
        """Return the motion and the graphics of all frames."""
        graphics = replace(self.overlays.finish(), panels=self.panels.finish())
        return self.camera.finish(graphics), graphics


def _batches(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while some := list(islice(items, size)):
        yield some
