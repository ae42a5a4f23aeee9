"""Choose the subject among the people of a clip, and give masks of the subject and of everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import (
    JOINT,
    NUM_JOINTS,
    NUM_SKELETON,
    Mask,
    Presence,
    Subject,
    Track,
    Transforms,
    VideoInfo,
)  # fmt: skip
from pipeline.errors import InvalidInput, NoPerson
from pipeline.maths.geometry import apply_transform, invert
from pipeline.maths.smoothing import runs_of, shot_slices
from pipeline.plan.joint_smoothing import dilated, interpolate_run, smooth_depth, smooth_points, standing_height
from pipeline.plan.tracklets import link_tracks
from pipeline.settings import PeopleSettings

HIPS = [JOINT["left_hip"], JOINT["right_hip"]]
MIN_PERSON_SECONDS = 0.15
"""Who is seen for less, in a shot that is longer, is a false alarm of the finder."""
MIN_SHARE_OF_LARGEST = 0.1
"""leftmost, rightmost and centre are looked for among people with this share of the largest one's time × area."""
EDGE_SECONDS = 0.17
"""Somebody cut by the frame's edge is found so much late at most (walk_a: one frame)."""
FILLED_DILATION_BH = 0.03
"""A mask moved from another frame misses more than a found one."""
MAX_MASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PointChoice:
    """The person at a point of the upright source picture at a time from the clip's start."""

    x: float
    y: float
    at_s: float


SubjectChoice = Literal["largest", "leftmost", "rightmost", "centre"] | int | PointChoice


class MaskSource(Protocol):
    """Gives the masks of one frame by track id."""

    def get(self, frame: int) -> Mapping[int, Mask]: ...


def choose_subject(
    tracks: tuple[Track, ...],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world_from_source: Transforms,
    settings: PeopleSettings,
    choice: SubjectChoice = "largest",
) -> tuple[Subject, tuple[str, ...]]:
    """Return the chosen person over all frames, and warnings.

    ``largest`` is the greatest sum of time × area; an index counts persons in order of first appearance, from 0.
    Gaps of up to ``settings.max_gap_seconds`` are interpolated, and somebody cut by the picture's edge is carried on
    for ``EDGE_SECONDS``: those frames are ``UNCERTAIN``. Joints and skeletons are smoothed in ``world``.

    Raises ``NoPerson`` where nobody is in the clip, ``InvalidInput`` where the choice names nobody.
    """
    seconds = info.pts_seconds
    persons = link_tracks(tracks, shot_starts, seconds, world_from_source)
    persons = [person for person in persons if _is_long_enough(person, info, shot_starts)]
    if not persons:
        raise NoPerson("Nobody was found anywhere in the clip.")
    chosen = _pick(persons, info, choice)
    subject = _subject_of(persons[chosen], info, shot_starts, world_from_source, settings.max_gap_seconds)
    uncertain = int(np.count_nonzero(subject.presence == Presence.UNCERTAIN))
    warnings = []
    if uncertain:
        frames = "1 frame" if uncertain == 1 else f"{uncertain} frames"
        warnings.append(f"the subject's place was filled in for {frames} in which it was not clearly seen")
    if len(persons) > 1:
        warnings.append(
            f"{len(persons)} people are in the clip; person {chosen} (of 0..{len(persons) - 1}) is replaced"
        )
    return subject, tuple(warnings)


def _is_long_enough(person: tuple[Track, ...], info: VideoInfo, shot_starts: NDArray[np.int64]) -> bool:
    frames = np.concatenate([track.frames for track in person])
    needed = max(2, round(MIN_PERSON_SECONDS * float(info.average_rate)))
    longest_shot = max(
        shot.stop - shot.start
        for shot in shot_slices(shot_starts, info.num_frames)
        if ((frames >= shot.start) & (frames < shot.stop)).any()
    )
    return bool(len(frames) >= min(needed, longest_shot))


def _pick(persons: list[tuple[Track, ...]], info: VideoInfo, choice: SubjectChoice) -> int:
    if isinstance(choice, PointChoice):
        return _at_point(persons, info, choice)
    if isinstance(choice, int):
        if not 0 <= choice < len(persons):
            raise InvalidInput(f"there is no person {choice}: the clip has {len(persons)}", field="subject")
        return choice
    boxes = [np.concatenate([track.boxes_xyxy for track in person]) for person in persons]
    frames = [np.concatenate([track.frames for track in person]) for person in persons]
    seconds = info.durations * float(info.time_base)
    sizes = [
        float(((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) * seconds[frame]).sum())
        for box, frame in zip(boxes, frames, strict=True)
    ]
    if choice == "largest":
        return int(np.argmax(sizes))
    middles = [float(np.median((box[:, 0] + box[:, 2]) / 2)) for box in boxes]
    scores = {
        "leftmost": [-x for x in middles],
        "rightmost": middles,
        "centre": [-abs(x - (info.size_wh[0] - 1) / 2) for x in middles],
    }[choice]
    able = [i for i, size in enumerate(sizes) if size >= MIN_SHARE_OF_LARGEST * max(sizes)]
    return max(able, key=lambda i: scores[i])


