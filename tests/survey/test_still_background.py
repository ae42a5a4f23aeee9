"""What words uncover before a still camera is background, and what was there before a panel returns."""

from __future__ import annotations

import numpy as np

from pipeline.survey.still_background import StillBackground

SIZE_WH = (8, 6)
NOTHING = np.zeros(SIZE_WH[::-1], np.bool_)


def flat(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full(SIZE_WH[::-1], level, np.uint8)


def test_a_word_shown_for_a_moment_is_no_background() -> None:
    background = StillBackground(SIZE_WH)
    for level in (90, 90, 90, 90, 200, 200):
        background.look(flat(level), NOTHING)
    assert background.shows(flat(94).astype(np.float32)).all()
    assert not background.shows(flat(200).astype(np.float32)).any()


def test_nothing_is_learned_beneath_graphics_and_people() -> None:
    background = StillBackground(SIZE_WH)
    covered = NOTHING.copy()
    covered[:, :3] = True
    for _ in range(8):
        background.look(flat(90), covered)
    assert (background.shows(flat(90).astype(np.float32)) == ~covered).all()


def test_what_was_there_before_a_panel_is_still_background_and_nothing_is_after_the_camera_moved() -> None:
    background = StillBackground(SIZE_WH)
    for level in (150, 60):
        for _ in range(8):
            background.look(flat(level), NOTHING)
    for level in (150, 60):
        assert background.shows(flat(level).astype(np.float32)).all()
    assert not background.shows(flat(105).astype(np.float32)).any()
    background.forget()
    assert not background.shows(flat(60).astype(np.float32)).any()
