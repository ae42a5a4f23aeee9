"""Shot boundaries on synthetic pictures: cuts, also between similar framings; not flashes, light, pans or blinks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.survey.shots import CutDetector
from tests.support.clip_info import video_info

SIZE_WH = (320, 180)
RATE = 30


@lru_cache(maxsize=8)
def place(number: int) -> Picture:
    """A place larger than the picture: soft shapes of many sizes."""
    rng = np.random.default_rng(number)
    layers = [
        cv2.resize(
            rng.uniform(0, 255, (rows, 2 * rows, 3)).astype(np.float32), (480, 270), interpolation=cv2.INTER_CUBIC
        )
        for rows in (4, 12, 40)
    ]
    return np.clip(0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2], 0, 255).astype(np.uint8)


def view(number: int, x: int = 40, y: int = 40, gain: float = 1.0) -> Picture:
    cut = place(number)[y : y + SIZE_WH[1], x : x + SIZE_WH[0]]
    return np.clip(cut * gain, 0, 255).astype(np.uint8)


def shots_of(pictures: Sequence[Picture]) -> list[int]:
    detector = CutDetector(video_info(len(pictures), SIZE_WH, RATE), "content")
    return [index for index, picture in enumerate(pictures) if detector.push(picture, index)]


def test_a_cut_to_another_place_begins_a_shot() -> None:
    assert shots_of([view(1)] * 20 + [view(2)] * 20) == [20]


def test_a_cut_between_alike_pictures_of_two_places_begins_a_shot() -> None:
    # The same wall, with everything in front of it exchanged.
    def framing(number: int) -> Picture:
        picture = view(1).copy()
        picture[30:170, 20:300] = view(number)[30:170, 20:300]
        return picture

    assert shots_of([framing(2)] * 20 + [framing(3)] * 20) == [20]


def test_flashes_and_changes_of_light_are_no_cuts() -> None:
    flash = [view(1)] * 15 + [view(1, gain=2.0)] * 2 + [view(1)] * 15
    white = [view(1)] * 15 + [np.full((180, 320, 3), 250, np.uint8)] + [view(1)] * 15
    dimmed = [view(1)] * 15 + [view(1, gain=0.5)] * 15
    for pictures in (flash, white, dimmed):
        assert shots_of(pictures) == []


def test_a_fast_pan_is_no_cut() -> None:
    assert shots_of([view(1, x=x) for x in [0] * 10 + list(range(0, 160, 16)) + [159] * 10]) == []


def test_a_fade_out_and_in_begins_one_shot_where_the_next_place_shows() -> None:
    falling = np.linspace(1, 0, 15)
    rising = np.linspace(0, 1, 15)
    pictures = [view(1)] * 20 + [view(1, gain=g) for g in falling]
    pictures += [np.zeros((180, 320, 3), np.uint8)] * 6 + [view(2, gain=g) for g in rising] + [view(2)] * 20
    (start,) = shots_of(pictures)
    assert 41 <= start <= 46


def test_a_clip_that_begins_black_is_one_shot() -> None:
    assert shots_of([np.zeros((180, 320, 3), np.uint8)] * 12 + [view(1)] * 20) == []


def zoomed(picture: Picture, zoom: float) -> Picture:
    matrix = np.array([[zoom, 0, (1 - zoom) * 159.5], [0, zoom, (1 - zoom) * 89.5]])
    return np.asarray(cv2.warpAffine(picture, matrix, SIZE_WH, flags=cv2.INTER_LINEAR), np.uint8)


def test_a_digital_zoom_within_a_frame_is_no_cut_and_another_place_is() -> None:
    for zoom in (1.2, 1.3):
        assert shots_of([view(1)] * 20 + [zoomed(view(1), zoom)] * 20 + [view(1)] * 20) == []
    assert shots_of([view(1)] * 20 + [zoomed(view(2), 1.3)] * 20) == [20]


def test_a_short_dip_to_black_begins_a_shot_where_another_place_follows() -> None:
    gains = [0.6, 0.3]
    out = [view(1, gain=gain) for gain in gains]
    black = [np.zeros((180, 320, 3), np.uint8)]
    (start,) = shots_of([view(1)] * 20 + out + black + [view(2, gain=gain) for gain in gains[::-1]] + [view(2)] * 20)
    assert 22 <= start <= 25
    assert shots_of([view(1)] * 20 + out + black + out[::-1] + [view(1)] * 20) == []


def test_a_short_dip_to_black_begins_a_shot_where_a_closer_framing_of_the_place_follows() -> None:
    closer = zoomed(view(1), 1.35)
    out = [view(1, gain=gain) for gain in (0.6, 0.3)]
    back = [np.uint8(closer * gain) for gain in (0.3, 0.6)]
    black = [np.zeros((180, 320, 3), np.uint8)]
    (start,) = shots_of([view(1)] * 20 + out + black + back + [closer] * 20)
    assert 22 <= start <= 25


@pytest.mark.parametrize("size_wh", [(128, 12), (640, 24), (64, 8), (8, 128), (2, 2)])
def test_a_strip_of_a_clip_does_not_end_the_process(size_wh: tuple[int, int]) -> None:
    """OpenCV's DIS flow does, between pictures of fewer than 32 lines."""
    random = np.random.default_rng(0)
    detector = CutDetector(video_info(6, size_wh, RATE), "content")
    pictures = [random.integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8) for _ in range(6)]
    starts = [detector.push(picture, number) for number, picture in enumerate(pictures)]
    assert not starts[0]
    assert len(detector.energy) == 6
