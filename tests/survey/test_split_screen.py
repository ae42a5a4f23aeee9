"""Two videos in one picture are told from one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.media.decode import open_clip
from pipeline.media.pixels import luma_of
from pipeline.request import PointChoice
from pipeline.survey.overlays import OverlayFinder
from pipeline.survey.split_screen import SplitScreen, chosen_parts, videos_of
from tests.support.clip_info import video_info
from tests.support.followed import made_track
from tests.support.two_videos import (
    HEIGHT,
    LOOKS,
    NOBODY,
    WIDTH,
    Luma,
    scene,
    seen,
    split,
    standing,
    with_inset,
)


@pytest.mark.parametrize("is_stacked", [True, False], ids=["stacked", "side by side"])
@pytest.mark.parametrize(("step", "other", "at"), [(9.0, 0.0, 0.5), (0.0, 7.0, 0.4), (9.0, 3.0, 0.6), (0.0, 0.0, 0.5)])
@pytest.mark.parametrize("gap", [0, 6])
def test_two_videos_are_found(is_stacked: bool, step: float, other: float, at: float, gap: int) -> None:
    pictures = [split(scene(1, t, step), scene(2, t, other), at, gap, is_stacked=is_stacked) for t in range(LOOKS)]
    parts = videos_of(seen(pictures))
    assert parts is not None
    line = round(at * (HEIGHT if is_stacked else WIDTH))
    side = 1 if is_stacked else 0
    assert line - gap // 2 - 4 <= parts[0][side + 2] <= line - gap // 2
    assert line + gap - gap // 2 <= parts[1][side] <= line + gap - gap // 2 + 4


@pytest.mark.parametrize("step", [9.0, 0.0], ids=["moving", "still"])
def test_one_video_is_whole(step: float) -> None:
    assert videos_of(seen([scene(1, t, step) for t in range(LOOKS)])) is None


@pytest.mark.parametrize("size_wh", [(64, 33), (16, 200), (2, 2)])
def test_tiny_pictures_are_whole(size_wh: tuple[int, int]) -> None:
    small = [cv2.resize(split(scene(1, t, 3.0), scene(2, t, 9.0)), size_wh) for t in range(LOOKS)]
    people = [np.zeros(size_wh[::-1], np.bool_)] * LOOKS
    assert videos_of(seen(small, people)) is None


def test_a_wall_in_a_small_picture_is_no_line_between_videos() -> None:
    """In a few px the edge of a wall before a moving camera is as straight and as still."""
    walk = Path(__file__).parents[1] / "support" / "walk_small.mp4"
    pictures = [luma_of(frame) for frame in open_clip(walk, start_s=0.3, end_s=1.3).frames()][::4]
    assert videos_of(seen(pictures, [np.zeros(pictures[0].shape, np.bool_)] * len(pictures))) is None


def test_a_horizon_that_people_hide_is_none() -> None:
    """Waves move below a line across the whole picture, which stands still."""
    pictures, people = [], []
    for t in range(LOOKS):
        picture = split(scene(1, t, 0.0), scene(2, t, 9.0))
        man = standing(110 + 5 * t, 120, 240)
        pictures.append(np.where(man, 90, picture).astype(np.uint8))
        people.append(man)
    assert videos_of(seen([split(scene(1, t, 0.0), scene(2, t, 9.0)) for t in range(LOOKS)])) is not None
    assert videos_of(seen(pictures, people)) is None


@pytest.mark.parametrize("step", [9.0, 0.0], ids=["moving", "still"])
def test_a_translucent_band_is_none(step: float) -> None:
    pictures = []
    for t in range(LOOKS):
        picture = scene(1, t, step)
        picture[HEIGHT // 2 : HEIGHT // 2 + 60] = picture[HEIGHT // 2 : HEIGHT // 2 + 60] * 0.4
        pictures.append(picture)
    assert videos_of(seen(pictures)) is None


def with_panels(picture: Luma, boxes: Sequence[tuple[int, int, int, int]], opacity: float) -> Luma:
    """The picture behind black panels, with a word on each."""
    for x0, y0, x1, y1 in boxes:
        picture[y0:y1, x0:x1] = picture[y0:y1, x0:x1] * (1 - opacity)
        cv2.putText(picture, "words", (x0 + 8, (y0 + y1) // 2), cv2.FONT_HERSHEY_DUPLEX, 0.7, 255, 2)
    return picture


@pytest.mark.parametrize("step", [5.0, 0.0], ids=["moving", "still"])
@pytest.mark.parametrize(("opacity", "boxes"), [
    (0.8, [(10, 180, 220, 240)]), (0.55, [(50, 120, 190, 220)]), (1.0, [(20, 200, 225, 280), (8, 60, 160, 130)]),
])  # fmt: skip
def test_panels_behind_words_are_none(step: float, opacity: float, boxes: list[tuple[int, int, int, int]]) -> None:
    """Somebody walks behind them; their sides are neither lines between videos nor those of one beside them."""
    pictures, people = [], []
    for t in range(LOOKS):
        man = standing(40 + 22 * t, 80, 300)
        picture = np.where(man, 60, scene(1, t, step)).astype(np.uint8)
        pictures.append(with_panels(picture, boxes, opacity))
        people.append(man)
    assert videos_of(seen(pictures, people)) is None


BOXES = ((12, 20, 112, 120), (120, 230, 230, 350), (140, 0, 240, 90))


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(("step", "other"), [(9.0, 2.0), (0.0, 4.0), (7.0, 3.0)])
@pytest.mark.parametrize("border", [0, 2])
def test_a_small_video_before_another_is_found(
    box: tuple[int, int, int, int], step: float, other: float, border: int
) -> None:
    pictures = [with_inset(scene(1, t, step), scene(2, t, other), box, border) for t in range(LOOKS)]
    parts = videos_of(seen(pictures))
    assert parts is not None
    assert parts[0] == (0, 0, WIDTH, HEIGHT)
    assert np.abs(np.subtract(parts[1], box)).max() <= 3 + border


@pytest.mark.parametrize("step", [9.0, 0.0], ids=["moving", "still"])
def test_a_card_is_no_second_video(step: float) -> None:
    """Nothing moves in it."""
    pictures = [with_inset(scene(1, t, step), scene(2, 0, 0.0), BOXES[0], 2) for t in range(LOOKS)]
    assert videos_of(seen(pictures)) is None


def test_a_counter_that_goes_on_beyond_a_box_is_none_of_its_sides() -> None:
    """Posters and a window beside somebody who moves behind the counter."""
    box = (60, 60, 180, 170)
    for has_counter in (False, True):
        pictures = [with_inset(scene(1, t, 0.0), scene(2, t, 5.0), box) for t in range(LOOKS)]
        if has_counter:
            for picture in pictures:
                picture[box[3] :] = np.minimum(2 * picture[box[3] :].astype(int) + 60, 255)
        assert (videos_of(seen(pictures)) is None) == has_counter


def test_a_screen_that_people_hide_is_part_of_the_scene() -> None:
    pictures, people = [], []
    for t in range(LOOKS):
        picture = with_inset(scene(1, t, 0.0), scene(2, t, 5.0), BOXES[1])
        man = standing(150 + 5 * t, 170, HEIGHT)
        pictures.append(np.where(man, 90, picture).astype(np.uint8))
        people.append(man)
    assert videos_of(seen(pictures)) is not None
    assert videos_of(seen(pictures, people)) is None


@pytest.mark.parametrize("aside_px", [0, 40], ids=["one person", "two people"])
def test_a_box_whose_side_is_words_before_a_person_is_none(aside_px: int) -> None:
    """Above and below the words one person goes on; two people, one in each video, do not."""
    x0, y0, x1, y1 = 50, 60, 180, 170
    pictures, people = [], []
    for t in range(LOOKS):
        man = standing(80 + 3 * t, 90, 300)
        man[y1:] = np.roll(man[y1:], aside_px, axis=1)
        one, two = (np.where(man, 200, scene(seed, t, step)).astype(np.uint8) for seed, step in ((1, 0.0), (2, 5.0)))
        pictures.append(with_inset(one, two, (x0, y0, x1, y1)))
        people.append(man)
    assert (videos_of(seen(pictures, people)) is None) == (aside_px == 0)
    assert videos_of(seen(pictures)) is not None


def test_a_bar_beside_the_clip_is_no_second_video() -> None:
    finder = OverlayFinder(video_info(24, (WIDTH, HEIGHT)))
    for t in range(24):
        barred = scene(1, t, 2.0)
        if t >= 4:
            barred[:90] = barred[-90:] = 0
        finder.push(barred, NOBODY, np.eye(3), is_cut=t == 4)
    assert finder.split_screens() == []
    assert finder.finish().inside(20) == (0, 90, WIDTH, HEIGHT - 90)


def test_most_people_or_a_point_choose_the_part() -> None:
    screens = [SplitScreen(first, first + 9, ((0, 0, 640, 179), (0, 181, 640, 360))) for first in (0, 10)]
    times = np.arange(20) / 30
    below = made_track(0, np.arange(10), np.full(10, 300.0))
    assert made_track(0, np.arange(1), np.zeros(1)).boxes_xyxy[0].tolist() == [-20, 130, 20, 230]
    below.boxes_xyxy[:, [1, 3]] += 60
    below.mask_px[:] = 1000
    assert chosen_parts(screens, [below], times) == [screens[0].parts[1]] * 2
    assert chosen_parts(screens, [below], times, [PointChoice(10, 10, 0.5)]) == [screens[0].parts[0]] * 2


def test_people_in_an_inset_count_less_than_those_behind() -> None:
    screen = SplitScreen(0, 9, ((0, 0, 640, 360), (20, 130, 120, 240)))
    speaker = made_track(0, np.arange(10), np.full(10, 70.0))
    walker = made_track(1, np.arange(10), np.full(10, 400.0))
    speaker.mask_px[:] = 4 * walker.mask_px
    times = np.arange(10) / 30
    assert chosen_parts([screen], [speaker, walker], times) == [screen.parts[0]]
    assert chosen_parts([screen], [speaker], times) == [screen.parts[1]]
    assert chosen_parts([screen], [speaker, walker], times, [PointChoice(30, 140, 0.1)]) == [screen.parts[1]]
