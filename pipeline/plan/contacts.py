"""Find when the subject's feet are planted, and where: ankle speed against the ground beside the foot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Transforms
from pipeline.datatypes.plan import Contacts, Presence, Subject
from pipeline.datatypes.survey import CameraMotion
from pipeline.joints import JOINT
from pipeline.maths.geometry import apply_transform, invert, pair_motions
from pipeline.maths.robust import cauchy_weights, sigma_of_lengths
from pipeline.maths.smoothing import gaussian_smooth, shot_slices, true_runs, velocity
from pipeline.settings import FootLockSettings

_CONFIDENCE_IN, _CONFIDENCE_OUT = 0.3, 0.1
"""A contact starts only where the ankle is visible, and continues while it is partly occluded or leaves the picture."""
_CONFIDENCE_DOUBT, _DOUBT_BH = 0.5, 0.05
"""Below this confidence an ankle's speed is mostly noise (a person cut off by the picture's edge): a contact continues
through such frames while the ankle stays this close to its position before and after."""
_PATIENT_SECONDS = 0.3
"""An occluded foot, whose guessed position wanders, need not become slower than the speed at which contacts end if it
stays below it for so long: a swinging foot is not that slow for half as long."""
_SPEED_SIGMA_SECONDS = 1 / 30
_LOCAL_REACH_BH = 0.5
"""Ground features farther from the foot do not describe the ground under it."""
_LOCAL_SIGMA_BH = (0.3, 0.12)
"""Falloff of a feature's weight horizontally and vertically: depth, and with it parallax, varies with the row."""
_MIN_LOCAL_WEIGHT = 1.5
_ANKLE_ABOVE_GROUND_BH = 0.045
_LOW_BH = 0.15
"""Greatest height of a planted ankle above the other one in the picture: steps in depth, a camera that looks down."""
_STRETCHED_LEG_BH = 0.40
"""Hip-to-ankle length of a standing leg, also where the other foot is lower in the picture."""
_SWING_SECONDS, _SWING_QUANTILE, _SWING_SHARE = 1.0, 0.9, 0.2
"""A foot that moves towards the camera swings slowly in the picture: it counts as planted only below this fraction of
its own peak speed around that time."""
_QUIET_QUANTILE = 0.3
_QUIET_TIMES = 2.2
_STRICTEST = (0.3, 0.5)
"""The threshold never falls below 2.2 times the speed of a resting foot, which is noise (95 % of a Rayleigh
distribution lies below 2.1 times its median), within these fractions of the setting, so that landmark noise of a
standing person does not break a contact."""
_FLICKER_SECONDS = 0.1
_FLICKER_BH = 0.03
"""Two contacts are merged where the pause is this short and the foot returned to within this distance."""
_HIDDEN_SECONDS, _HIDDEN_SHARE = 1.0, 0.25
"""Or where it is this short, this fraction of it is unreliable, and the foot returned to within ``_DOUBT_BH``."""
_MIDDLE_SECONDS = 0.1
_DRIFT_SIGMA_SECONDS = 2.0
"""In long contacts the propagated anchor is pulled to the ankle's own slow mean, because small motion errors
accumulate. Over a few seconds they are smaller (0.2 % of body height on walk_a) than the drift of the landmarks."""


