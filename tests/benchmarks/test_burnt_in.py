"""The graphics that benchmarks draw lie where their coverage says, differ between the styles, and leave the rest."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.burnt_in import KINDS, STYLES, drawn, laid_on
from benchmarks.framed import FRAMES

SIZE_WH = (320, 180)
FRAME = 50
"""All kinds are shown in it."""


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8)


@pytest.mark.parametrize("kind", [*KINDS])
def test_a_graphic_covers_a_part_of_the_picture_and_changes_nothing_beside_it(kind: str) -> None:
    before = picture()
    covers = []
    for style in STYLES:
        colors, alpha = drawn((kind,), FRAME, SIZE_WH, style)
        assert 0.002 < float(np.mean(alpha > 0.05)) < 0.4
        result = laid_on(before, (colors, alpha))
        assert np.array_equal(result[alpha == 0], before[alpha == 0])
        assert np.array_equal(result[alpha == 1], colors[alpha == 1])
        covers.append(alpha)
    assert not np.array_equal(*covers)


def test_what_begins_and_ends_is_not_there_before_and_after() -> None:
    for style in STYLES:
        for kind in ("caption", "panel", "pop"):
            assert not drawn((kind,), style.first - 1, SIZE_WH, style)[1].any()
            assert drawn((kind,), style.first + 6, SIZE_WH, style)[1].any()
            assert not drawn((kind,), style.last + 20, SIZE_WH, style)[1].any()


def test_karaoke_changes_its_word_and_a_panel_lets_the_picture_through() -> None:
    for style in STYLES:
        one, two = (drawn(("karaoke",), t, SIZE_WH, style)[1] for t in (4 * style.word_frames, 5 * style.word_frames))
        assert not np.array_equal(one, two)
        alpha = drawn(("panel",), FRAME, SIZE_WH, style)[1]
        assert 0.4 < float(np.median(alpha[alpha > 0.3])) < 0.7


@pytest.mark.parametrize("kind", [*FRAMES])
def test_a_frame_leaves_one_box_of_the_picture(kind: str) -> None:
    before = picture()
    for style in range(len(STYLES)):
        colors, alpha = FRAMES[kind](before, FRAME, style)
        rows, columns = np.nonzero(alpha == 0)
        box = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert not alpha[box].any()
        assert alpha[alpha > 0].min() == 1
        assert 0.3 < float(np.mean(alpha == 0)) < 0.9
        assert np.array_equal(laid_on(before, (colors, alpha))[box], before[box])


def test_a_blurred_copy_has_the_colors_of_the_picture_and_none_of_its_detail() -> None:
    before = np.full((SIZE_WH[1], SIZE_WH[0], 3), (200, 100, 50), np.uint8)
    colors, _ = FRAMES["blurred_top"](before, FRAME, 1)
    assert np.array_equal(colors, before)
    colors, alpha = FRAMES["blurred_sides"](picture(), FRAME, 0)
    assert np.abs(np.diff(colors[:, :40].astype(float), axis=1)).mean() < 3
    assert colors[alpha > 0].mean() == pytest.approx(0.6 * 127.5, rel=0.1)
