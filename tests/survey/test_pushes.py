"""Transitions in which one shot pushes the other out of the picture are told from pans and cuts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import CameraMotion
from pipeline.errors import Cancelled
from pipeline.runtime.callbacks import Check
from pipeline.survey.pushes import Push, find_pushes, starts_in_pushes
from tests.support.clip_info import video_info

SIZE_WH = (160, 120)
COUNT, FIRST, LENGTH = 40, 14, 12
STILL: NDArray[np.float64] = np.tile(np.eye(3), (COUNT, 1, 1))


def place(seed: int, width: int = SIZE_WH[0], height: int = SIZE_WH[1]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width)).astype(np.float32)
    return np.asarray(np.clip(128 + 500 * cv2.GaussianBlur(noise, (0, 0), 4), 0, 255), np.uint8)


def share(number: int) -> float:
    x = float(np.clip((number - FIRST + 1) / (LENGTH + 1), 0, 1))
    return x * x * (3 - 2 * x)


def left(number: int) -> NDArray[np.uint8]:
    x = round(SIZE_WH[0] * share(number))
    return np.hstack([place(1), place(2)])[:, x : x + SIZE_WH[0]]


def right(number: int) -> NDArray[np.uint8]:
    x = round(SIZE_WH[0] * (1 - share(number)))
    return np.hstack([place(2), place(1)])[:, x : x + SIZE_WH[0]]


def up(number: int) -> NDArray[np.uint8]:
    y = round(SIZE_WH[1] * share(number))
    return np.vstack([place(1), place(2)])[y : y + SIZE_WH[1]]


def pan(number: int) -> NDArray[np.uint8]:
    x = round(0.7 * SIZE_WH[0] * share(number))
    return place(3, 2 * SIZE_WH[0])[:, x : x + SIZE_WH[0]]


def cut(number: int) -> NDArray[np.uint8]:
    return place(1 if number < FIRST + 5 else 2)


def wipe(number: int) -> NDArray[np.uint8]:
    x = round(SIZE_WH[0] * share(number))
    return np.hstack([place(2)[:, :x], place(1)[:, x:]])


class _Clip:
    info = video_info(COUNT, SIZE_WH)

    def __init__(self, shown: Callable[[int], NDArray[np.uint8]]) -> None:
        self._shown = shown

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        return self.frames_at(range(start, COUNT if stop is None else stop))

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        gray = np.full((SIZE_WH[1] // 2, SIZE_WH[0] // 2), 128, np.uint8)
        for index in indices:
            yield Frame(index, index, 1, (np.ascontiguousarray(self._shown(index)), gray, gray), self.info)


def found(
    shown: Callable[[int], NDArray[np.uint8]], shots: Sequence[int] = (0,), check: Check = lambda: None
) -> list[Push]:
    """The camera is measured as panning as the picture does."""
    worlds = STILL.copy()
    for t in range(COUNT):
        worlds[t, 0, 2] = SIZE_WH[0] * share(t)
    motion = CameraMotion(worlds, np.ones(COUNT, np.bool_), (np.zeros((0, 4), np.float32),) * COUNT)
    return find_pushes(_Clip(shown), motion, shots, check)


@pytest.mark.parametrize("shown", [left, right, up])
@pytest.mark.parametrize("shots", [(0,), (0, FIRST + 4)], ids=["no cut", "a cut within"])
def test_a_push_is_found_with_its_frames(shown: Callable[[int], NDArray[np.uint8]], shots: Sequence[int]) -> None:
    (push,) = found(shown, shots)
    assert abs(push.first - FIRST) <= 2
    assert abs(push.stop - FIRST - LENGTH) <= 2
    assert abs(push.start - FIRST - LENGTH // 2) <= 1


@pytest.mark.parametrize("shown", [pan, cut, wipe])
def test_other_changes_are_no_push(shown: Callable[[int], NDArray[np.uint8]]) -> None:
    assert found(shown) == []


def test_a_cancelled_job_does_not_look_on() -> None:
    def cancel() -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        found(left, check=cancel)


def test_nothing_is_looked_for_where_the_camera_stands_still() -> None:
    motion = CameraMotion(STILL, np.ones(COUNT, np.bool_), (np.zeros((0, 4), np.float32),) * COUNT)
    assert find_pushes(_Clip(left), motion, [0], lambda: None) == []


def test_a_shot_begins_within_a_push_without_a_cut() -> None:
    push = Push(14, 26, 20)
    assert starts_in_pushes([push], [0, 30]) == [20]
    assert starts_in_pushes([push], [0, 22]) == []
