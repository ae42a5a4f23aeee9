"""What a detector misses of a painted person is completed by the plate and the figure, and lit as the scene is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import cv2
import numpy as np

from pipeline.datatypes.window import Layer
from pipeline.perform.difference import with_difference
from pipeline.perform.matting import MatteMaker
from tests.support.painted_people import FoundPeople, figure_in, painted_person, painted_window


def test_parts_that_the_detector_misses_are_completed_from_the_plate_without_shadow_and_errors() -> None:
    rng = np.random.default_rng(5)
    plate = cv2.GaussianBlur(rng.integers(0, 255, (200, 200, 3), np.uint8), (0, 0), 2)
    painted = np.clip(cv2.GaussianBlur(plate, (0, 0), 1) + rng.normal(0, 5, plate.shape), 0, 255).astype(np.uint8)
    mask = np.zeros((200, 200), np.bool_)
    mask[20:180, 80:120] = True
    hand, arm, shoe, shadow, elsewhere = (
        np.s_[60:74, 120:126], np.s_[90:102, 120:150], np.s_[170:180, 68:80], np.s_[160:180, 120:126],
        np.s_[30:44, 140:160],
    )  # fmt: skip
    painted[mask] = (250, 40, 40)
    for part in (hand, arm, elsewhere):
        painted[part] = (250, 200, 40)
    for part in (shoe, shadow):
        painted[part] = painted[part] // 3
    silhouette = np.zeros_like(mask)
    for part in (np.s_[40:180, 90:110], arm, shoe):
        silhouette[part] = True
    completed = with_difference(mask, silhouette, painted, plate, 160.0, 155.0)
    assert (completed | ~mask).all() and min(completed[part].mean() for part in (hand, arm, shoe)) > 0.75
    assert not completed[shadow].any() and not completed[elsewhere].any()
    assert np.count_nonzero(completed & ~mask) < 1.2 * (14 * 6 + 12 * 30 + 10 * 12)
    # Where picture and plate are alike, the mask stays what it is.
    assert np.array_equal(with_difference(mask, silhouette, plate, plate, 160.0, 155.0), mask)


def test_a_painted_person_is_completed_and_stands_on_the_figures_shadow() -> None:
    window = replace(
        painted_window(1), figure=figure_in((60, 52, 44), 1), plates=np.full((1, 100, 100, 3), 100, np.uint8)
    )
    painted = window.plates[0].copy()
    painted[10:90, 40:60] = (200, 60, 60)
    painted[30:46, 60:72] = (200, 60, 60)  # an arm that the detector misses
    assert window.figure is not None and window.figure.layers[0].alpha is not None
    shadow = window.figure.layers[0].alpha.copy()
    shadow[88:94, 20:80] = 128
    depth = window.figure.depth.copy()
    depth[0, 30:46, 60:70] = 0
    figure = replace(window.figure, layers=(replace(window.figure.layers[0], alpha=shadow),), depth=depth)
    matting = MatteMaker(FoundPeople([[painted_person()]]), None, match_light=False)
    (layer,) = matting.cut(replace(window, figure=figure), [Layer(painted, None)], lambda seed: [], seed=1)
    assert layer.alpha is not None
    assert layer.alpha[38, 66] > 200 and layer.alpha[54, 66] == 0
    assert layer.alpha[91, 30] == 128 and layer.picture[91, 30].max() == 0


def test_each_frame_of_a_window_is_completed_from_its_own_plate_and_figure() -> None:
    """Each has its arm elsewhere, and a plate of another color; in the first one somebody else is found first."""
    plates = np.stack([np.full((100, 100, 3), level, np.uint8) for level in (40, 220)])
    arms = np.s_[30:46, 60:72], np.s_[60:76, 60:72]
    figure = figure_in((60, 52, 44), 2)
    depth = figure.depth.copy()
    painted = []
    for row, arm in enumerate(arms):
        picture = plates[row].copy()
        for part in (np.s_[10:90, 40:60], arm):
            picture[part] = (200, 60, 60)
        depth[row][arm] = 0
        painted.append(Layer(picture, None))
    window = replace(painted_window(2), figure=replace(figure, depth=depth), plates=plates)
    found = [[painted_person(30), painted_person()], [painted_person()]]
    made = list(MatteMaker(FoundPeople(found), None, match_light=False).cut(window, painted, lambda seed: [], seed=1))
    for row, layer in enumerate(made):
        assert layer.alpha is not None
        assert [layer.alpha[38, 66] > 200, layer.alpha[68, 66] > 200] == [row == 0, row == 1]
        assert layer.alpha[20, 75] == 0


def test_painted_people_get_the_light_of_the_scene_without_a_jump_and_finished_ones_stay() -> None:
    """The painting is too bright and blue, and flickers a little; its first frame was finished before."""
    frames = 6
    window = replace(painted_window(frames), figure=figure_in((60, 52, 44), frames))
    texture = np.random.default_rng(4).integers(-14, 15, (100, 100, 1))
    painted = [
        Layer(np.clip(np.array([120, 126, 170]) + texture + 3 * (i % 2), 0, 255).astype(np.uint8), None)
        for i in range(frames)
    ]
    finished = Layer(np.full((100, 100, 3), 77, np.uint8), painted_person().mask.astype(np.uint8) * 255)
    made: list[Layer] = [finished, *painted[1:]]

    def cut(match_light: bool) -> list[Layer]:
        matting = MatteMaker(
            cast(Any, FoundPeople([[painted_person()] for _ in made[1:]])), None, match_light=match_light
        )
        return list(matting.cut(window, made, lambda seed: made, seed=1))

    inside = np.s_[20:80, 44:56]
    lit = cut(True)
    as_painted = cut(False)
    assert np.array_equal(lit[0].picture, finished.picture)
    means = np.array([layer.picture[inside].reshape(-1, 3).mean(axis=0) for layer in lit[1:]])
    assert np.abs(means - (60, 52, 44)).max() < 6
    assert np.abs(np.diff(means, axis=0)).max() < 2.5  # the painting's own flicker, darker: no more
    assert np.array_equal(as_painted[1].picture[inside], painted[1].picture[inside])
    detail = [
        float((part := layer.picture[inside].astype(float)).std() / part.mean()) for layer in (lit[1], painted[1])
    ]
    assert detail[0] > 0.8 * detail[1]
