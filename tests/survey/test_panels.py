"""Translucent panels are found with their sides, color and opacity, from their first to their last frame."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.panels import Panel, Panels
from pipeline.maths.translucent import with_panels
from pipeline.survey.graphic import Seen
from pipeline.survey.panel_course import opacity_over_time
from pipeline.survey.panels import PanelFinder
from tests.support.clip_info import video_info

SIZE_WH = (320, 180)
WHOLE = (0, 0, *SIZE_WH)
COUNT = 56
SHOWN = range(17, 45)
BOX = (70.0, 110.0, 250.0, 150.0)
NOBODY = np.zeros(SIZE_WH[::-1], np.bool_)
Picture = NDArray[np.uint8]


def world_of(step_xy: tuple[float, float], count: int = COUNT) -> NDArray[np.float64]:
    world = np.tile(np.eye(3), (count, 1, 1))
    world[:, :2, 2] = np.arange(count)[:, None] * np.array(step_xy)
    return world


def scene(world: NDArray[np.float64], fine: float = 1.0) -> list[Picture]:
    """A texture, ``fine`` of which is a few px wide."""
    random = np.random.default_rng(8)
    noise = [cv2.GaussianBlur(random.normal(0, 1, (400, 700, 3)).astype(np.float32), (0, 0), size) for size in (2, 12)]
    picture = fine * noise[0] / noise[0].std() + noise[1] / noise[1].std()
    levels = np.clip(125 + 28 * np.asarray(picture), 0, 255).astype(np.uint8)
    start = np.array([[1, 0, 50], [0, 1, 50], [0, 0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return [np.asarray(cv2.warpPerspective(levels, start @ each, SIZE_WH, flags=flags), np.uint8) for each in world]


def under(picture: Picture, panel: Panel, words: str = "some words") -> Picture:
    result = np.clip(np.rint(with_panels(picture.astype(np.float32), [panel], WHOLE)), 0, 255).astype(np.uint8)
    cv2.putText(result, words, (90, 138), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (250, 250, 250), 2, cv2.LINE_AA)
    return result


def found_in(pictures: list[Picture], world: NDArray[np.float64], people: list[NDArray[np.bool_]]) -> Panels | None:
    finder = PanelFinder(video_info(len(pictures), SIZE_WH))
    held: deque[Seen] = deque(maxlen=40)
    for t, picture in enumerate(pictures):
        held.append(Seen(t, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), people[t], world[t]))
        finder.push(held, lambda now=picture: now, t, is_cut=False)
    return finder.finish()


@pytest.mark.parametrize("step", [(1.5, 0.4), (0.0, 0.0)], ids=["moving", "still"])
@pytest.mark.parametrize("color", [(0.0, 0.0, 0.0), (235.0, 240.0, 60.0)], ids=["dark", "yellow"])
def test_a_panel_that_comes_and_goes_is_found(step: tuple[float, float], color: tuple[float, float, float]) -> None:
    world = world_of(step)
    panel = Panel(BOX, 8.0, color, 0.6)
    pictures = [under(each, panel) if t in SHOWN else each for t, each in enumerate(scene(world))]
    people = []
    for t in range(COUNT):
        mask = NOBODY.copy()
        mask[40:170, 30 + 3 * t : 62 + 3 * t] = True
        pictures[t][mask] = 80
        if t in SHOWN:
            pictures[t] = np.where(mask[..., None], under(pictures[t], panel), pictures[t])
        people.append(mask)
    found = found_in(pictures, world, people)
    assert found is not None
    assert len(found.firsts) == 1
    assert found.boxes_xyxy[0] == pytest.approx(BOX, abs=1.5)
    assert found.colors[0] == pytest.approx(color, abs=12)
    assert found.firsts[0] == pytest.approx(SHOWN[0], abs=1)
    assert len(found.opacities) == pytest.approx(len(SHOWN), abs=2)
    assert np.median(found.opacities) == pytest.approx(0.6, abs=0.04)
    assert found.radii_px[0] == pytest.approx(8.0, abs=4)


def test_a_panel_that_ends_was_there_since_the_shot_began() -> None:
    world = world_of((1.5, 0.4))
    panel = Panel(BOX, 0.0, (0.0, 0.0, 0.0), 0.5)
    pictures = [under(each, panel) if t < 30 else each for t, each in enumerate(scene(world))]
    found = found_in(pictures, world, [NOBODY] * COUNT)
    assert found is not None
    assert found.firsts.tolist() == [0]
    assert len(found.opacities) == pytest.approx(30, abs=2)
    assert found.boxes_xyxy[0] == pytest.approx(BOX, abs=2)


@pytest.mark.parametrize("step", [(1.5, 0.4), (0.0, 0.0)], ids=["moving", "still"])
@pytest.mark.parametrize("color", [(0.0, 0.0, 0.0), (235.0, 240.0, 60.0)], ids=["dark", "yellow"])
def test_a_panel_that_is_there_all_the_time_is_found(
    step: tuple[float, float], color: tuple[float, float, float]
) -> None:
    count = 72
    world = world_of(step, count)
    panel = Panel(BOX, 0.0, color, 0.5)
    panels = found_in([under(each, panel) for each in scene(world, 0.15)], world, [NOBODY] * count)
    assert panels is not None and len(panels.firsts) == 1
    assert panels.firsts[0] == 0
    assert len(panels.opacities) == count
    assert np.abs(panels.boxes_xyxy[0] - BOX).max() < 2
    assert np.abs(panels.colors[0] - color).max() < 20
    assert panels.opacities == pytest.approx(0.5, abs=0.06)


def test_a_scene_has_no_panels_nor_has_a_shadow_with_soft_edges_or_an_opaque_sign() -> None:
    world = world_of((1.5, 0.4))
    assert found_in(scene(world), world, [NOBODY] * COUNT) is None
    shade = np.zeros(SIZE_WH[::-1], np.float32)
    cv2.rectangle(shade, (70, 110), (250, 150), 0.6, -1)
    soft = (1 - cv2.GaussianBlur(shade, (0, 0), 7))[..., None]
    pictures = [(each * soft).astype(np.uint8) if t in SHOWN else each for t, each in enumerate(scene(world))]
    assert found_in(pictures, world, [NOBODY] * COUNT) is None
    signs = scene(world)
    for t in SHOWN:
        signs[t][110:150, 70:250] = 40
    assert found_in(signs, world, [NOBODY] * COUNT) is None


def waves(frame: int) -> Picture:
    rows, columns = np.mgrid[40:108, : SIZE_WH[0]].astype(np.float32)
    nearness = np.clip((rows - 40) / 70, 0.05, 1)
    random = np.random.default_rng(7)
    height = np.zeros_like(rows)
    for _ in range(14):
        strength, rate = random.uniform(0.3, 1), random.uniform(0.04, 0.24)
        slant, speed, start = random.uniform(-0.7, 0.7), random.uniform(1, 5), random.uniform(0, 6)
        height += strength * np.sin(rate / nearness * (columns * slant + 1.5 * rows) + speed * frame / 30 + start)
    return np.clip(90 + 10 * height[..., None] * np.array([0.7, 1, 1.1]), 0, 255).astype(np.uint8)


def test_waves_that_look_like_a_panel_in_one_moment_are_none() -> None:
    count = 60
    world = world_of((0.0, 0.0), count)
    pictures = scene(world)
    for t in range(count):
        pictures[t][40:108] = waves(t)
    assert found_in(pictures, world, [NOBODY] * count) is None


def test_the_opacity_is_constant_but_for_fades_and_bad_moments_in_between_count_for_nothing() -> None:
    measured = np.array([0, 0.02, 0.15, 0.3, 0.45, 0.6, 0.6, 0.2, 0.61, 0.6, 0.6, 0.6, 0.59, 0.6, 0.3, 0.0, 0.0])
    course = opacity_over_time(np.arange(len(measured)), measured, 0.6)
    assert course is not None
    first, opacities = course
    assert first == 2
    assert opacities == pytest.approx([0.15, 0.3, 0.45, *[0.6] * 9, 0.3], abs=0.01)
    assert opacity_over_time(np.arange(9), np.full(9, np.nan), 0.6) is None
    assert opacity_over_time(np.arange(18), np.repeat([0.3, 0.5, 0.9], 6), 0.5) is None
