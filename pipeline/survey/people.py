"""Detect people in every frame and track them: tracks of joints, masks spooled."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import ClassVar, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import BODY_PARTS, COLOR_BINS, Person, Track
from pipeline.joints import FEET
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow_round
from pipeline.models.interfaces import PeopleBackend
from pipeline.shaped import Shaped, Shapes
from pipeline.survey.color_histogram import color_histogram_of
from pipeline.survey.joint_evidence import doubted_off_mask
from pipeline.survey.limb_edges import limb_edges
from pipeline.survey.tracking import BoxTracker

MIN_FOOT_CONFIDENCE = 0.3
EVERYONE_DILATION = 0.02
"""Fraction of the tallest box: hair and hands that a mask misses must not carry camera features."""
LOST_SECONDS = 1.0


class MaskSink(Protocol):
    """Takes the masks of one frame by track id."""

    def put(self, frame: int, masks: Mapping[int, Mask]) -> None: ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PeopleInFrame(Shaped):
    """What the camera estimator needs to know about the people in one frame; source space."""

    SHAPES: ClassVar[Shapes] = {"people_mask": ("H", "W"), "feet_px": ("K", 2)}

    people_mask: Mask
    """(H, W) all people, lightly dilated."""
    feet_px: NDArray[np.float64]
    """(K, 2) visible ankles, heels and toes, inside the picture."""
    people: Mapping[int, Person] = field(default_factory=dict)
    """By track id, as they were detected; empty where only their masks are known."""


@dataclass(slots=True, eq=False)
class _Growing:
    frames: list[int] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    """Without their masks."""
    color_histograms: list[NDArray[np.uint8]] = field(default_factory=list)
    mask_px: list[int] = field(default_factory=list)
    limb_edges: list[NDArray[np.float32]] = field(default_factory=list)


class PeopleFollower:
    """Takes a clip's frames in order and returns its tracks; holds no frame."""

    def __init__(
        self,
        info: VideoInfo,
        max_gap_seconds: float,
        backend: PeopleBackend,
        store: MaskSink,
        parts: Sequence[tuple[int, int, Box]] = (),
    ) -> None:
        """``parts`` are first and last frame of stretches, and the part of their pictures in which alone people are
        looked for."""
        aspect = float(info.sample_aspect_ratio) or 1.0
        self._aspect = 1 / aspect if info.quarter_turns % 2 else aspect
        self._size_wh = info.size_wh
        self._backend = backend
        self._store = store
        self._parts = parts
        self._looked = 0
        """Frames that the backend was shown."""
        self._tracker = BoxTracker(float(info.frame_rate) or 30.0, max(LOST_SECONDS, max_gap_seconds))
        self._followed: dict[int, int] = {}
        """Track by the backend's own number."""
        self._tracks: dict[int, _Growing] = {}
        self._pending: deque[tuple[int, dict[int, Mask]]] = deque()
        """Masks of the last frames, to which backward tracking may still add."""
        self._found: deque[list[Person]] = deque()
        """People of frames that were processed ahead."""
        backend.reset()

    @property
    def batch_frames(self) -> int:
        """The backend's preferred batch size."""
        return self._backend.batch_frames

    def look_ahead(self, pictures: Sequence[Picture]) -> None:
        """Detect the people of the next frames in a batch, with a backend that treats frames independently."""
        if self._backend.batch_frames > 1:
            self._found.extend(self._find_batch(pictures))

    def push(self, index: int, picture: Picture, is_cut: bool) -> PeopleInFrame:
        """Detect the people of the next frame, upright RGB (H, W, 3); ``is_cut`` where it starts a shot."""
        if is_cut:
            self._backend.reset()
            self._tracker.cut()
        people = self._found.popleft() if self._found else self._find_batch([picture])[0]
        ids = self._ids(people)
        for track_id, person in zip(ids, people, strict=True):
            track = self._tracks.setdefault(track_id, _Growing())
            self._add_earlier(track_id, track, person, index)
            track.frames.append(index)
            track.people.append(_without_mask(person))
            track.color_histograms.append(color_histogram_of(picture, person))
            track.mask_px.append(int(np.count_nonzero(person.mask)))
            track.limb_edges.append(limb_edges(person))
        self._pending.append((index, {track_id: person.mask for track_id, person in zip(ids, people, strict=True)}))
        while len(self._pending) > self._backend.look_back:
            self._store.put(*self._pending.popleft())
        return replace(_seen(people, self._size_wh), people=dict(zip(ids, people, strict=True)))

    def _ids(self, people: list[Person]) -> list[int]:
        """Return a track id for each person: the backend's own where it tracks people, else by their boxes."""
        if all(person.follow_id < 0 for person in people):
            return self._tracker.push(people)
        return [self._followed.setdefault(person.follow_id, len(self._followed)) for person in people]

    def finish(self) -> tuple[Track, ...]:
        """Return all tracks, in order of their ids; afterwards all masks are in the store."""
        while self._pending:
            self._store.put(*self._pending.popleft())
        return tuple(_track_of(track_id, growing) for track_id, growing in sorted(self._tracks.items()))

    def _add_earlier(self, track_id: int, track: _Growing, person: Person, index: int) -> None:
        """Add what backward tracking saw of a person in frames that the track lacks."""
        pending = dict(self._pending)
        for ago, earlier in enumerate(person.earlier, person.earlier_from):
            frame = index - ago
            at = bisect_left(track.frames, frame)
            if frame not in pending or (at < len(track.frames) and track.frames[at] == frame):
                break
            track.frames.insert(at, frame)
            track.people.insert(at, _without_mask(earlier))
            # The frame is gone; its colors are unknown.
            track.color_histograms.insert(at, np.zeros((BODY_PARTS, COLOR_BINS), np.uint8))
            track.mask_px.insert(at, int(np.count_nonzero(earlier.mask)))
            track.limb_edges.insert(at, limb_edges(earlier))
            pending[frame][track_id] = earlier.mask

    def _find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        parts = [self._part_of(self._looked + number) for number in range(len(pictures))]
        self._looked += len(pictures)
        found: list[list[Person]] = []
        for part, same in groupby(zip(parts, pictures, strict=True), key=lambda pair: pair[0]):
            x0, y0, x1, y1 = part
            people = self._find_in([np.ascontiguousarray(picture[y0:y1, x0:x1]) for _, picture in same])
            found += [[_in_whole(person, part, self._size_wh) for person in each] for each in people]
        return found

    def _part_of(self, frame: int) -> Box:
        for first, last, box in self._parts:
            if first <= frame <= last:
                return box
        return 0, 0, *self._size_wh

    def _find_in(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        """Find people in pictures of one size, in their pixels."""
        if abs(self._aspect - 1) < 1e-3:
            return self._backend.find_batch(pictures)
        height, width = pictures[0].shape[:2]
        square_wh = (max(1, round(width * self._aspect)), height)
        squares = [cv2.resize(picture, square_wh, interpolation=cv2.INTER_AREA) for picture in pictures]
        found = self._backend.find_batch(squares)
        return [[_squeezed(person, square_wh[0] / width, width, height) for person in people] for people in found]


def _in_whole(person: Person, part: Box, size_wh: tuple[int, int]) -> Person:
    """Map a person from a part of the picture to the whole; joints beyond the part are seen as little as those beyond
    the picture's edge."""
    x0, y0, x1, y1 = part
    if part == (0, 0, *size_wh):
        return person
    joints = person.joints + np.array([x0, y0, 0], np.float32)
    x, y = joints[:, 0], joints[:, 1]
    joints[(x < x0) | (y < y0) | (x > x1 - 1) | (y > y1 - 1), 2] = 0
    mask = np.zeros(size_wh[::-1], np.bool_)
    mask[y0:y1, x0:x1] = person.mask
    return replace(
        person,
        box_xyxy=person.box_xyxy + np.array([x0, y0, x0, y0]),
        joints=joints,
        skeleton=person.skeleton + np.array([x0, y0, 0], np.float32),
        mask=mask,
        earlier=tuple(_in_whole(other, part, size_wh) for other in person.earlier),
    )


def _without_mask(person: Person) -> Person:
    return replace(person, joints=doubted_off_mask(person), mask=np.zeros((0, 0), np.bool_), earlier=())


def _squeezed(person: Person, stretch: float, width: int, height: int) -> Person:
    """Map a person from the square-pixel picture, ``stretch`` times as wide, to source pixels."""
    joints = person.joints.copy()
    skeleton = person.skeleton.copy()
    box = person.box_xyxy.copy()
    joints[:, 0] = (joints[:, 0] + 0.5) / stretch - 0.5
    skeleton[:, 0] = (skeleton[:, 0] + 0.5) / stretch - 0.5
    box[[0, 2]] /= stretch
    soft = cv2.resize(person.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    earlier = tuple(_squeezed(other, stretch, width, height) for other in person.earlier)
    return replace(person, joints=joints, skeleton=skeleton, box_xyxy=box, mask=soft >= 0.5, earlier=earlier)


def _seen(people: list[Person], size_wh: tuple[int, int]) -> PeopleInFrame:
    return _people_in_frame(
        [person.mask for person in people],
        [person.box_xyxy for person in people],
        [person.joints for person in people],
        size_wh,
    )


def people_in_frame(
    tracks: Sequence[Track], masks: Mapping[int, Mask], frame: int, size_wh: tuple[int, int]
) -> PeopleInFrame:
    """Return the people of a frame again, from their tracks and their ``masks`` (H, W) by track id."""
    boxes, joints = [], []
    for track in tracks:
        at = bisect_left(track.frames, frame)
        if at < len(track.frames) and track.frames[at] == frame:
            boxes.append(track.boxes_xyxy[at])
            joints.append(track.joints[at])
    return _people_in_frame(list(masks.values()), boxes, joints, size_wh)


def _people_in_frame(
    masks: Sequence[Mask],
    boxes_xyxy: Sequence[NDArray[np.floating]],
    joints: Sequence[NDArray[np.float32]],
    size_wh: tuple[int, int],
) -> PeopleInFrame:
    width, height = size_wh
    people_mask = np.zeros((height, width), np.bool_)
    feet = np.zeros((0, 2))
    for mask in masks:
        people_mask |= mask
    if len(boxes_xyxy):
        tallest = max(float(box[3] - box[1]) for box in boxes_xyxy)
        people_mask = grow_round(people_mask, EVERYONE_DILATION * tallest)
        points = np.concatenate([each[FEET] for each in joints]).astype(np.float64)
        x, y, confidence = points.T
        inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
        feet = points[inside & (confidence >= MIN_FOOT_CONFIDENCE), :2]
    return PeopleInFrame(people_mask=people_mask, feet_px=feet)


def _track_of(track_id: int, growing: _Growing) -> Track:
    people = growing.people
    return Track(
        track_id=track_id,
        frames=np.array(growing.frames, np.int64),
        boxes_xyxy=np.stack([person.box_xyxy for person in people]),
        scores=np.array([person.score for person in people], np.float32),
        joints=np.stack([person.joints for person in people]),
        skeletons=np.stack([person.skeleton for person in people]),
        color_histograms=np.stack(growing.color_histograms),
        visible=np.array([person.visible for person in people], np.float32),
        mask_px=np.array(growing.mask_px, np.int64),
        limb_edges=np.stack(growing.limb_edges),
    )
