"""The light on the subject, shot by shot and over time, from a few frames a second."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Frame, Plan, Presence, SceneLight
from pipeline.maths.illumination import SAMPLE_BODY_PX, LightSample, light_over_time, sample_light
from pipeline.maths.light import linear_of
from pipeline.media.clip import Clip
from pipeline.media.pixels import rgb_of
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from pipeline.workspace.checkpoints import keep_if_intact, write_checksum
from pipeline.workspace.subject_masks import SubjectMasks
from pipeline.workspace.values import load_values, save_values

_SAMPLES_PER_SECOND = 4.0
_ROOM_BH = 0.35
"""How far around him the surroundings count, body heights."""


def estimate_scene_light(
    clip: Clip, plan: Plan, masks: SubjectMasks, settings: Settings, workspace: Path, check: Check
) -> SceneLight:
    """Return the light on the subject in every frame, or read it from ``workspace``.

    Daylight where the settings ask for it. One read of the clip, of which few frames are looked at; memory holds a few
    numbers of each.
    """
    num_frames = clip.info.num_frames
    if settings.composite.light == "daylight":
        return SceneLight.daylight(num_frames)
    path = workspace / "light.zip"
    if keep_if_intact(workspace, path):
        return load_values(path, SceneLight)
    seconds = clip.info.pts_seconds
    samples: dict[int, LightSample] = {}
    for frame in clip.frames_at(_looked_at(plan, seconds)):
        check()
        sample = _sample(frame, plan, masks)
        if sample is not None:
            samples[frame.index] = sample
    parts = []
    for start, stop in pairwise([*(int(start) for start in plan.shot_starts), num_frames]):
        of_shot = [t for t in sorted(samples) if start <= t < stop]
        parts.append(light_over_time([samples[t] for t in of_shot], seconds[of_shot], seconds[start:stop]))
    light = SceneLight(
        np.concatenate([part.key_direction for part in parts]),
        np.concatenate([part.key_rgb for part in parts]),
        np.concatenate([part.ambient_rgb for part in parts]),
    )
    save_values(path, light)
    write_checksum(workspace, path)
    return light


def _looked_at(plan: Plan, seconds: NDArray[np.float64]) -> list[int]:
    """Return the frames to sample: those in which he was found, a few a second."""
    chosen: list[int] = []
    for t in np.flatnonzero(plan.subject.presence == Presence.FOUND).tolist():
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
        return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.float32)

    him = small(old[area].astype(np.float32))
    people = np.maximum(him, small(masks.others_mask(frame.index)[area].astype(np.float32)))
    joints = (plan.subject.joints[frame.index, :, :2].astype(np.float64) - (x0, y0)) * scale
    return sample_light(small(linear), him, people, joints)
