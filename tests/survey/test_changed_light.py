"""People's colors are compared in the light of their shot's first frame, on drawn scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture, Transforms
from pipeline.datatypes.survey import Person
from pipeline.joints import NUM_JOINTS, NUM_SKELETON
from pipeline.maths.geometry import translation
from pipeline.plan.likeness import bhattacharyya, mean_histogram
from pipeline.survey.changed_light import ColorsInOneLight
from pipeline.survey.color_histogram import color_histogram_of
from pipeline.survey.people import PeopleInFrame
from tests.support.followed import made_track

W, H, SCENE_W = 192, 108, 400
BOX = (90, 30, 118, 102)
CLOTHES = ((150, 100, 90), (100, 105, 130))


def scene() -> Picture:
    noise = np.random.default_rng(5).normal(0, 1, (H, SCENE_W, 3)).astype(np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(110 + 30 * fine / fine.std(), 0, 255).astype(np.uint8)


def picture_at(x: int, clothes: tuple[int, int, int] = CLOTHES[0]) -> Picture:
    """Return the scene from a column on, with somebody in the middle of the picture."""
    picture = scene()[:, x : x + W].copy()
    x0, y0, x1, y1 = BOX
    picture[y0:y1, x0:x1] = clothes
    return picture


def somebody() -> Person:
    x0, y0, x1, y1 = BOX
    mask = np.zeros((H, W), np.bool_)
    mask[y0:y1, x0:x1] = True
    joints, skeleton = (np.full((count, 3), np.nan, np.float32) for count in (NUM_JOINTS, NUM_SKELETON))
    return Person(np.array(BOX, np.float64), 1.0, joints, skeleton, mask)


def colors_in(pictures: list[Picture], worlds: list[Transforms] | None = None) -> NDArray[np.uint8] | None:
    """Return the colors (T, 3, 70) of somebody in the light of the first picture; None where it did not change."""
    colors = ColorsInOneLight((W, H))
    person = somebody()
    for t, picture in enumerate(pictures):
        seen = PeopleInFrame(person.mask, np.zeros((0, 2)), {0: person})
        colors.push(t, picture, seen, np.eye(3) if worlds is None else worlds[t], is_cut=t == 0)
    (track,) = colors.finish([made_track(0, np.arange(len(pictures)), np.full(len(pictures), 104.0), 72.0)])
    return track.lit_histograms


def likeness(colors: NDArray[np.uint8], clothes: tuple[int, int, int]) -> float | None:
    true = color_histogram_of(picture_at(0, clothes), somebody())
    return bhattacharyya(mean_histogram(colors[None]), mean_histogram(true[None]))


def relit(picture: Picture, gain: tuple[float, float, float], added: float = 0.0) -> Picture:
    return np.clip(np.rint(picture * np.array(gain) + added), 0, 255).astype(np.uint8)


LIGHTS = {
    "white balance": ((1.2, 0.95, 0.7), 0.0),
    "exposure": ((0.55, 0.55, 0.55), 0.0),
    "lamp": ((1.3, 1.0, 0.6), 12.0),
}


@pytest.mark.parametrize("name", LIGHTS)
def test_colors_are_those_in_the_first_light(name: str) -> None:
    now = relit(picture_at(0), *LIGHTS[name])
    colors = colors_in([picture_at(0), now])
    assert colors is not None
    same = likeness(colors[1], CLOTHES[0])
    before = likeness(color_histogram_of(now, somebody()), CLOTHES[0])
    other = likeness(colors[1], CLOTHES[1])
    assert same is not None
    assert before is not None
    assert other is not None
    assert same > max(0.8, before + 0.1)
    assert other < 0.6


def test_a_light_leak_hides_colors_where_it_is_strong_and_is_taken_away_beside_it() -> None:
    columns = np.arange(W)[None, :, None]

    def leaked(middle: float) -> Picture:
        veil = np.exp(-(((columns - middle) / 45) ** 2)) * np.array([0.8, 0.35, 0.1])
        return np.rint(255 - (255 - picture_at(0)) * (1 - veil)).astype(np.uint8)

    colors = colors_in([picture_at(0), leaked(104), leaked(20)])
    assert colors is not None
    assert not colors[1].any()
    assert (likeness(colors[2], CLOTHES[0]) or 0) > 0.9


def test_the_light_is_known_on_when_the_camera_has_left_the_first_scene() -> None:
    places = [0, 60, 120, 180]
    worlds = [translation(x, 0) for x in places]
    gain = (1.25, 1.0, 0.65)
    pictures = [picture_at(0), *(relit(picture_at(x), gain) for x in places[1:])]
    colors = colors_in(pictures, worlds)
    assert colors is not None
    assert (likeness(colors[3], CLOTHES[0]) or 0) > 0.9


def test_motion_and_things_that_come_in_are_no_light() -> None:
    entering = picture_at(0)
    entering[20:, :50] = (20, 25, 30)
    moved = np.roll(picture_at(0), 3, axis=1)
    assert colors_in([picture_at(0), entering, moved]) is None
