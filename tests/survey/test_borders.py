"""Bars and blurred copies around a clip are found, and no wall, sky or window is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from conf import compose_settings
from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.blurred_copy import copy_of_row
from pipeline.datatypes.clip import Frame
from pipeline.datatypes.survey import Overlays, Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.survey import borders, copy_search
from pipeline.survey.borders import BorderFinder, tracks_inside
from pipeline.survey.overlays import OverlayFinder
from pipeline.survey.survey import survey_clip
from pipeline.workspace.masks import MaskStore
from tests.support.clip_info import video_info
from tests.support.followed import made_track
from tests.support.motion_truth import SIZE_WH

WIDTH, HEIGHT = SIZE_WH
LOOKS = 12
NOBODY = np.zeros((HEIGHT, WIDTH), np.bool_)
Luma = NDArray[np.uint8]
Box = tuple[int, int, int, int]


def scene(t: int, step: float = 6.0) -> Luma:
    noise = np.random.default_rng(3).normal(0, 1, (HEIGHT, 2 * WIDTH)).astype(np.float32)
    picture = sum(cv2.GaussianBlur(noise, (0, 0), sigma) * sigma * gain for sigma, gain in ((2, 40), (25, 90)))
    left = round(step * t)
    return np.clip(120 + picture[:, left : left + WIDTH], 0, 255).astype(np.uint8)


def barred(luma: Luma, box: Box, color: int) -> Luma:
    drawn = np.full_like(luma, color)
    x0, y0, x1, y1 = box
    drawn[y0:y1, x0:x1] = luma[y0:y1, x0:x1]
    return drawn


def blurred(luma: Luma, box: Box) -> Luma:
    x0, y0, x1, y1 = box
    content = luma[y0:y1, x0:x1]
    factor = max(WIDTH / content.shape[1], HEIGHT / content.shape[0])
    large = cv2.resize(content, None, fx=factor, fy=factor)
    top, left = (large.shape[0] - HEIGHT) // 2, (large.shape[1] - WIDTH) // 2
    drawn = cv2.GaussianBlur(large[top : top + HEIGHT, left : left + WIDTH], (0, 0), 16) * 0.7
    drawn[y0:y1, x0:x1] = content
    return drawn.astype(np.uint8)


def coded(luma: Luma) -> Luma:
    return cv2.imdecode(cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_GRAYSCALE)


def found_in(pictures: list[Luma], people: NDArray[np.bool_] = NOBODY) -> list[list[int]]:
    finder = BorderFinder(SIZE_WH)
    for picture in pictures:
        finder.look(coded(picture), people)
    return finder.finish(len(pictures))[0].tolist()


@pytest.mark.parametrize("step", [6.0, 0.0], ids=["moving", "still"])
@pytest.mark.parametrize(
    ("box", "color"),
    [((150, 0, 490, HEIGHT), 0), ((0, 60, WIDTH, 300), 255), ((100, 40, 540, 320), 90), ((0, 90, WIDTH, HEIGHT), 8)],
    ids=["pillarbox", "letterbox", "all around", "above"],
)
def test_bars_are_found_to_the_pixel(step: float, box: Box, color: int) -> None:
    (row,) = found_in([barred(scene(t, step), box, color) for t in range(LOOKS)])
    assert row[:2] == [0, LOOKS - 1]
    assert np.abs(np.subtract(row[2:], box)).max() <= 1


def test_a_title_on_a_bar_leaves_it_one() -> None:
    box = (0, 110, WIDTH, 330)
    pictures = [barred(scene(t), box, 255) for t in range(LOOKS)]
    for picture in pictures:
        cv2.putText(picture, "POV: you are late", (90, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 0, 4, cv2.LINE_AA)
    (row,) = found_in(pictures)
    assert np.abs(np.subtract(row[2:], box)).max() <= 1


def test_a_facade_with_many_lines_is_searched_in_few_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fit takes a fifth of a second."""
    facade = np.full((HEIGHT, WIDTH), 90, np.uint8)
    for place in range(30, WIDTH // 2, 45):
        facade[:, place : place + 20] = facade[:, WIDTH - place - 20 : WIDTH - place] = 170
    for place in range(20, HEIGHT // 2, 35):
        facade[place : place + 14] = facade[HEIGHT - place - 14 : HEIGHT - place] = 200
    noise = np.random.default_rng(5).normal(0, 4, facade.shape)
    picture = np.clip(cv2.GaussianBlur(facade, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)
    boxes: list[Box] = []

    def fitted(frames: object, box: Box, *rest: object) -> None:
        boxes.append(box)

    monkeypatch.setattr(copy_search, "fit_blurred_copy", fitted)
    assert found_in([picture] * LOOKS) == []
    # Two early searches and a whole one.
    assert 0 < len(boxes) <= 4 + 4 + 16


def test_a_search_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[int] = []
    monkeypatch.setattr(borders, "find_copy", lambda *_: searches.append(1))
    finder = BorderFinder(SIZE_WH)
    for t in range(6):
        finder.look(scene(t), NOBODY)
    assert not finder.has_borders()
    assert not finder.has_borders()
    assert len(finder.finish(6)[0]) == 0
    assert len(searches) == 2


@pytest.mark.parametrize("step", [6.0, 0.0], ids=["moving", "still"])
@pytest.mark.parametrize("box", [(200, 0, 440, HEIGHT), (0, 70, WIDTH, 290)], ids=["sides", "above and below"])
def test_blurred_copies_are_found_and_measured(step: float, box: Box) -> None:
    pictures = [blurred(scene(t, step), box) for t in range(LOOKS)]
    for picture in pictures:
        cv2.putText(picture, "so", (20, 50), cv2.FONT_HERSHEY_SIMPLEX, 1.4, 255, 4, cv2.LINE_AA)
    finder = BorderFinder(SIZE_WH)
    for picture in pictures:
        finder.look(coded(picture), NOBODY)
    (row,), copies = finder.finish(len(pictures))
    assert np.abs(np.subtract(row[2:], box)).max() <= 2
    copy = copy_of_row(copies[0])
    assert copy is not None
    scale = max(WIDTH / (box[2] - box[0]), HEIGHT / (box[3] - box[1]))
    offset = (WIDTH - scale * (box[0] + box[2])) / 2, (HEIGHT - scale * (box[1] + box[3])) / 2
    assert copy.scale_xy == pytest.approx((scale, scale), rel=0.03)
    middle = np.array([WIDTH, HEIGHT]) / 2
    assert middle * copy.scale_xy + copy.offset_xy == pytest.approx(middle * scale + offset, abs=6)
    assert copy.gain == pytest.approx(0.7, abs=0.05)
    assert copy.sigma_px == pytest.approx(16, rel=0.25)


@pytest.mark.parametrize("step", [6.0, 0.0], ids=["moving", "still"])
def test_blurred_sides_that_are_no_copies_are_the_scene(step: float) -> None:
    """A picture seen between two blurred door frames."""
    box = (200, 0, 440, HEIGHT)
    pictures = []
    for t in range(LOOKS):
        picture = cv2.GaussianBlur(scene(t + 40, step), (0, 0), 16)
        picture[:, box[0] : box[2]] = scene(t, step)[:, box[0] : box[2]]
        pictures.append(picture)
    assert found_in(pictures) == []


def test_plain_parts_of_a_scene_are_no_bars() -> None:
    sky = []
    for t in range(LOOKS):
        picture = scene(t, 0.0)
        roofs = 90 + 40 * np.sin(np.arange(WIDTH) / 40)
        picture[np.arange(HEIGHT)[:, None] < roofs] = 255
        sky.append(picture)
    assert found_in(sky) == []
    # Noise: a dark wall is not as even as a bar.
    random = np.random.default_rng(1)
    box = (150, 0, 490, HEIGHT)
    wall = [barred(scene(t, 0.0), box, 40) for t in range(LOOKS)]
    noisy = [np.clip(each + random.normal(0, 5, each.shape), 0, 255).astype(np.uint8) for each in wall]
    assert found_in(noisy) == []


def test_a_wall_before_which_somebody_stands_is_no_bar() -> None:
    pictures = [barred(scene(t, 0.0), (150, 0, 490, HEIGHT), 250) for t in range(LOOKS)]
    person = NOBODY.copy()
    person[200:240, 40:110] = True
    # The mask of somebody in the picture may reach into a bar.
    assert len(found_in(pictures, person)) == 1
    for picture in pictures:
        picture[person] = 120
    assert found_in(pictures, person) == []
    assert len(found_in(pictures)) == 1


def test_a_short_shot_has_the_borders_of_the_shots_beside_it() -> None:
    finder = BorderFinder(SIZE_WH)
    frame = 0
    for count in (LOOKS, 2, LOOKS):
        for t in range(count):
            finder.look(barred(scene(t), (150, 0, 490, HEIGHT), 0), NOBODY)
        frame += count
        finder.cut(frame)
    rows = finder.finish(frame)[0]
    assert rows[:, :2].tolist() == [[0, 11], [12, 13], [14, 25]]
    assert finder.inside is None


def overlays_of(box: Box) -> Overlays:
    finder = OverlayFinder(video_info(60))
    for t in range(60):
        finder.push(barred(scene(t, 2.0), box, 0), NOBODY, np.array([[1, 0, 2.0 * t], [0, 1, 0], [0, 0, 1]]), False)
    return finder.finish()


def test_borders_are_part_of_the_graphics_and_people_in_them_are_nobody() -> None:
    box = (150, 0, 490, HEIGHT)
    overlays = overlays_of(box)
    mask = overlays.mask(30)
    assert mask is not None
    assert mask[:, :150].all()
    assert mask[:, 490:].all()
    assert mask[:, 155:485].mean() < 0.01
    inside = made_track(0, np.arange(60), np.full(60, 320.0))
    beside = made_track(1, np.arange(60), np.full(60, 70.0))
    assert tracks_inside([inside, beside], overlays) == (inside,)


class _InBlurredCopy:
    """A clip: a blurred copy of the picture fills the frame above and below it."""

    info = video_info(20)
    box = (0, 70, WIDTH, 290)

    def frames(self) -> Iterator[Frame]:
        chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
        for t in range(self.info.num_frames):
            # The exposure jumps.
            luma = np.rint(blurred(scene(t), self.box) * (1 if t < 12 else 0.7)).astype(np.uint8)
            yield Frame(t, t, 1, (luma, chroma, chroma), self.info)


class _HalfBody:
    """Finds somebody whom the picture's lower edge cuts off: in the whole frame, he goes on in the blurred copy."""

    look_back = 0
    batch_frames = 2

    def reset(self) -> None:
        pass

    def find_batch(self, pictures: Sequence[Picture]) -> list[list[Person]]:
        return [[self._person(*picture.shape[:2])] for picture in pictures]

    def _person(self, height: int, width: int) -> Person:
        top = 200 if height == HEIGHT else 100
        mask = np.zeros((height, width), np.bool_)
        mask[top:, 300:360] = True
        joints = np.full((NUM_JOINTS, 3), 0.9, np.float32)
        joints[:, 0], joints[:, 1] = 330, np.linspace(top, top + 200, NUM_JOINTS)
        skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
        return Person(np.array([300.0, top, 360, height]), 0.9, joints, skeleton, mask, follow_id=0)


def test_half_a_body_does_not_go_on_in_the_blurred_copy(tmp_path: Path) -> None:
    clip = _InBlurredCopy()
    _, top, _, bottom = clip.box
    store = MaskStore(tmp_path / "masks.zip", SIZE_WH)
    settings = compose_settings("preview", ())
    nothing = lambda *_: None  # noqa: E731
    survey = survey_clip(clip, _HalfBody(), store, settings, tmp_path, nothing, nothing)  # type: ignore[arg-type]
    (track,) = survey.tracks
    assert len(track.frames) == clip.info.num_frames
    assert np.abs(track.boxes_xyxy - [300, top + 100, 360, bottom]).max() <= 2
    beyond = track.joints[:, :, 1] > bottom
    assert beyond.any()
    assert (track.joints[..., 2][beyond] == 0).all()
    mask = store.get(7)[track.track_id]
    assert mask[top + 110 : bottom - 5, 310:350].all()
    assert not mask[bottom + 1 :].any()
    # In one light as well.
    assert track.lit_histograms is not None
    assert not np.array_equal(track.lit_histograms[15], track.color_histograms[15])
    assert np.array_equal(track.lit_histograms[:12], track.color_histograms[:12])
