"""People followed through a clip: real ones, and synthetic tracks with known truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.plan import Subject
from pipeline.datatypes.survey import BODY_PARTS, COLOR_BINS, Track
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.plan.subject import choose_subject
from pipeline.request import SubjectChoice
from pipeline.settings import PeopleSettings
from pipeline.survey.people import PeopleInFrame
from tests.support.clip_info import video_info


class Masks:
    """A mask store in memory."""

    def __init__(self) -> None:
        self.by_frame: dict[int, dict[int, Mask]] = {}

    def put(self, frame: int, masks: Mapping[int, Mask]) -> None:
        self.by_frame.setdefault(frame, {}).update(masks)

    def get(self, frame: int) -> dict[int, Mask]:
        return self.by_frame.get(frame, {})


@dataclass(frozen=True)
class Followed:
    info: VideoInfo
    tracks: tuple[Track, ...]
    masks: Masks
    shot_starts: NDArray[np.int64]
    seen: list[PeopleInFrame] = field(default_factory=list)

    def choose(self, choice: SubjectChoice = "largest") -> tuple[Subject, tuple[str, ...]]:
        # The camera is left out: its part in smoothing is tested by test_shake_is_not_smeared.
        world = np.repeat(np.eye(3)[None], self.info.num_frames, axis=0)
        return choose_subject(self.tracks, self.info, self.shot_starts, world, PeopleSettings().max_gap_seconds, choice)


def made_track(track_id: int, frames: NDArray[np.int64], x: NDArray[np.float64], size: float = 100.0) -> Track:
    """A stiff body of height ``size`` whose hips are at ``x``."""
    rows = np.linspace(-0.5, 0.5, NUM_JOINTS) * size
    joints = np.zeros((len(frames), NUM_JOINTS, 3), np.float32)
    joints[..., 0] = x[:, None]
    joints[..., 1] = 180 + rows
    joints[..., 2] = 0.9
    skeletons = np.zeros((len(frames), NUM_SKELETON, 3), np.float32)
    skeletons[:, :NUM_JOINTS, :2] = joints[..., :2]
    boxes = np.column_stack([x - size / 5, x * 0 + 180 - size / 2, x + size / 5, x * 0 + 180 + size / 2])
    looks = np.zeros((len(frames), BODY_PARTS, COLOR_BINS), np.uint8)
    looks[:, :, track_id % 4] = 255
    ones = np.ones(len(frames), np.float32)
    return Track(track_id, frames, boxes, ones, joints, skeletons, looks, ones, np.full(len(frames), 4000))


def made(tracks: tuple[Track, ...], count: int = 60) -> Followed:
    return Followed(video_info(count), tracks, Masks(), np.array([0]))
