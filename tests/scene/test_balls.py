"""A ball is recognized by its shape and its own motion; heads, windows and static circles are not balls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.scene.ball_tracks import follow_balls
from pipeline.scene.balls import Balls, BodyPath, Circles, find_circles

HEIGHT_PX = 200.0
FRAMES = 40
RADIUS_PX = 14.0


def body(joint: Callable[[int], tuple[float, float]] = lambda t: (400.0, 40.0)) -> BodyPath:
    """A man who stands still in front of a static camera."""
    return BodyPath(
        joints_xy=np.array([[joint(t)] for t in range(FRAMES)], np.float64),
        hips_xy=np.tile([150.0, 120.0], (FRAMES, 1)),
        height_px=np.full(FRAMES, HEIGHT_PX),
        world_from_source=np.tile(np.eye(3), (FRAMES, 1, 1)),
    )


def thrown(t: int) -> tuple[float, float]:
    """Juggled: up and down again, while it drifts to the side."""
    phase = (t % 20) / 20
    return 100.0 + 2.0 * t, 200.0 - 90.0 * 4 * phase * (1 - phase)


def seen(path: Callable[[int], tuple[float, float]], every: int = 1, missing: tuple[int, ...] = ()) -> list[Circles]:
    return [
        Circles(t, np.array([path(t)]), np.array([RADIUS_PX]), np.array([[200.0, 128.0, 128.0]]))
        if t not in missing
        else Circles(t, np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3)))
        for t in range(0, FRAMES, every)
    ]


def test_a_thrown_ball_is_followed_through_gaps() -> None:
    balls = follow_balls(seen(thrown, missing=(7, 8, 21)), body(), 30.0)
    assert balls.frames.tolist() == list(range(FRAMES))
    error = np.linalg.norm(balls.discs[:, :2] - [thrown(t) for t in range(FRAMES)], axis=1)
    assert error.max() < 0.5 * RADIUS_PX


def test_a_ball_is_there_before_a_hand_gives_its_outline_free_and_after_the_last_circle() -> None:
    def flying(t: int) -> tuple[float, float]:
        return 60.0 + 4.0 * t, 90.0 - 3.0 * t + 0.06 * t * t

    balls = follow_balls(seen(flying, missing=(0, 1, 2, 38, 39)), body(), 30.0)
    assert balls.frames.tolist() == list(range(FRAMES))
    error = np.linalg.norm(balls.discs[:, :2] - [flying(t) for t in range(FRAMES)], axis=1)
    assert error.max() < 0.25 * RADIUS_PX
    # One found later may have come into view.
    later = follow_balls(seen(flying, missing=tuple(range(8))), body(), 30.0)
    assert later.frames[0] == 8


def test_a_second_circle_of_a_ball_is_not_followed_onto_a_shoe() -> None:
    def doubled(t: int) -> Circles:
        x, y = thrown(t)
        second = (150.0, 215.0) if t >= 32 else (x + 2.0, y - 2.0)
        centers = np.array([(x, y), second][: 1 if t < 5 or t > 33 else 2])
        return Circles(t, centers, np.full(len(centers), RADIUS_PX), np.full((len(centers), 3), 128.0))

    balls = follow_balls([doubled(t) for t in range(FRAMES)], body(), 30.0)
    assert balls.frames.tolist() == list(range(FRAMES))
    assert np.linalg.norm(balls.discs[:, :2] - [thrown(t) for t in range(FRAMES)], axis=1).max() < 0.5 * RADIUS_PX


def test_neither_track_of_a_ball_is_followed_onto_things_of_its_color() -> None:
    """Each of two tracks has the ball where the other one has a wall lamp."""

    def doubled(t: int) -> Circles:
        x, y = thrown(t)
        second = (x + 30.0, y - 25.0) if 10 <= t < 14 or t >= 36 else (x + 2.0, y - 2.0)
        centers = np.array([(x, y), second])
        return Circles(t, centers, np.full(2, RADIUS_PX), np.full((2, 3), 128.0))

    balls = follow_balls([doubled(t) for t in range(FRAMES)], body(), 30.0)
    assert set(balls.frames.tolist()) == set(range(FRAMES))
    assert np.linalg.norm(balls.discs[:, :2] - [thrown(t) for t in balls.frames], axis=1).max() < 0.5 * RADIUS_PX


@pytest.mark.parametrize(("shade", "is_found"), [(200.0, True), (90.0, False)])
def test_a_short_flight_is_enough_for_what_looks_like_a_known_ball(shade: float, is_found: bool) -> None:
    circles = seen(thrown, missing=tuple(range(24, 32)))
    circles[32:] = [
        replace(each, colors=np.array([[shade, 128.0, 128.0]])[: len(each.colors)]) for each in circles[32:]
    ]
    balls = follow_balls(circles, body(), 30.0)
    assert (balls.frames[-1] == FRAMES - 1) == is_found


def test_a_course_of_two_looks_is_too_short_to_tell_a_flight() -> None:
    def flying(t: int) -> tuple[float, float]:
        return 60.0 + 5.0 * t, 120.0 - 2.0 * t

    # From frame 30 on it is what looks like a known ball; without a third look nothing tells how steadily it moves.
    balls = follow_balls(seen(flying, every=6, missing=(18, 24)), body(), 30.0, stride=6)
    assert balls.frames.tolist() == list(range(13))


def test_a_ball_juggled_low_and_fast_is_followed_at_24_frames_a_second() -> None:
    noise = np.random.default_rng(3).normal(0.0, 1.5, (FRAMES, 2))

    def juggled(t: int) -> tuple[float, float]:
        phase = (t % 10) / 10
        return 120.0 + 0.5 * t + noise[t, 0], 190.0 - 50.0 * 4 * phase * (1 - phase) + noise[t, 1]

    assert follow_balls(seen(juggled), body(), 24.0).frames.tolist() == list(range(FRAMES))


def test_every_third_look_is_enough_to_know_that_there_is_one() -> None:
    assert len(follow_balls(seen(thrown, every=3), body(), 30.0, stride=3).frames)


@pytest.mark.parametrize(
    "path",
    [
        lambda t: (120.0, 80.0),
        lambda t: (120.0 + 30.0 * ((t * 7) % 3), 80.0),
        lambda t: (120.0 + 0.2 * t, 80.0),
    ],
    ids=["still", "hops between windows", "creeps"],
)
def test_an_object_that_does_not_fly_is_not_a_ball(path: Callable[[int], tuple[float, float]]) -> None:
    assert not len(follow_balls(seen(path), body(), 30.0).frames)


def test_a_circle_that_moves_with_a_joint_is_a_fist() -> None:
    assert not len(follow_balls(seen(thrown), body(thrown), 30.0).frames)


def test_a_circle_that_the_camera_passes_is_not_a_ball() -> None:
    pan = np.tile(np.eye(3), (FRAMES, 1, 1))
    pan[:, 0, 2] = -4.0 * np.arange(FRAMES)
    passing = replace(body(), world_from_source=pan)
    assert not len(follow_balls(seen(lambda t: (60.0 + 4.0 * t, 90.0)), passing, 30.0).frames)


def picture_with(x: float, y: float) -> np.ndarray:
    noise = np.random.default_rng(1).uniform(60, 110, (260, 300, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 3)
    cv2.circle(picture, (round(x), round(y)), round(RADIUS_PX), (235, 235, 225), -1, cv2.LINE_AA)
    return np.asarray(picture, np.uint8)


def test_circles_are_in_coordinates_of_the_whole_frame() -> None:
    circles = find_circles(3, picture_with(140, 90), (50, 20), HEIGHT_PX)
    distance = np.linalg.norm(circles.centers_xy - [190, 110], axis=1)
    assert distance.min() < 1.5
    assert abs(circles.radii_px[distance.argmin()] - RADIUS_PX) < 1.5


def test_words_on_a_ball_do_not_change_its_color() -> None:
    plain, worded = picture_with(140, 90), picture_with(140, 90)
    cv2.rectangle(worded, (130, 87), (150, 93), (130, 60, 230), -1)
    circles = [find_circles(0, picture, (0, 0), HEIGHT_PX) for picture in (plain, worded)]
    colors = [each.colors[np.linalg.norm(each.centers_xy - [140, 90], axis=1).argmin()] for each in circles]
    assert np.linalg.norm(colors[0] - colors[1]) < 14.0


def test_circles_in_a_mask_are_left_out() -> None:
    circles = find_circles(0, picture_with(140, 90), (50, 20), HEIGHT_PX)
    assert len(circles.without(np.zeros((130, 150), np.bool_), (50, 20), 2.0).radii_px) == len(circles.radii_px)
    mask = np.zeros((130, 150), np.bool_)
    mask[35:55, 60:80] = True
    left = circles.without(mask, (50, 20), 2.0)
    assert not (np.linalg.norm(left.centers_xy - [190, 110], axis=1) < 5).any()


def test_the_mask_holds_the_whole_disc_and_only_in_its_frames(tmp_path: Path) -> None:
    Balls(np.array([4, 4, 9]), np.array([[30.0, 20.0, 5.0], [60.0, 20.0, 5.0], [10.0, 10.0, 5.0]])).save(
        tmp_path / "b.npz"
    )
    balls = Balls.load(tmp_path / "b.npz")
    mask = balls.mask(4, (20, 10, 80, 40))
    assert mask is not None
    assert mask[10, 10] and mask[10, 40] and not mask[10, 25]
    assert balls.mask(5, (20, 10, 80, 40)) is None
    assert Balls.load(tmp_path / "none.npz").mask(4, (0, 0, 9, 9)) is None
