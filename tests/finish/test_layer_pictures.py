"""Pixel labels as colors over a picture."""

from __future__ import annotations

import numpy as np

from pipeline.finish.layer_pictures import LEGEND, tinted
from pipeline.scene.layers import Label


def test_each_label_and_graphics_have_a_color_of_their_own_over_half_of_the_source() -> None:
    source = np.full((1, 7, 3), 100, np.uint8)
    labels = np.array([[Label.NOBODY, *list(Label)[1:], Label.FRONT]], np.uint8)
    overlay = np.zeros((1, 7), np.bool_)
    overlay[0, 6] = True
    picture = tinted(source, labels, overlay)
    assert picture[0, 0].tolist() == [100, 100, 100]
    colors = {tuple(pixel) for pixel in picture[0, 1:].tolist()}
    assert len(colors) == len(LEGEND) == 6
    assert colors == {tuple(50 + value // 2 for value in color) for color in LEGEND.values()}
    assert (source == 100).all()
