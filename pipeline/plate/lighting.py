"""Estimate the light on the subject and the cast shadow, shot by shot, from a few frames per second."""

from __future__ import annotations

from dataclasses import fields
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame, FrameSource, VideoInfo
from pipeline.datatypes.light import CastShadows, SceneLight
from pipeline.datatypes.plan import Plan, Presence
from pipeline.joints import ANKLES, SHOULDERS
from pipeline.maths.illumination import light_over_time
from pipeline.maths.light import linear_of
from pipeline.maths.light_sample import SAMPLE_BODY_PX, LightSample, sample_light
from pipeline.maths.shadow_light import light_with_shadow
from pipeline.media.pixels import rgb_of
from pipeline.plate.fade_light import picture_level, steps_without, with_fades
from pipeline.plate.shadow_search import MOST_SAMPLES, GroundView, ground_view, shadows_of_shot
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks
from pipeline.workspace.values import load_values, save_values

_SAMPLES_PER_SECOND = 4.0
_ROOM_BH = 0.35
"""Radius around the subject within which the surroundings count, body heights."""


def estimate_lighting(
    clip: FrameSource, plan: Plan, masks: SubjectMasks, settings: Settings, workspace: Path, check: Check
) -> tuple[SceneLight, CastShadows]:
    """Return the light on the subject and the subject's shadow in every frame, or read them from ``workspace``.

    Daylight, or no shadow, where the settings request it. One read of the clip, of which few frames are examined;
    memory holds a few numbers per frame and small pictures of one shot.
    """
    num_frames = clip.info.num_frames
    if settings.composite.light == "daylight" and settings.composite.shadows == "keep":
        return SceneLight.daylight(num_frames), CastShadows.none(num_frames)
    paths = workspace / "light.zip", workspace / "shadows.zip"
    if keep_if_intact(workspace, *paths):
        light = load_values(paths[0], SceneLight)
        shadows = load_values(paths[1], CastShadows)
    else:
        light, shadows = _measured(clip, plan, masks, check)
        save_values(paths[0], light)
        save_values(paths[1], shadows)
        for path in paths:
            write_checksum(workspace, path)
    if settings.composite.light == "daylight":
        light = SceneLight.daylight(num_frames)
    if settings.composite.shadows == "keep":
        shadows = CastShadows.none(num_frames)
    return light, shadows


def _measured(clip: FrameSource, plan: Plan, masks: SubjectMasks, check: Check) -> tuple[SceneLight, CastShadows]:
    seconds = clip.info.pts_seconds
    size_wh = clip.info.size_wh
    is_faded = np.zeros(len(seconds), np.bool_) if plan.is_blended is None else plan.is_blended
    looked_at = np.array(_looked_at(plan, seconds, is_faded), np.int64)
    read = np.union1d(looked_at, np.flatnonzero(is_faded & (plan.subject.presence > Presence.ABSENT)))
    frames = clip.frames_at(read.tolist())
    levels = np.full(len(seconds), np.nan)
    steps = _steps_of_lamps(plan, clip.info, is_faded)
    lights: list[SceneLight] = []
    shadows: list[CastShadows] = []
    for start, stop in pairwise([*(int(start) for start in plan.shot_starts), clip.info.num_frames]):
        of_shot = looked_at[(looked_at >= start) & (looked_at < stop)]
        compared = _compared(of_shot)
        usual_px = float(np.median(plan.subject.body_height_px[of_shot])) if len(of_shot) else 1.0
        samples: dict[int, LightSample] = {}
        views: list[GroundView] = []
        for frame in islice(frames, int(np.count_nonzero((read >= start) & (read < stop)))):
            check()
            if is_faded.any():
                levels[frame.index] = picture_level(rgb_of(frame))
            if is_faded[frame.index]:
                continue
            sample = _sample(frame, plan, masks)
            if sample is not None:
                samples[frame.index] = sample
            if frame.index in compared and (view := _view(frame, plan, masks, usual_px)) is not None:
                views.append(view)
        numbers = sorted(samples)
        light = light_over_time(
            [samples[t] for t in numbers],
            seconds[numbers],
            seconds[start:stop],
            None if steps is None else steps[start:stop],
        )
        lights.append(with_fades(light, levels[start:stop], is_faded[start:stop]))
        shadows.append(shadows_of_shot(views, plan.camera.world_from_source, start, stop, size_wh))
    joined = SceneLight(*(np.concatenate(parts) for parts in zip(*map(_fields, lights), strict=True)))
    thrown = CastShadows.joined(shadows)
    return light_with_shadow(joined, thrown), thrown


