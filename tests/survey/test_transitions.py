"""Shots begin within transitions in which nothing can be measured, and not where the same place is shown after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import CameraMotion, Track
from pipeline.survey.transitions import starts_in_transitions
from tests.support.clip_info import video_info
from tests.support.followed import made_track

SIZE_WH = (160, 90)
COUNT = 40
CHANGE = np.full(COUNT, 5, np.float32)
CHANGE[18] = 90


class _Places:
    """A clip that shows one place up to frame 16, and another from frame 20 on."""

    info = video_info(COUNT, SIZE_WH)

    def __init__(self, after: int) -> None:
        self._after = after

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        chroma = np.full((SIZE_WH[1] // 2, SIZE_WH[0] // 2), 128, np.uint8)
        for index in indices:
            noise = np.random.default_rng(1 if index <= 16 else self._after).normal(0, 1, SIZE_WH[::-1])
            soft = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 3)
            luma = np.clip(128 + 400 * soft, 0, 255).astype(np.uint8)
            yield Frame(index, index, 1, (luma, chroma, chroma), self.info)


def starts(
    after: int,
    unmeasured: slice,
    tracks: Sequence[Track] = (),
    shots: Sequence[int] = (0,),
    change: NDArray[np.float32] = CHANGE,
) -> list[int]:
    reliable: NDArray[np.bool_] = np.ones(COUNT, np.bool_)
    reliable[unmeasured] = False
    motion = CameraMotion(np.tile(np.eye(3), (COUNT, 1, 1)), reliable, (np.zeros((0, 4), np.float32),) * COUNT)
    return starts_in_transitions(_Places(after), motion, tracks, change, shots)


def test_a_shot_begins_where_the_picture_changes_most_before_another_place() -> None:
    assert starts(2, slice(17, 20)) == [18]
    # But not where the clip is to be one shot.
    assert starts(2, slice(17, 20), change=np.zeros_like(CHANGE)) == []


@pytest.mark.parametrize(
    ("after", "unmeasured"),
    [(1, slice(17, 20)), (2, slice(18, 20)), (2, slice(17, COUNT)), (2, slice(0, 20)), (2, slice(1, 30))],
    ids=["same place", "two frames", "to the end", "from the beginning", "too long"],
)
def test_other_frames_without_a_measured_camera_are_no_transition(after: int, unmeasured: slice) -> None:
    assert starts(after, unmeasured) == []


def test_dark_frames_beside_a_shots_first_one_are_no_transition() -> None:
    assert starts(2, slice(17, 20), shots=[0, 14]) == []


def test_a_camera_that_follows_somebody_is_no_transition() -> None:
    whole = made_track(0, np.arange(COUNT), np.full(COUNT, 80.0))
    assert starts(2, slice(17, 20), [whole]) == []
    seen = np.array([*range(18), *range(19, COUNT)])
    assert starts(2, slice(17, 20), [made_track(0, seen, np.full(len(seen), 80.0))]) == [18]
