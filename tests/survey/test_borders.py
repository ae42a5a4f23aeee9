"""Bars and blurred copies around a clip are found, and no wall, sky or window is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.blurred_copy import copy_of_row
from pipeline.datatypes.survey import Overlays
from pipeline.survey import copy_search
from pipeline.survey.borders import BorderFinder, tracks_inside
from pipeline.survey.overlays import OverlayFinder
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
    found_in([picture] * LOOKS)
    assert 0 < len(set(boxes)) <= 16


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
