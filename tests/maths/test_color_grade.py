"""Black-and-white and toned footage is recognized, and colors are given its tones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Picture
from pipeline.maths.color_grade import _tint, find_grade

_SUBJECT = np.zeros((90, 120), np.bool_)
_SUBJECT[20:80, 50:70] = True


def _scene() -> Picture:
    """Return a colorful picture: blocks of random colors and brightnesses."""
    rng = np.random.default_rng(7)
    blocks = rng.integers(20, 236, (9, 12, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(blocks, (120, 90), interpolation=cv2.INTER_LINEAR), np.uint8)


def _toned(picture: Picture, tone: tuple[float, float, float], lift: float = 0.0) -> Picture:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None]
    return np.clip(gray * np.array(tone) + lift, 0, 255).astype(np.uint8)


def _vignette(picture: Picture) -> Picture:
    y, x = np.mgrid[-1:1:90j, -1:1:120j]
    return np.asarray(picture * np.clip(1.2 - 0.6 * np.hypot(x, y), 0, 1)[..., None], np.uint8)


def test_usual_colors_are_no_grade() -> None:
    assert find_grade(_scene(), _SUBJECT) is None


def test_a_colorful_person_in_a_gray_hall_is_no_grade() -> None:
    hall = _toned(_scene(), (1, 1, 1))
    hall[22:27, 50:70] = 200, 150, 120
    assert find_grade(hall, np.zeros_like(_SUBJECT)) is not None
    assert find_grade(hall, _SUBJECT) is None


def test_black_and_white_takes_all_chroma() -> None:
    grade = find_grade(_toned(_scene(), (1, 1, 1)), _SUBJECT)
    assert grade is not None
    blue = np.full((1, 1, 3), (20, 60, 180), np.float32)
    shown = grade.of(blue)[0, 0]
    assert np.ptp(shown) < 1
    assert shown[0] == pytest.approx(0.299 * 20 + 0.587 * 60 + 0.114 * 180, abs=1)


@pytest.mark.parametrize("tone", [(1.07, 0.9, 0.68), (0.5, 0.9, 1.2)])
def test_toned_footage_gives_its_tone(tone: tuple[float, float, float]) -> None:
    picture = _vignette(_toned(_scene(), tone, 8))
    grade = find_grade(picture, _SUBJECT)
    assert grade is not None and grade.saturation == 0
    gray = np.full((1, 1, 3), 120, np.float32)
    shown = grade.of(gray)[0, 0]
    expected = np.array(tone) * 120 / np.dot(tone, (0.299, 0.587, 0.114))
    assert shown == pytest.approx(expected, abs=9)


def test_colored_graphics_do_not_hide_that_a_picture_is_gray() -> None:
    picture = _toned(_scene(), (1, 1, 1))
    caption = np.zeros_like(_SUBJECT)
    caption[70:85, 10:110] = True
    picture[caption] = 255, 40, 60
    assert find_grade(picture, _SUBJECT & ~caption) is None
    grade = find_grade(picture, _SUBJECT & ~caption, caption)
    assert grade is not None and grade.saturation == 0


def test_a_picture_that_turns_gray_takes_chroma_step_by_step() -> None:
    scene = _scene().astype(np.float32)
    gray = _toned(_scene(), (1, 1, 1)).astype(np.float32)

    def kept(share: float) -> float:
        grade = find_grade((gray + share * (scene - gray)).astype(np.uint8), _SUBJECT)
        return 1.0 if grade is None else grade.saturation

    shares: NDArray[np.float64] = np.linspace(0, 0.4, 30)
    saturations = [kept(share) for share in shares]
    assert saturations[0] == 0 and saturations[-1] == 1
    assert any(0 < each < 1 for each in saturations)
    assert saturations == sorted(saturations)


def test_a_plain_picture_and_nothing_but_graphics_are_no_grade() -> None:
    assert find_grade(np.full_like(_scene(), 120), _SUBJECT) is None
    assert find_grade(_toned(_scene(), (1, 1, 1)), _SUBJECT, np.ones_like(_SUBJECT)) is None


def test_the_tint_is_the_median_chroma_of_each_step_of_luma() -> None:
    rng = np.random.default_rng(2)
    luma = rng.integers(0, 120, 700).astype(np.uint8)
    chroma = rng.normal(0, 20, (700, 2)).astype(np.float32)
    luma[:3] = 250
    tint = _tint(luma, chroma)
    assert tint is not None
    steps = [luma // 8 == k for k in range(15)]
    for k in range(2):
        usual = [np.median(chroma[step, k]) for step in steps]
        wanted = np.interp(np.arange(256), [luma[step].mean() for step in steps], usual)
        assert np.array_equal(tint[:, k], wanted.astype(np.float32))
    assert _tint(luma[:20], chroma[:20]) is None
