"""Fades from and to one color, told from other ways in which a clip begins dark."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Picture
from pipeline.datatypes.panels import Panels
from pipeline.survey.fades import FadeFinder
from tests.support.clip_info import video_info

COUNT = 40
SHARES = np.ones(COUNT)
SHARES[:6] = np.arange(1, 7) / 7
SHARES[-5:] = np.arange(5, 0, -1) / 6 - 0.1
_WALL = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (180, 420, 3), np.uint8), (0, 0), 3).astype(float)
_WALL = np.clip((_WALL - 128) * 4 + 120, 0, 255)


def scene(frame: int) -> np.ndarray:
    """A wall past which the camera moves by 2 px a frame."""
    return _WALL[:, 2 * frame : 2 * frame + 320]


def found_in(pictures: list[np.ndarray], shot_starts: list[int]) -> Panels | None:
    finder = FadeFinder(video_info(len(pictures)))
    for picture in pictures:
        finder.push(np.rint(picture).astype(np.uint8))
    return finder.finish(shot_starts)


@pytest.mark.parametrize("level", [0.0, 255.0])
def test_both_ends_of_a_clip_fade(level: float) -> None:
    panels = found_in([share * scene(n) + (1 - share) * level for n, share in enumerate(SHARES)], [0])
    assert panels is not None
    for n, share in enumerate(SHARES):
        shown = panels.shown(n)
        assert len(shown) == (share < 1)
        for panel in shown:
            assert panel.opacity == pytest.approx(1 - share, abs=0.03)
            assert panel.color == pytest.approx((level,) * 3, abs=3)
            assert panel.box_xyxy[0] < 0 and panel.box_xyxy[2] > 320


def test_a_dip_between_two_shots_is_two_fades_between_which_nothing_shows() -> None:
    shares = np.ones(COUNT)
    shares[15:24] = 0.6, 0.4, 0.2, 0, 0, 0, 0.25, 0.5, 0.75
    panels = found_in([share * scene(n + 20 * (n > 19)) for n, share in enumerate(shares)], [0, 21])
    assert panels is not None
    told = [sum(panel.opacity for panel in panels.shown(n)) for n in range(COUNT)]
    np.testing.assert_allclose(told, 1 - shares, atol=0.03)


@pytest.mark.parametrize(("level", "dip"), [(0.0, (0.7, 0.35, 0.1, 0.1, 0.4, 0.8)), (255.0, (0.05, 0.3, 0.6, 0.85))])
def test_a_dip_or_flash_within_a_shot_is_a_panel_over_the_picture(level: float, dip: tuple[float, ...]) -> None:
    shares = np.ones(COUNT)
    shares[17 : 17 + len(dip)] = dip
    panels = found_in([share * scene(n) + (1 - share) * level for n, share in enumerate(shares)], [0])
    assert panels is not None
    told = [sum(panel.opacity for panel in panels.shown(n)) for n in range(COUNT)]
    np.testing.assert_allclose(told, 1 - shares, atol=0.04)


def _whip_pan(n: int) -> np.ndarray:
    width = 1 + 40 * max(0, 5 - abs(n - 20))
    return np.asarray(cv2.blur(scene(n), (width, 1)))


def _passing(n: int) -> np.ndarray:
    picture = scene(n).copy()
    picture[:, max(0, 60 * (n - 16)) : max(0, 60 * (n - 11))] = 30
    return picture


def _opening(n: int) -> np.ndarray:
    picture = np.zeros((180, 320, 3))
    picture[:, : 40 * n] = scene(n)[:, : 40 * n]
    return picture


def _exposed(n: int) -> Picture:
    return scene(n) * min(0.55 + 0.08 * n, 1)


def _lamp_at_one_side(n: int) -> np.ndarray:
    return scene(n) * np.clip(n / 6 * np.linspace(2, 0.2, 320)[:, None], 0.05, 1)


def _switched_on(n: int) -> np.ndarray:
    return scene(n) * (0.1 if n < 3 else 1)


@pytest.mark.parametrize("picture", [scene, _opening, _exposed, _lamp_at_one_side, _switched_on, _whip_pan, _passing])
def test_what_is_no_mixture_with_one_color_or_comes_at_once_is_no_fade(picture: object) -> None:
    assert found_in([picture(n) for n in range(COUNT)], [0]) is None  # type: ignore[operator]


def test_fades_lie_over_other_panels() -> None:
    panels = found_in([share * scene(n) for n, share in enumerate(SHARES)], [0])
    assert panels is not None
    lower = Panels(
        np.array([[10.0, 10, 90, 60]]), np.array([4.0]), np.array([[9.0, 9, 9]]), np.array([3]), np.array([0, 4]),
        np.full(4, 0.5),
    )  # fmt: skip
    both = panels.over(lower)
    assert [panel.opacity for panel in both.shown(4)] == pytest.approx([0.5, 1 - SHARES[4]], abs=0.03)
    assert len(both.shown(6)) == 1 and len(both.shown(20)) == 0 and len(both.shown(COUNT - 1)) == 1


def test_a_picture_that_has_faded_away_is_hidden() -> None:
    panels = found_in([share * scene(n) for n, share in enumerate(SHARES)], [0])
    assert panels is not None
    for n, share in enumerate(SHARES):
        if abs(share - 0.4) > 0.05:
            assert panels.hides_all(n, (320, 180)) == (share < 0.4)
    assert not panels.hides_all(0, (10_000, 180))
