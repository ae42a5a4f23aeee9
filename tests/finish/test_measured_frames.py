from __future__ import annotations

import weakref

import numpy as np

from pipeline.datatypes.clip import Frame
from pipeline.finish.composite import EditedFrame
from pipeline.finish.finish import Observers, measured_frames
from pipeline.finish.group_quality import GroupMeter
from tests.support.clip_info import video_info

_NUM_FRAMES = 5
_EVERY = 2


class _Watched(EditedFrame):
    """Can be referred to weakly."""


class _Seen:
    def __init__(self) -> None:
        self.frames: list[int] = []

    def push(self, edited: EditedFrame) -> None:
        self.frames.append(edited.source.index)


def test_a_frame_that_waits_to_be_encoded_holds_nothing_but_its_planes() -> None:
    info = video_info(_NUM_FRAMES, (16, 8))
    planes = (np.zeros((8, 16), np.uint8), np.zeros((4, 8), np.uint8), np.zeros((4, 8), np.uint8))
    made: list[weakref.ref[EditedFrame]] = []

    def edited(index: int) -> EditedFrame:
        frame = Frame(index, index, 1, planes, info)
        rgb = np.zeros((8, 16, 3), np.uint8)
        result = _Watched(frame, frame, rgb, rgb, np.zeros((8, 16), np.bool_), None, None, None)
        made.append(weakref.ref(result))
        return result

    meter, artifacts = _Seen(), _Seen()
    observers = Observers(meter, GroupMeter(1), artifacts)
    # A generator would itself hold what it yields.
    results = measured_frames(map(edited, range(_NUM_FRAMES)), observers, _EVERY)
    for index in range(_NUM_FRAMES):
        assert next(results).index == index
        assert made[index]() is None
    assert next(results, None) is None
    assert meter.frames == artifacts.frames == list(range(_NUM_FRAMES))
    assert sorted(observers.compared) == [0, 2, 4]
