"""Faint outlines belong to a graphic, and what moves beside it does not."""

from __future__ import annotations

import numpy as np

from pipeline.survey.graphic import Seen, graphics_of
from pipeline.survey.letter_edges import complete_graphic
from pipeline.survey.still_background import StillBackground
from tests.support.motion_truth import SIZE_WH

_NOBODY = np.zeros(SIZE_WH[::-1], np.bool_)
_LETTER = np.s_[100:140, 200:206]
_OUTLINED = np.s_[98:142, 198:208]


def frames_with_a_letter(ground: int) -> list[Seen]:
    """A bright letter from frame 5 on, with an outline that is a little darker than the ground; left of it all
    flickers."""
    frames = []
    for t in range(20):
        luma = np.full(SIZE_WH[::-1], ground, np.uint8)
        if t >= 5:
            luma[_OUTLINED] = ground - 14
            luma[_LETTER] = 250
        luma[100:140, 190:198] = ground + 20 * (t % 2)
        frames.append(Seen(t, luma, _NOBODY, np.eye(3)))
    return frames


def test_a_faint_outline_is_added_and_nothing_that_moves() -> None:
    frames = frames_with_a_letter(60)
    letter = _NOBODY.copy()
    letter[_LETTER] = True
    (graphic,) = graphics_of(letter, letter, frames[-1].luma.astype(np.float32), 5, 19)
    complete_graphic(graphic, frames, StillBackground(SIZE_WH))
    whole = _NOBODY.copy()
    whole[graphic.area] = graphic.mask
    expected = _NOBODY.copy()
    expected[_OUTLINED] = True
    assert (whole == expected).all()
    assert len(graphic.gray) == np.count_nonzero(graphic.mask)


def test_without_a_frame_beside_it_a_graphic_stays_as_it_is() -> None:
    frames = frames_with_a_letter(60)[5:]
    letter = _NOBODY.copy()
    letter[_LETTER] = True
    (graphic,) = graphics_of(letter, letter, frames[-1].luma.astype(np.float32), 5, 19)
    complete_graphic(graphic, frames, StillBackground(SIZE_WH))
    assert np.count_nonzero(graphic.mask) == np.count_nonzero(letter)
