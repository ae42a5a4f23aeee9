"""Every frame is examined only near ball candidates, and the whole clip only if there is a ball."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from pipeline.scene.ball_search import search_balls
from pipeline.scene.balls import Balls, BodyPath, Circles

FRAMES = 150
RATE = 30.0
STRIDE = 3


def body() -> BodyPath:
    """Somebody who stands still in front of a static camera."""
    return BodyPath(
        joints_xy=np.tile([[400.0, 40.0]], (FRAMES, 1, 1)),
        hips_xy=np.tile([150.0, 120.0], (FRAMES, 1)),
        height_px=np.full(FRAMES, 200.0),
        world_from_source=np.tile(np.eye(3), (FRAMES, 1, 1)),
    )


def thrown(t: int) -> tuple[float, float] | None:
    """Juggled for a second, and again at the end of the clip."""
    if not (30 <= t < 60 or 120 <= t < 150):
        return None
    phase = (t % 20) / 20
    return 100.0 + 2.0 * (t % 60), 200.0 - 90.0 * 4 * phase * (1 - phase)


def circles(t: int, place: tuple[float, float] | None) -> Circles:
    count = 0 if place is None else 1
    return Circles(
        t, np.array([place or ()]).reshape(count, 2), np.full(count, 14.0), np.tile([200.0, 128.0, 128.0], (count, 1))
    )


def searched(path: Callable[[int], tuple[float, float] | None]) -> tuple[Balls, list[int]]:
    examined: list[int] = []

    def find(numbers: list[int]) -> Iterator[Circles]:
        for number in numbers:
            examined.append(number)
            yield circles(number, path(number))

    looked = {t: circles(t, path(t)) for t in range(0, FRAMES, STRIDE)}
    return search_balls(looked, range(FRAMES), STRIDE, body(), RATE, find), examined


def test_a_ball_is_followed_over_the_whole_clip() -> None:
    balls, examined = searched(thrown)
    assert balls.frames.tolist() == [*range(30, 60), *range(120, 150)]
    assert sorted(examined) == [t for t in range(FRAMES) if t % STRIDE]


def test_without_a_possible_ball_no_further_frame_is_examined() -> None:
    balls, examined = searched(lambda t: None)
    assert not len(balls.frames)
    assert not examined


def test_candidates_of_every_third_frame_are_examined_locally() -> None:
    def alias(t: int) -> tuple[float, float] | None:
        # The frames between show it elsewhere: it is not one thing that moves.
        return thrown(t) if t % STRIDE == 0 and t < 60 else (20.0, 20.0 + 60.0 * (t % 2))

    balls, examined = searched(alias)
    assert not len(balls.frames)
    assert examined == [t for t in range(15, 73) if t % STRIDE]