def _steps_of_lamps(plan: Plan, info: VideoInfo, is_faded: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """Return the plan's (T, 3) ``light_steps`` without those of an editor's fades, which are laid over the light."""
    if plan.light_steps is None:
        return None
    panels = None if plan.overlays is None else plan.overlays.panels
    is_edited = is_faded if panels is None else is_faded | panels.whole_frames(info.num_frames, info.size_wh)
    return steps_without(plan.light_steps, is_edited)


def _compared(frames: NDArray[np.int64]) -> set[int]:
    """Return the frames whose ground is compared: spread evenly, over a quarter of a minute at most.

    Over longer times a hand-held camera has moved elsewhere, and so has the sun.
    """
    most = int(15 * _SAMPLES_PER_SECOND)
    first = max(len(frames) - most, 0) // 2
    near = frames[first : first + most]
    if not len(near):
        return set()
    return set(near[np.linspace(0, len(near) - 1, MOST_SAMPLES).astype(int)].tolist())


def _fields(value: SceneLight) -> list[NDArray[np.float32]]:
    return [getattr(value, field.name) for field in fields(value)]


def _view(frame: Frame, plan: Plan, masks: SubjectMasks, usual_px: float) -> GroundView | None:
    t = frame.index
    joints = plan.subject.joints[t, :, :2]
    height_px = float(plan.subject.body_height_px[t])
    return ground_view(
        t,
        rgb_of(frame),
        masks.subject_mask(t),
        masks.hidden_mask(t),
        joints[ANKLES],
        height_px,
        usual_px,
        joints[SHOULDERS].mean(axis=0),
    )


def _looked_at(plan: Plan, seconds: NDArray[np.float64], is_faded: NDArray[np.bool_]) -> list[int]:
    """Return the frames to sample: those in which the subject was detected outside fades, a few per second."""
    chosen: list[int] = []
    for t in np.flatnonzero((plan.subject.presence == Presence.FOUND) & ~is_faded).tolist():
        if not chosen or seconds[t] - seconds[chosen[-1]] >= 1 / _SAMPLES_PER_SECOND:
            chosen.append(t)
    return chosen


def _sample(frame: Frame, plan: Plan, masks: SubjectMasks) -> LightSample | None:
    old = masks.subject_mask(frame.index)
    height = float(plan.subject.body_height_px[frame.index])
    if not old.any() or not height > 8:
        return None
    x, y, w, h = cv2.boundingRect(old.view(np.uint8))
    room = int(_ROOM_BH * height)
    x0, y0 = max(x - room, 0), max(y - room // 2, 0)
    area = np.s_[y0 : y + h + room // 2, x0 : x + w + room]
    scale = SAMPLE_BODY_PX / height
    linear = linear_of(np.ascontiguousarray(rgb_of(frame)[area]))
    size_wh = max(round(linear.shape[1] * scale), 4), max(round(linear.shape[0] * scale), 4)

    def small(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)

    subject = small(old[area].astype(np.float32))
    people = np.maximum(subject, small(masks.others_mask(frame.index)[area].astype(np.float32)))
    joints = (plan.subject.joints[frame.index, :, :2].astype(np.float64) - (x0, y0)) * scale
    return sample_light(small(linear), subject, people, joints)