def find_contacts(
    subject: Subject,
    motion: CameraMotion,
    shot_starts: NDArray[np.int64],
    pts_seconds: NDArray[np.float64],
    settings: FootLockSettings,
) -> Contacts:
    """Find the intervals in which each foot is planted, and its anchor in every frame of them.

    Speed is the ankle's displacement minus the motion of the *local* ground (``local_ground_steps``), lightly smoothed,
    in body heights of that frame per second. A contact starts below ``speed_in_bh_per_s``, lasts while below
    ``speed_out_bh_per_s`` (both are lower where the foot swings slowly) and while the foot is low, is merged across
    flicker, and is at least ``min_contact_seconds`` long. With ``velocity_px`` above 0 the fixed-threshold rule is
    used: ankle movement in the picture, px per frame. The anchor is the ankle's position around the middle of the
    contact, propagated in both directions with the local ground. Contacts never cross a cut; frames without the
    subject, or with an unreliable ankle, have none.
    """
    num_frames = len(pts_seconds)
    planted = np.zeros((num_frames, 2), bool)
    plant_id = np.full((num_frames, 2), -1, np.int64)
    anchors = np.full((num_frames, 2, 2), np.nan)
    speed = np.full((num_frames, 2), np.nan)
    pairs = pair_motions(motion.world_from_source)
    body = subject.body_height_px
    low = _low_feet(subject)
    number = 0
    for shot in shot_slices(shot_starts, num_frames):
        for side, name in enumerate(("left_ankle", "right_ankle")):
            joint = subject.joints[shot, JOINT[name]].astype(np.float64)
            for run_start, run_stop in true_runs(_usable(joint, subject.presence[shot], body[shot])):
                run = slice(shot.start + run_start, shot.start + run_stop)
                ankle = joint[run_start:run_stop]
                track = _FootTrack(ankle[:, :2], body[run], pts_seconds[run], pairs[run])
                track.follow_ground(motion.pairs[run])
                speed[run, side] = track.speed()
                rests = _rests(track, speed[run, side], ankle[:, 2], low[run, side], settings)
                doubted = ankle[:, 2] < _CONFIDENCE_DOUBT
                for start, stop in track.contacts(rests, doubted, settings.min_contact_seconds):
                    here = slice(run.start + start, run.start + stop)
                    planted[here, side] = True
                    plant_id[here, side] = number
                    anchors[here, side] = track.anchors(start, stop)
                    number += 1
    return Contacts(planted, plant_id, anchors, speed)


