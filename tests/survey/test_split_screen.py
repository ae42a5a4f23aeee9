"""Two videos in one picture are told from one, and only the one with the chosen people is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conf import compose_settings
from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import Person, Survey
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.plan.split_screens import split_screens_told
from pipeline.request import PointChoice
from pipeline.survey.graphic import Seen
from pipeline.survey.overlays import OverlayFinder
from pipeline.survey.split_screen import SplitScreen, chosen_parts, parts_of
from pipeline.survey.survey import survey_clip
from pipeline.workspace.masks import MaskStore
from tests.support.clip_info import video_info
from tests.support.followed import made_track

WIDTH, HEIGHT = 240, 360
LOOKS = 8
Luma = NDArray[np.uint8]
NOBODY = np.zeros((HEIGHT, WIDTH), np.bool_)


def scene(seed: int, t: int, step: float) -> Luma:
    """A texture along which the camera moves by ``step`` px a frame."""
    left = round(step * t)
    return texture(seed)[:, left : left + WIDTH].copy()


@cache
def texture(seed: int) -> Luma:
    noise = np.random.default_rng(seed).normal(0, 1, (HEIGHT, 2 * WIDTH)).astype(np.float32)
    wide, fine = (cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (12, 2))
    return np.clip(120 + 40 * wide / wide.std() + 15 * fine / fine.std(), 0, 255).astype(np.uint8)


def split(one: Luma, two: Luma, at: float = 0.5, gap: int = 0, *, is_stacked: bool = True) -> Luma:
    both = one.copy() if is_stacked else one.T.copy()
    other = two if is_stacked else two.T
    line = round(at * len(both))
    both[line:] = other[line:]
    both[line - gap // 2 : line + gap - gap // 2] = 255
    return np.ascontiguousarray(both if is_stacked else both.T)


def seen(pictures: Sequence[Luma], people: Sequence[Mask] | None = None) -> list[Seen]:
    masks = people or [NOBODY] * len(pictures)
    return [
        Seen(4 * t, picture, mask, np.eye(3)) for t, (picture, mask) in enumerate(zip(pictures, masks, strict=True))
    ]


@pytest.mark.parametrize("is_stacked", [True, False], ids=["stacked", "side by side"])
@pytest.mark.parametrize(("step", "other", "at"), [(9.0, 0.0, 0.5), (0.0, 7.0, 0.4), (9.0, 3.0, 0.6), (0.0, 0.0, 0.5)])
@pytest.mark.parametrize("gap", [0, 6])
def test_two_videos_are_found(is_stacked: bool, step: float, other: float, at: float, gap: int) -> None:
    pictures = [split(scene(1, t, step), scene(2, t, other), at, gap, is_stacked=is_stacked) for t in range(LOOKS)]
    parts = parts_of(seen(pictures))
    assert parts is not None
    line = round(at * (HEIGHT if is_stacked else WIDTH))
    side = 1 if is_stacked else 0
    assert line - gap // 2 - 4 <= parts[0][side + 2] <= line - gap // 2
    assert line + gap - gap // 2 <= parts[1][side] <= line + gap - gap // 2 + 4


@pytest.mark.parametrize("step", [9.0, 0.0], ids=["moving", "still"])
def test_one_video_is_whole(step: float) -> None:
    assert parts_of(seen([scene(1, t, step) for t in range(LOOKS)])) is None


def test_a_horizon_that_people_hide_is_none() -> None:
    """Waves move below a line across the whole picture, which stands still."""
    pictures, people = [], []
    for t in range(LOOKS):
        picture = split(scene(1, t, 0.0), scene(2, t, 9.0))
        man = NOBODY.copy()
        man[120:240, 90 + 5 * t : 130 + 5 * t] = True
        pictures.append(np.where(man, 90, picture).astype(np.uint8))
        people.append(man)
    assert parts_of(seen(pictures)) is not None
    assert parts_of(seen(pictures, people)) is None


@pytest.mark.parametrize("step", [9.0, 0.0], ids=["moving", "still"])
def test_a_translucent_band_is_none(step: float) -> None:
    pictures = []
    for t in range(LOOKS):
        picture = scene(1, t, step)
        picture[HEIGHT // 2 : HEIGHT // 2 + 60] = picture[HEIGHT // 2 : HEIGHT // 2 + 60] * 0.4
        pictures.append(picture)
    assert parts_of(seen(pictures)) is None


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


class _TwoVideos:
    """A clip: above the camera moves, below it stands still; somebody stands in each."""

    info = video_info(36, (WIDTH, HEIGHT))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        for t in range(self.info.num_frames):
            luma = split(scene(1, t, 2.0), scene(2, t, 0.0))
            yield Frame(t, t, 1, (luma, chroma, chroma), self.info)


class _TwoPeople:
    look_back = 0
    batch_frames = 1

    def reset(self) -> None:
        pass

    def find(self, picture: Picture) -> list[Person]:
        return [self._person(40, 30, 0), self._person(220, 50, 1)]

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        return [self.find(picture) for picture in pictures]

    def _person(self, top: int, width: int, number: int) -> Person:
        mask = NOBODY.copy()
        mask[top : top + 100, 100 : 100 + width] = True
        joints = np.full((NUM_JOINTS, 3), 0.9, np.float32)
        joints[:, 0], joints[:, 1] = 110, np.linspace(top, top + 99, NUM_JOINTS)
        skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
        box = np.array([100.0, top, 100 + width, top + 100])
        return Person(box, 0.9, joints, skeleton, mask, follow_id=number)


def surveyed(folder: Path, points: Sequence[PointChoice]) -> Survey:
    clip = _TwoVideos()
    store = MaskStore(folder / "masks.zip", clip.info.size_wh)
    settings = compose_settings("preview", ())
    return survey_clip(clip, _TwoPeople(), store, settings, folder, lambda: None, lambda *_: None, points)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("points", "place", "speed"), [((), "lower", 0.0), ((PointChoice(110, 90, 0.5),), "upper", 2.0)]
)
def test_only_the_chosen_video_is_measured(
    tmp_path: Path, points: Sequence[PointChoice], place: str, speed: float
) -> None:
    survey = surveyed(tmp_path, points)
    (track,) = survey.tracks
    assert bool(track.boxes_xyxy[0, 1] < HEIGHT / 2) == (place == "upper")
    moved = np.diff(survey.motion.world_from_source[:, 0, 2])
    assert np.abs(moved - speed).max() < 0.05
    assert survey.overlays is not None
    covered = survey.overlays.mask(3)
    assert covered is not None
    rows = covered.mean(axis=1)
    other = np.s_[HEIGHT // 2 :] if place == "upper" else np.s_[: HEIGHT // 2]
    own = np.s_[: HEIGHT // 2 - 8] if place == "upper" else np.s_[HEIGHT // 2 + 8 :]
    assert rows[other].min() == 1
    assert rows[own].max() == 0
    (told,) = split_screens_told(survey.split_screens, survey.info)
    assert f"the {place} one" in told
    assert "from 0.0 to 1.2 s" in told
