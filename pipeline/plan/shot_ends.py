"""The first and last frames of a shot that fades, in which somebody is seen too dimly to be found.

Nobody appears out of nowhere in the middle of the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Presence
from pipeline.joints import HIPS
from pipeline.maths.geometry import apply_transform, invert

_MISSED_SECONDS = 0.17
"""Longest time that is filled in."""
_LEAST_SECONDS = 0.4
"""Of a run that is continued: a short one may be somebody else."""
_SEEN = 0.8
"""Visible fraction below which somebody may have come from behind something."""
_PACE_FRAMES = 4


def carry_to_shot_ends(
    presence: NDArray[np.uint8],
    boxes_xyxy: NDArray[np.float64],
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    visible: NDArray[np.float64],
    world_from_source: Transforms,
    info: VideoInfo,
    is_faded: NDArray[np.bool_],
    shot: slice,
) -> None:
    """Continue the subject to the ends of a shot, in place (arrays over the whole clip, as in ``Subject``), where they
    are found all but a few frames from it and these fade, (T,); at the pace they have there, and with the camera."""
    frames = np.arange(shot.start, shot.stop)[presence[shot] != Presence.ABSENT]
    if not len(frames):
        return
    for first, end, step in ((int(frames[0]), shot.start - 1, -1), (int(frames[-1]), shot.stop, 1)):
        inner = first - step * _PACE_FRAMES
        missed = np.arange(first + step, end, step)
        if not len(missed) or not is_faded[missed].all():
            continue
        x0, _, x1, _ = boxes_xyxy[first]
        is_inside = x0 > 1 and x1 < info.size_wh[0] - 1
        is_short = abs(info.pts_seconds[missed[-1]] - info.pts_seconds[first]) <= _MISSED_SECONDS
        if not is_inside or not is_short or not _is_clear(first, step, presence, visible, info, shot):
            continue
        now, before = (
            apply_transform(world_from_source[frame], joints[frame, HIPS, :2].astype(np.float64)).mean(axis=0)
            for frame in (first, inner)
        )
        pace = (now - before) / (info.pts_seconds[first] - info.pts_seconds[inner])
        for frame in missed.tolist():
            moved = pace * (info.pts_seconds[frame] - info.pts_seconds[first])
            _carry(first, frame, moved, (presence, boxes_xyxy, joints, skeletons), world_from_source)


def _is_clear(
    first: int, step: int, presence: NDArray[np.uint8], visible: NDArray[np.float64], info: VideoInfo, shot: slice
) -> bool:
    """Whether somebody is found, and seen whole, from a frame on for long enough, away from the shot's end."""
    seconds = info.pts_seconds[shot]
    away = (seconds - info.pts_seconds[first]) * -step
    run = shot.start + np.flatnonzero((away >= 0) & (away <= _LEAST_SECONDS))
    is_long = away.max() >= _LEAST_SECONDS and len(run) > _PACE_FRAMES
    return bool(is_long and (presence[run] != Presence.ABSENT).all() and visible[first] >= _SEEN)


def _carry(
    source: int,
    frame: int,
    moved: NDArray[np.float64],
    arrays: tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]],
    world: Transforms,
) -> None:
    """Set the subject of a frame to that of another one, moved in ``world``."""
    presence, boxes, joints, skeletons = arrays
    back = invert(world[frame])

    def placed(points: NDArray[np.floating]) -> NDArray[np.float64]:
        return apply_transform(back, apply_transform(world[source], np.asarray(points, np.float64)) + moved)

    presence[frame] = Presence.UNCERTAIN
    boxes[frame] = placed(boxes[source].reshape(2, 2)).ravel()
    joints[frame] = joints[source]
    joints[frame, :, :2] = placed(joints[source, :, :2])
    joints[frame, :, 2] *= 0.5
    skeletons[frame] = skeletons[source]
    skeletons[frame, :, :2] = placed(skeletons[source, :, :2])