def _usable(
    ankle: NDArray[np.float64], presence: NDArray[np.uint8], body_height_px: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return (N,) where an ankle (N, 3) can be followed: the subject is there, and the landmark not a mere guess."""
    is_known = np.isfinite(ankle[:, :2]).all(1) & (np.nan_to_num(ankle[:, 2]) >= _CONFIDENCE_OUT)
    return (presence != Presence.ABSENT) & is_known & np.isfinite(body_height_px)


def _rests(
    track: _FootTrack,
    speed: NDArray[np.float64],
    confidence: NDArray[np.float64],
    is_low: NDArray[np.bool_],
    settings: FootLockSettings,
) -> NDArray[np.bool_]:
    """Return (N,) where the foot rests on the ground: low and slow, with hysteresis, through unreliable frames."""
    if settings.velocity_px > 0:
        enter = stay = track.picture_speed() < settings.velocity_px
    else:
        strictness = _strictness(speed, track.seconds, settings.speed_out_bh_per_s)
        enter = speed < settings.speed_in_bh_per_s * strictness
        stay = speed < settings.speed_out_bh_per_s * strictness
    doubted = confidence < _CONFIDENCE_DOUBT
    enter &= is_low
    enter |= track.lasting(stay & is_low & doubted)
    held = _held(enter & (confidence >= _CONFIDENCE_IN), stay & is_low)
    return track.through_doubt(held, is_low & doubted)


class _FootTrack:
    """One ankle over an unbroken run of frames."""

    def __init__(
        self,
        points: NDArray[np.float64],
        body: NDArray[np.float64],
        seconds: NDArray[np.float64],
        pairs: Transforms,
    ) -> None:
        self.seconds = seconds
        self._points = points
        self._body = body
        self._pairs = pairs
        self._ground_pairs: tuple[NDArray[np.float32], ...] = ()
        self._path = np.zeros_like(points)

    def follow_ground(self, ground_pairs: tuple[NDArray[np.float32], ...]) -> None:
        """Accumulate the ankle's displacement relative to the ground, in body heights."""
        self._ground_pairs = ground_pairs
        steps = np.zeros_like(self._points)
        for i in range(1, len(steps)):
            carried = self._carry(self._points[i - 1], i, forward=True)
            steps[i] = (self._points[i] - carried) / self._body[i]
        self._path = np.cumsum(steps, axis=0)

    def _carry(self, point: NDArray[np.float64], i: int, *, forward: bool) -> NDArray[np.float64]:
        """Propagate a point from frame i-1 to i (or back) with the ground beside it."""
        return carried_by_ground(point, self._pairs[i], self._ground_pairs[i], float(self._body[i]), forward=forward)

    def speed(self) -> NDArray[np.float64]:
        smooth = gaussian_smooth(self._path, self.seconds, _SPEED_SIGMA_SECONDS)
        return np.linalg.norm(velocity(smooth, self.seconds), axis=1)

    def picture_speed(self) -> NDArray[np.float64]:
        """Px per frame in the picture, camera motion included."""
        step = np.linalg.norm(np.diff(self._points, axis=0), axis=1)
        return np.concatenate([step[:1], step]) if len(step) else np.full(len(self._points), np.inf)

    def lasting(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Keep the runs that are at least ``_PATIENT_SECONDS`` long."""
        result = np.zeros_like(flags)
        for start, stop in true_runs(flags):
            result[start:stop] = self.seconds[stop - 1] - self.seconds[start] >= _PATIENT_SECONDS
        return result

    def through_doubt(self, held: NDArray[np.bool_], doubtful: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Extend contacts in both directions through unreliable frames in which the ankle stays in place."""
        result = held.copy()
        for start, stop in true_runs(held):
            for edge, step in ((start, -1), (stop - 1, 1)):
                frame = edge + step
                while 0 <= frame < len(held) and doubtful[frame] and not result[frame]:
                    if np.linalg.norm(self._path[frame] - self._path[edge]) > _DOUBT_BH:
                        break
                    result[frame] = True
                    frame += step
        return result

    def contacts(
        self, flags: NDArray[np.bool_], doubted: NDArray[np.bool_], min_seconds: float
    ) -> list[tuple[int, int]]:
        """Merge runs across flicker and drop those that are too short."""
        joined: list[tuple[int, int]] = []
        for start, stop in true_runs(flags):
            if joined:
                before = joined[-1][1] - 1
                pause = self.seconds[start] - self.seconds[before]
                moved = np.linalg.norm(self._path[start] - self._path[before])
                is_flicker = pause <= _FLICKER_SECONDS + 1e-6 and moved <= _FLICKER_BH
                # Someone who was occluded and reappears in the same place has not stepped away and back meanwhile.
                is_same_place = pause <= _HIDDEN_SECONDS and moved <= _DOUBT_BH
                is_hidden = is_same_place and doubted[before:start].mean() >= _HIDDEN_SHARE
                if is_flicker or is_hidden:
                    joined[-1] = (joined[-1][0], stop)
                    continue
            joined.append((start, stop))
        # A contact of one frame at 30 fps lasts 1/30 s: from its first frame's time to the next one's.
        spacing = float(np.median(np.diff(self.seconds))) if len(self.seconds) > 1 else 0.0
        return [(a, b) for a, b in joined if self.seconds[b - 1] - self.seconds[a] + spacing >= min_seconds - 1e-6]

    def anchors(self, start: int, stop: int) -> NDArray[np.float64]:
        """Return (stop - start, 2): the ankle's position at the middle, propagated in both directions with the local
        ground."""
        middle = (start + stop - 1) // 2
        seconds = self.seconds[start:stop]
        near = np.abs(seconds - self.seconds[middle]) <= _MIDDLE_SECONDS
        # The ankles of neighboring frames, mapped to the middle frame, locate it better than a single frame does.
        offset = np.median((self._path[start:stop] - self._path[middle])[near], axis=0)
        result = np.empty((stop - start, 2))
        result[middle - start] = self._points[middle] + offset * self._body[middle]
        for i in range(middle + 1, stop):
            result[i - start] = self._carry(result[i - 1 - start], i, forward=True)
        for i in range(middle, start, -1):
            result[i - 1 - start] = self._carry(result[i - start], i, forward=False)
        length = seconds[-1] - seconds[0]
        if length > 2 * _DRIFT_SIGMA_SECONDS:
            drift = gaussian_smooth(self._points[start:stop] - result, seconds, _DRIFT_SIGMA_SECONDS)
            result += drift - drift[middle - start]
        return result


def carried_by_ground(
    point: NDArray[np.float64],
    pair_motion: Transforms,
    ground: NDArray[np.float32],
    body_height_px: float,
    *,
    forward: bool = True,
) -> NDArray[np.float64]:
    """Propagate an ankle (2,) with the ground beside it from frame t-1 to t, or back.

    ``pair_motion`` (3, 3) takes t-1 to t for the whole picture; ``ground`` (N, 4) are background points in t-1 and t.
    The residual motion of the points within half a body height is fitted by a robust (Cauchy), distance-weighted line
    over the row (depth varies with the row) and evaluated at the foot. With too few points the pair motion is used
    alone.
    """
    if forward:
        transform = pair_motion
        source_points = ground[:, :2]
        to = ground[:, 2:]
    else:
        transform = invert(pair_motion)
        source_points = ground[:, 2:]
        to = ground[:, :2]
    moved = apply_transform(transform, point)
    foot = point + np.array([0.0, _ANKLE_ABOVE_GROUND_BH * body_height_px])
    apart = (source_points.astype(np.float64) - foot) / body_height_px
    near = (apart**2).sum(1) <= _LOCAL_REACH_BH**2
    if near.sum() < 3:
        return moved
    apart = apart[near]
    residual = to[near].astype(np.float64) - apply_transform(transform, source_points[near])
    own = np.exp(-0.5 * ((apart / _LOCAL_SIGMA_BH) ** 2).sum(1))
    if own.sum() < _MIN_LOCAL_WEIGHT:
        return moved
    rows = np.stack([np.ones(len(apart)), apart[:, 1]], axis=1)
    # Ridge penalty on the slope only: few or one-sided points then give their mean.
    ridge = np.diag([1e-6, 0.01 * own.sum()])
    weight = own
    line = np.zeros((2, 2))
    for _ in range(5):
        line = np.linalg.solve((rows * weight[:, None]).T @ rows + ridge, (rows * weight[:, None]).T @ residual)
        left = np.linalg.norm(residual - rows @ line, axis=1)
        weight = cauchy_weights(left, max(sigma_of_lengths(left), 0.03), own)
    return moved + line[0]


def _strictness(speed: NDArray[np.float64], pts_seconds: NDArray[np.float64], speed_out: float) -> NDArray[np.float64]:
    """Return (T,) factors of the speed thresholds, up to 1, from how fast this foot swings and rests at that time."""
    first = np.searchsorted(pts_seconds, pts_seconds - _SWING_SECONDS)
    last = np.searchsorted(pts_seconds, pts_seconds + _SWING_SECONDS, side="right")
    around = [np.quantile(speed[a:b], (_QUIET_QUANTILE, _SWING_QUANTILE)) for a, b in zip(first, last, strict=True)]
    quiet, swing = np.array(around).T / speed_out
    least = np.clip(_QUIET_TIMES * quiet, *_STRICTEST)
    return np.clip(_SWING_SHARE * swing, least, 1.0)


def _held(enter: NDArray[np.bool_], stay: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Non-causal hysteresis: runs of ``stay`` that contain an ``enter``."""
    result = np.zeros(len(enter), bool)
    for start, stop in true_runs(stay):
        result[start:stop] = enter[start:stop].any()
    return result


def _low_feet(subject: Subject) -> NDArray[np.bool_]:
    """Return (T, 2): the foot is level with the other one, or its leg is extended as in standing."""
    rows = [JOINT["left_ankle"], JOINT["right_ankle"]]
    ankles = subject.joints[:, rows, :2].astype(np.float64)
    hips = subject.joints[:, [JOINT["left_hip"], JOINT["right_hip"]], :2].astype(np.float64)
    body = subject.body_height_px[:, None]
    lowest = np.fmax(ankles[:, :1, 1], ankles[:, 1:, 1])
    beside = ankles[..., 1] >= lowest - _LOW_BH * body
    stretched = ankles[..., 1] - hips[..., 1] >= _STRETCHED_LEG_BH * body
    return beside | stretched
