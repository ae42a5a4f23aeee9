"""Both shots' people are replaced in the frames of a cross-fade, each with the weight of their picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.finish.composite import EditedFrame
from pipeline.finish.dissolved import Dissolve, dissolve_runs, make_dissolve
from tests.support.dissolving_clip import COUNT, CUT, FIRST, NEW, STOP, WALLS, WEIGHTS, WH, clip, edited, plan, shown


@pytest.fixture(scope="module")
def made() -> Dissolve:
    found = make_dissolve(clip(), plan(), (FIRST, STOP, CUT), edited)
    assert found is not None
    return found


@pytest.mark.parametrize("number", [FIRST, FIRST + 2, CUT - 1, CUT, STOP - 1])
def test_both_original_people_are_gone_and_both_new_ones_are_there(made: Dissolve, number: int) -> None:
    picture, *people = shown(number)
    weight = WEIGHTS[number - FIRST]
    sides = [np.where(mask[..., None], NEW, each) for mask, each in zip(people, WALLS, strict=True)]
    true = (1 - weight) * sides[0] + weight * sides[1]
    result = made.mixed(edited(number), None)
    inside = cv2.erode((people[0] | people[1]).view(np.uint8), np.ones((3, 3))) > 0
    errors = np.abs(result.result_rgb.astype(float) - true)
    assert errors[inside].mean() < 3
    assert np.abs(picture.astype(float) - true)[people[0]].mean() > 6 * errors[people[0]].mean()
    assert np.abs(picture.astype(float) - true)[people[1]].mean() > 6 * errors[people[1]].mean()
    away = ~result.region
    assert away.mean() > 0.3
    assert all((a[away] == b[away]).all() for a, b in zip(result.result.planes, result.source.planes, strict=True))


@pytest.mark.parametrize("rows", [(44, 52), (52, WH[1]), (0, 48)], ids=["across", "over the legs", "over the head"])
def test_a_caption_stays_on_top(made: Dissolve, rows: tuple[int, int]) -> None:
    caption = np.zeros(WH[::-1], np.bool_)
    caption[slice(*rows)] = True
    result = made.mixed(edited(FIRST + 3), caption)
    assert (result.result.planes[0][caption] == result.source.planes[0][caption]).all()
    assert not result.region[caption].any()
    assert result.region.any()


def test_nothing_is_mixed_where_a_picture_fades_to_black() -> None:
    black: NDArray[Any] = np.zeros_like(WALLS[0])

    def fading(number: int) -> EditedFrame:
        return replace(edited(number), source_rgb=black) if number == STOP else edited(number)

    assert make_dissolve(clip(), plan(), (FIRST, STOP, CUT), fading) is None


def test_nothing_is_mixed_where_nobody_is_replaced() -> None:
    def untouched(number: int) -> EditedFrame:
        return replace(edited(number), weights=None, layer=None)

    assert make_dissolve(clip(), plan(), (FIRST, STOP, CUT), untouched) is None


def test_a_cross_fade_lies_between_two_clear_frames_of_two_shots() -> None:
    assert dissolve_runs(plan()) == [(FIRST, STOP, CUT)]
    assert dissolve_runs(replace(plan(), shot_starts=np.array([0, 12, 14]))) == []
    assert dissolve_runs(replace(plan(), blend_weights=None)) == []
    ends = np.full(COUNT, np.nan, np.float32)
    ends[20:] = 0.5
    assert dissolve_runs(replace(plan(), blend_weights=ends, shot_starts=np.array([0, 22]))) == []