def _at_point(persons: list[tuple[Track, ...]], info: VideoInfo, choice: PointChoice) -> int:
    frame = int(np.argmin(np.abs(info.pts_seconds - choice.at_s)))
    point = np.array([choice.x, choice.y])
    near: list[tuple[float, int]] = []
    for index, person in enumerate(persons):
        for track in person:
            row = int(np.searchsorted(track.frames, frame))
            if row == len(track.frames) or track.frames[row] != frame:
                continue
            box = track.boxes_xyxy[row]
            if (box[:2] <= point).all() and (point <= box[2:]).all():
                apart = np.linalg.norm(track.joints[row, :, :2] - point, axis=1)
                near.append((float(np.nanmin(apart)), index))
    if not near:
        raise InvalidInput(f"nobody is at ({choice.x:g}, {choice.y:g}) at {choice.at_s:g} s", field="subject")
    return min(near)[1]


def _subject_of(
    person: tuple[Track, ...],
    info: VideoInfo,
    shot_starts: NDArray[np.int64],
    world: Transforms,
    max_gap_seconds: float,
) -> Subject:
    total = info.num_frames
    found = np.zeros(total, np.bool_)
    boxes = np.full((total, 4), np.nan)
    joints = np.full((total, NUM_JOINTS, 3), np.nan, np.float32)
    skeletons = np.full((total, NUM_SKELETON, 3), np.nan, np.float32)
    for track in person:
        found[track.frames] = True
        boxes[track.frames] = track.boxes_xyxy
        joints[track.frames] = track.joints
        skeletons[track.frames] = track.skeletons
    presence = np.where(found, Presence.FOUND, Presence.ABSENT).astype(np.uint8)
    height = np.full(total, np.nan)
    for shot in shot_slices(shot_starts, total):
        if found[shot].any():
            _complete_shot(shot, found, presence, boxes, joints, skeletons, height, info, world, max_gap_seconds)
    return Subject(
        track_ids=tuple(sorted(track.track_id for track in person)),
        presence=presence,
        boxes_xyxy=boxes,
        joints=joints,
        skeletons=skeletons,
        body_height_px=height,
    )


def _complete_shot(
    shot: slice,
    found: NDArray[np.bool_],
    presence: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    height: NDArray[np.float64],
    info: VideoInfo,
    world: Transforms,
    max_gap_seconds: float,
) -> None:
    """Fill short gaps and smooth, in place, within one shot."""
    seconds = info.pts_seconds
    here = found[shot].copy()
    frames = np.arange(shot.start, shot.stop)
    known = frames[here]
    for before, after in pairwise(known.tolist()):
        if after - before > 1 and seconds[after] - seconds[before] <= max_gap_seconds + 1e-9:
            presence[before + 1 : after] = Presence.UNCERTAIN
    heights = standing_height(skeletons[shot], joints[shot], seconds[shot], info.size_wh)
    for start, stop in runs_of(presence[shot] != Presence.ABSENT):
        run = slice(shot.start + start, shot.start + stop)
        inside, at = found[run], seconds[run]
        boxes[run] = interpolate_run(boxes[run], inside, at)
        together = np.concatenate([joints[run].astype(np.float64), skeletons[run]], axis=1)
        # Filled in world: between two frames it is the person that moves on a line, not the picture.
        together[..., :2] = apply_transform(world[run], together[..., :2])
        together = interpolate_run(together, inside, at)
        xy = apply_transform(invert(world[run]), together[..., :2])
        xy = smooth_points(xy, world[run], at, heights[start:stop])
        confidence = together[:, :NUM_JOINTS, 2] * np.where(inside, 1.0, 0.5)[:, None]
        joints[run] = np.dstack([xy[:, :NUM_JOINTS], confidence])
        skeletons[run] = np.dstack([xy[:, NUM_JOINTS:], smooth_depth(together[:, NUM_JOINTS:, 2], at)])
        _carry_over_edges(run, shot, presence, boxes, joints, skeletons, info)
    height[shot] = np.where(presence[shot] != Presence.ABSENT, heights, np.nan)


