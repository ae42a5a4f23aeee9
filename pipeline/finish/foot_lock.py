"""Pin the new person's feet while the subject's are planted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.plan import Contacts, Subject
from pipeline.joints import ANKLES
from pipeline.maths.geometry import invert, pair_motions
from pipeline.maths.smoothing import gaussian_smooth, shot_slices, smoothstep, true_runs
from pipeline.settings import FootLockSettings

_EASE_STEP_BH = 0.005
"""Largest change of an eased offset in one frame: more would be visible as a jump."""
_STEEPEST = 1.5
"""Largest slope of the smoothstep relative to its mean."""
_LIFT_SIGMA_SECONDS = 0.1
_LIFT_BH = 0.025
"""How far the subject's ankle may slowly drift from its anchor before it counts as lifting rather than landmark
noise."""
_LARGEST_OFFSET_BH = 0.08
"""A foot that would have to move farther does not belong to this contact: the leg would be torn."""


def lock_feet(
    contacts: Contacts,
    placed_joints: NDArray[np.floating],
    subject: Subject,
    pts_seconds: NDArray[np.float64],
    settings: FootLockSettings,
    world_from_source: Transforms,
    shot_starts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (T, 2, 2): what to add to the new person's left and right foot, source px, so that planted feet stay put.

    ``placed_joints`` (T, 21, 3) are the new person's joints as generated, source px, NaN where absent. While a foot is
    planted its target is the contact's anchor plus the new foot's own offset from it: the median over the contact, one
    value in body heights (all layers are known by now; a running median would move the foot while it settles). The
    remaining offset to the target is multiplied by ``settings.strength`` and eased outside the contact over
    ``settings.ease_seconds``, or longer where that would move the foot by more than 0.5 % of body height per frame and
    the swing phase allows it. Where the subject's own ankle leaves the anchor slowly and clearly (the heel lifts while
    the ball still stands) the target follows it beyond 2.5 % of body height. Camera roll and zoom rotate and scale the
    eased offset. Contacts continue across segment and chunk boundaries; nothing crosses a cut.
    """
    foot_offsets_px = np.zeros((len(placed_joints), 2, 2))
    ankles = placed_joints[:, ANKLES, :2].astype(np.float64)
    lifts = _lifts(contacts, subject.joints[:, ANKLES, :2].astype(np.float64), subject.body_height_px, pts_seconds)
    pairs = pair_motions(world_from_source)
    for shot in shot_slices(shot_starts, len(placed_joints)):
        for side in range(2):
            foot_offsets_px[shot, side] = _lock_foot(
                contacts.plant_id[shot, side],
                contacts.anchors[shot, side] + lifts[shot, side],
                ankles[shot, side],
                _Shot(subject.body_height_px[shot], pts_seconds[shot], pairs[shot]),
                settings.strength,
                settings.ease_seconds,
            )
    return foot_offsets_px


def _lifts(
    contacts: Contacts,
    subject_ankles: NDArray[np.float64],
    body: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (T, 2, 2) px: the slow drift of the subject's planted ankles from their anchors, beyond landmark noise."""
    result = np.zeros_like(subject_ankles)
    for side in range(2):
        for number in np.unique(contacts.plant_id[contacts.plant_id[:, side] >= 0, side]):
            here = np.flatnonzero(contacts.plant_id[:, side] == number)
            away = (subject_ankles[here, side] - contacts.anchors[here, side]) / body[here, None]
            slow = np.nan_to_num(gaussian_smooth(away, seconds[here], _LIFT_SIGMA_SECONDS))
            length = np.linalg.norm(slow, axis=1, keepdims=True)
            beyond = np.maximum(0.0, length - _LIFT_BH) / np.maximum(length, 1e-9)
            result[here, side] = slow * beyond * body[here, None]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Shot:
    """Scale, time and camera motion of one shot of N frames."""

    body_height_px: NDArray[np.float64]
    """(N,)."""
    seconds: NDArray[np.float64]
    """(N,)."""
    pairs: Transforms
    """(N, 3, 3) from the frame before, px to px."""


def _lock_foot(
    plant_id: NDArray[np.int64],
    anchors: NDArray[np.float64],
    ankles: NDArray[np.float64],
    shot: _Shot,
    strength: float,
    ease_seconds: float,
) -> NDArray[np.float64]:
    """Return (N, 2) offsets of one foot in one shot."""
    body = shot.body_height_px
    known = (plant_id >= 0) & np.isfinite(anchors).all(1) & np.isfinite(ankles).all(1) & np.isfinite(body)
    locked = np.zeros_like(ankles)
    contacts: list[tuple[int, int]] = []
    for number in np.unique(plant_id[known]):
        for start, stop in true_runs(known & (plant_id == number)):
            here = slice(start, stop)
            own = np.median((ankles[here] - anchors[here]) / body[here, None], axis=0)
            missing = anchors[here] + own * body[here, None] - ankles[here]
            length = np.linalg.norm(missing, axis=1, keepdims=True)
            limit = _LARGEST_OFFSET_BH * body[here, None]
            locked[here] = strength * missing * np.minimum(1.0, limit / np.maximum(length, 1e-9))
            contacts.append((start, stop))
    contacts.sort()
    result = locked.copy()
    # Backward in time the camera motion is inverted.
    backward = replace(shot, pairs=invert(shot.pairs))
    present = np.isfinite(ankles).all(1) & np.isfinite(body)
    for i, (start, stop) in enumerate(contacts):
        after = contacts[i + 1][0] if i + 1 < len(contacts) else len(ankles)
        before = contacts[i - 1][1] if i else 0
        result[stop:after] += _eased(locked[stop - 1], range(stop, after), stop - 1, shot, ease_seconds)
        eased = _eased(locked[start], range(start - 1, before - 1, -1), start, backward, ease_seconds)
        result[before:start] += eased[::-1]
    result[~present] = 0.0
    return result


def _eased(
    offset: NDArray[np.float64], frames: range, border: int, shot: _Shot, ease_seconds: float
) -> NDArray[np.float64]:
    """Fade an offset at frame ``border`` out over ``frames``, which lead away from it: (len(frames), 2)."""
    result = np.zeros((len(frames), 2))
    if not len(frames):
        return result
    seconds = shot.seconds
    spacing = float(np.median(np.abs(np.diff(seconds))))
    room = abs(seconds[frames[-1]] - seconds[border]) + spacing
    steps = _STEEPEST * float(np.linalg.norm(offset)) / (_EASE_STEP_BH * shot.body_height_px[border])
    duration = min(max(ease_seconds, steps * spacing), room)
    for i, frame in enumerate(frames):
        u = 1.0 - abs(seconds[frame] - seconds[border]) / max(duration, 1e-9)
        if u <= 0:
            break
        # The pair of the later of two neighboring frames leads from one to the other.
        neighbor = frames[i - 1] if i else border
        offset = shot.pairs[max(frame, neighbor), :2, :2] @ offset
        result[i] = smoothstep(u) * offset
    return result
