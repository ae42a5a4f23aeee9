"""Texts that people walk in front of are told from those on top of everything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.survey.behind_people import OverPeople, behind_people
from pipeline.survey.overlays import OverlayFinder
from tests.support.clip_info import video_info
from tests.support.motion_truth import SIZE_WH

COUNT = 36


def person(frame: int) -> Mask:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[60:340, 90 + 9 * frame : 170 + 9 * frame] = True
    return mask


def text() -> NDArray[np.float32]:
    """(H, W) how opaque it is."""
    drawn = np.zeros(SIZE_WH[::-1], np.uint8)
    cv2.putText(drawn, "SUMMER", (120, 200), cv2.FONT_HERSHEY_SIMPLEX, 3.2, 255, 22, cv2.LINE_AA)
    return drawn.astype(np.float32) / 255


@pytest.mark.parametrize("opacity", [1.0, 0.6])
@pytest.mark.parametrize("is_behind", [True, False])
def test_a_text_is_behind_whoever_hides_its_edges(opacity: float, is_behind: bool) -> None:
    noise = np.random.default_rng(3).normal(0, 1, (500, 900)).astype(np.float32)
    ground = np.asarray(100 + 250 * cv2.GaussianBlur(noise, (0, 0), 3), np.float32)
    finder = OverlayFinder(video_info(COUNT))
    for frame in range(COUNT):
        world = np.array([[1, 0, 2.0 * frame], [0, 1, 0.4 * frame], [0, 0, 1]])
        x, y = 2 * frame, round(0.4 * frame)
        scene = ground[y : y + SIZE_WH[1], x : x + SIZE_WH[0]].copy()
        weight = opacity * text() * (~person(frame) if is_behind else 1)
        scene[person(frame)] = 60
        picture = np.clip(scene * (1 - weight) + 235 * weight, 0, 255).astype(np.uint8)
        finder.push(picture, person(frame), world, is_cut=False)
    overlays = finder.finish()
    found, in_front = overlays.mask(20), overlays.front_mask(20)
    letters = (text() > 0.9) & ~person(20)
    assert found is not None and found[letters].mean() > 0.1
    assert (in_front is not None and in_front[letters].mean() > 0.1) is not is_behind
    if not is_behind:
        assert in_front is not None and np.array_equal(found, in_front)


def test_letters_that_nobody_passes_are_where_their_text_is_and_another_text_is_on_its_own() -> None:
    hidden = OverPeople(fit=10, energy=100, fit_beside=95, energy_beside=100, count=500, frames=9)
    shown = OverPeople(fit=99, energy=100, fit_beside=95, energy_beside=100, count=500, frames=9)
    unclear = OverPeople(fit=50, energy=100, fit_beside=95, energy_beside=100, count=500, frames=9)
    boxes = [(0, 0, 20, 40), (26, 0, 50, 40), (55, 0, 80, 40), (0, 90, 80, 100), (0, 0, 80, 40)]
    evidence = [hidden, OverPeople(), OverPeople(), shown, None]
    assert behind_people(boxes, evidence).tolist() == [True, True, True, False, False]
    # Masks that reach too far beside one letter.
    more = [hidden, unclear, OverPeople(), shown, None]
    assert behind_people(boxes, more).tolist() == [True, True, True, False, False]
    assert behind_people(boxes[1:3], [shown, unclear]).tolist() == [False, False]
    assert not behind_people(boxes[:1], [OverPeople()]).any()
