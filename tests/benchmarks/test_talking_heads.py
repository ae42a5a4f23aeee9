"""The figures of talking heads."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.talking_heads import VIEWS, face_figures, matrices_of
from pipeline.maths.geometry import apply_transform

FACE = np.array([[320.0, 190], [350, 160], [290, 160], [380, 170], [260, 170]])
FACES = FACE + 3.0 * np.sin(np.arange(40) / 4)[:, None, None]


def test_a_face_in_its_place_has_no_errors() -> None:
    figures = face_figures(FACES, FACES)
    assert (figures.replaced, figures.off, figures.step, figures.size) == (1, 0, 0, 1)


def test_size_place_jumps_and_missing_frames_are_told() -> None:
    placed = FACES.mean(axis=1, keepdims=True) + 0.8 * (FACES - FACES.mean(axis=1, keepdims=True)) + [0.0, -30.0]
    placed[20, :, 0] += 15
    placed[30:] = np.nan
    figures = face_figures(placed, FACES)
    assert figures.replaced == 0.75
    assert figures.off == pytest.approx(0.5, abs=0.01)
    assert figures.step == pytest.approx(0.25, abs=0.01)
    assert figures.size == pytest.approx(0.8)


@pytest.mark.parametrize("view", VIEWS)
def test_views_show_the_face(view: str) -> None:
    matrices, (width, height) = matrices_of(view, FACES, (640, 360))
    shown = apply_transform(matrices, FACES)
    assert (shown >= 0).all() and (shown <= [width - 1, height - 1]).all()
    if view == "comes_close":
        eyes = np.hypot(*(shown[:, 1] - shown[:, 2]).T)
        assert eyes[0] == pytest.approx(60, abs=1) and eyes[-1] == pytest.approx(0.25 * height, abs=1)
