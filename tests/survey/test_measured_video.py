"""Of two videos in one picture only the one with the chosen people is measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from conf import compose_settings
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import Person, Survey
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.plan.split_screens import split_screens_told
from pipeline.request import PointChoice
from pipeline.survey.survey import survey_clip
from pipeline.workspace.masks import MaskStore
from tests.support.clip_info import video_info
from tests.support.two_videos import HEIGHT, NOBODY, WIDTH, Luma, scene, split, with_inset


class _TwoVideos:
    """A clip: above the camera moves, below it stands still; somebody stands in each."""

    info = video_info(36, (WIDTH, HEIGHT))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        for t in range(self.info.num_frames):
            luma = self.picture(t)
            yield Frame(t, t, 1, (luma, chroma, chroma), self.info)

    def frames_at(self, numbers: Iterable[int]) -> Iterator[Frame]:
        wanted = set(numbers)
        return (frame for frame in self.frames() if frame.index in wanted)

    def picture(self, t: int) -> Luma:
        return split(scene(1, t, 2.0), scene(2, t, 0.0))


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


class _WithInset(_TwoVideos):
    """The second video is a small box in front of the first, and faster."""

    box = (90, 200, 210, 330)

    def picture(self, t: int) -> Luma:
        return with_inset(scene(1, t, 2.0), scene(2, t, 6.0), self.box)


class _Told:
    """A progress report."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.calls.append((stage, done, total))


def surveyed(clip: _TwoVideos, folder: Path, points: Sequence[PointChoice], progress: _Told | None = None) -> Survey:
    store = MaskStore(folder / "masks.zip", clip.info.size_wh)
    settings = compose_settings("preview", ())
    told = progress or _Told()
    return survey_clip(clip, _TwoPeople(), store, settings, folder, lambda: None, told, points)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("points", "place", "speed"), [((), "lower", 0.0), ((PointChoice(110, 90, 0.5),), "upper", 2.0)]
)
def test_only_the_chosen_video_is_measured(
    tmp_path: Path, points: Sequence[PointChoice], place: str, speed: float
) -> None:
    survey = surveyed(_TwoVideos(), tmp_path, points)
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


def test_what_is_behind_an_inset_is_measured_without_it(tmp_path: Path) -> None:
    clip = _WithInset()
    survey = surveyed(clip, tmp_path, ())
    (track,) = survey.tracks
    assert track.boxes_xyxy[0, 1] == 40
    moved = np.diff(survey.motion.world_from_source[:, 0, 2])
    assert np.abs(moved - 2.0).max() < 0.05
    assert survey.overlays is not None
    for frame in (0, 35):
        covered = survey.overlays.mask(frame)
        assert covered is not None
        x0, y0, x1, y1 = clip.box
        assert covered[y0:y1, x0:x1].all()
        covered[y0 - 6 : y1 + 6, x0 - 6 : x1 + 6] = False
        assert not covered.any()
    (told,) = split_screens_told(survey.split_screens, survey.info)
    assert "the large one" in told


def test_an_inset_is_measured_where_a_point_selects_it(tmp_path: Path) -> None:
    survey = surveyed(_WithInset(), tmp_path, (PointChoice(120, 260, 0.5),))
    (track,) = survey.tracks
    assert track.boxes_xyxy[0, 1] == 220
    moved = np.diff(survey.motion.world_from_source[:, 0, 2])
    assert np.abs(moved - 6.0).max() < 0.1
    (told,) = split_screens_told(survey.split_screens, survey.info)
    assert "the small one" in told


def test_the_second_reading_reports_progress(tmp_path: Path) -> None:
    told = _Told()
    surveyed(_TwoVideos(), tmp_path, (), told)
    count = _TwoVideos.info.num_frames
    assert [call for call in told.calls if call[0] == "split_screen"] == [
        ("split_screen", done, count) for done in range(1, count + 1)
    ]