def _carry_over_edges(
    run: slice,
    shot: slice,
    presence: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    info: VideoInfo,
) -> None:
    """Carry somebody who is cut by the picture's edge on, as far as the box still reaches into the picture."""
    width, _ = info.size_wh
    seconds = info.pts_seconds
    for first, inner, step in (
        (run.start, min(run.start + 4, run.stop - 1), -1),
        (run.stop - 1, max(run.stop - 5, run.start), 1),
    ):
        x0, y0, x1, y1 = boxes[first]
        at_edge = x0 <= 1 or x1 >= width - 1
        if not at_edge or inner == first:
            continue
        pace = (joints[first, HIPS, :2] - joints[inner, HIPS, :2]).mean(axis=0) / (seconds[first] - seconds[inner])
        frame = first + step
        while shot.start <= frame < shot.stop and presence[frame] == Presence.ABSENT:
            elapsed = float(seconds[frame] - seconds[first])
            # A box cut by the edge keeps its outer side; only the inner one tells whether anything is left to see.
            moved = pace * elapsed
            inner_side = x1 + moved[0] if x0 <= 1 else x0 + moved[0]
            if abs(elapsed) > EDGE_SECONDS or not 2 < inner_side < width - 3:
                break
            presence[frame] = Presence.UNCERTAIN
            boxes[frame] = (x0, y0, inner_side, y1) if x0 <= 1 else (inner_side, y0, x1, y1)
            joints[frame] = joints[first]
            joints[frame, :, :2] += moved
            joints[frame, :, 2] *= 0.5
            skeletons[frame] = skeletons[first]
            skeletons[frame, :, :2] += moved
            frame += step


class SubjectMasks:
    """Masks of the subject and of everybody else, (H, W) of the source picture, from the spooled ones."""

    def __init__(self, store: MaskSource, subject: Subject, world_from_source: Transforms, info: VideoInfo) -> None:
        """Read from ``store`` when asked. A filled-in mask goes with the hips, which carry the camera's motion too, so
        ``world_from_source`` (T, 3, 3) only has to fit the clip.
        """
        if len(world_from_source) != info.num_frames or len(subject.presence) != info.num_frames:
            raise ValueError(
                f"{len(world_from_source)} transforms, {len(subject.presence)} presences, {info.num_frames} frames"
            )
        self._store = store
        self._subject = subject
        self._ids = frozenset(subject.track_ids)
        self._seconds = info.pts_seconds
        self._found = np.flatnonzero(subject.presence == Presence.FOUND)
        self._shape = info.size_wh[1], info.size_wh[0]
        self._hips = subject.joints[:, HIPS, :2].astype(np.float64).mean(axis=1)

    def old(self, frame: int) -> Mask:
        """Return the subject's mask; where it was not seen clearly, the best near mask moved with the hips.

        Empty where the subject is absent.
        """
        presence = self._subject.presence[frame]
        if presence == Presence.ABSENT:
            return np.zeros(self._shape, np.bool_)
        if presence == Presence.FOUND:
            return self._union(frame, True)
        return self._moved(frame)

    def others(self, frame: int) -> Mask:
        """Return the union of everybody else's masks."""
        return self._union(frame, False)

    def everyone(self, frame: int) -> Mask:
        """Return the subject and all others."""
        return np.asarray(self.old(frame) | self.others(frame))

    def _union(self, frame: int, is_subject: bool) -> Mask:
        whole = np.zeros(self._shape, np.bool_)
        for track_id, mask in self._store.get(frame).items():
            if (track_id in self._ids) == is_subject:
                whole |= mask
        return whole

    def _moved(self, frame: int) -> Mask:
        height = self._subject.body_height_px
        at = int(np.searchsorted(self._found, frame))
        candidates = []
        for source in self._found[max(at - 1, 0) : at + 1].tolist():
            apart = abs(float(self._seconds[source] - self._seconds[frame]))
            shift = self._hips[frame] - self._hips[source]
            # A mask from the other side of a cut is far off: the hips tell.
            candidates.append((apart + float(np.hypot(*shift)) / max(height[source], 1.0), apart, source))
        if not candidates or min(candidates)[1] > MAX_MASK_SECONDS:
            return np.zeros(self._shape, np.bool_)
        source = min(candidates)[2]
        scale = float(height[frame] / height[source]) if height[source] > 0 and np.isfinite(height[frame]) else 1.0
        scale = float(np.clip(scale, 0.8, 1.25))
        offset = self._hips[frame] - scale * self._hips[source]
        matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
        mask = self._union(source, True).view(np.uint8)
        moved = cv2.warpAffine(mask, matrix, (self._shape[1], self._shape[0]), flags=cv2.INTER_NEAREST)
        return dilated(moved.astype(np.bool_), FILLED_DILATION_BH * float(height[source]))
