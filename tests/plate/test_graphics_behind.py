"""Graphics behind people become part of the background that is seen where somebody was removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.datatypes.clip import Frame
from pipeline.plate.graphics_behind import load_graphics_behind, write_graphics_behind
from tests.support.clip_info import video_info
from tests.support.graphics import one_graphic

SIZE_WH = (64, 36)
COUNT = 12
RED = (200, 30, 40)


def letters() -> Mask:
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[10:20, 8:56] = True
    return mask


def person(frame: int) -> Mask:
    """Someone who walks on a few pixels a frame, and always hides a part of the text."""
    mask = np.zeros(SIZE_WH[::-1], np.bool_)
    mask[4:36, 2 * frame : 2 * frame + 14] = True
    return mask


class Walk:
    """A scene that flickers, the text, and someone in front of it."""

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        planar = {"pix_fmt": "gbrp", "chroma_log2_wh": (0, 0), "color_range": 2, "color_matrix": 0}
        for index in indices:
            random = np.random.default_rng(index)
            picture = random.integers(0, 255, (SIZE_WH[1], SIZE_WH[0], 3)).astype(np.uint8)
            picture[letters()] = RED
            picture[person(index)] = (20, 60, 220)
            planes = tuple(np.ascontiguousarray(picture[..., channel]) for channel in (1, 2, 0))
            yield Frame(index, index, 1, planes, video_info(COUNT, SIZE_WH, **planar))


def test_the_text_is_whole_in_every_view_of_the_frames_that_show_it(tmp_path: Path) -> None:
    # The detected mask is a pixel too large: there the scene shows.
    found = letters()
    found[20] = found[19]
    overlays = replace(one_graphic(found, 1, 9), is_behind=np.array([True]))
    write_graphics_behind(cast("Any", Walk()), overlays, person, tmp_path, lambda: None)
    graphics = load_graphics_behind(tmp_path)
    for frame, box in ((1, (0, 0, *SIZE_WH)), (9, (20, 6, 60, 30)), (5, (-6, -4, 70, 40))):
        x0, y0, x1, y1 = box
        picture = np.full((y1 - y0, x1 - x0, 3), 90, np.uint8)
        known = np.zeros(picture.shape[:2], np.bool_)
        graphics.lay_over(picture, known, frame, box)
        whole = np.zeros((60, 90), np.bool_)
        whole[11 + 10 : 19 + 10, 9 + 10 : 55 + 10] = True
        inside = whole[y0 + 10 : y1 + 10, x0 + 10 : x1 + 10]
        assert np.abs(picture[inside].astype(int) - RED).max() <= 1
        assert known[inside].all()
        assert np.all(picture[max(0, 22 - y0) :] == 90)
    reduced = np.full((18, 32, 3), 90, np.uint8)
    graphics.lay_over(reduced, np.zeros((18, 32), np.bool_), 4, (0, 0, *SIZE_WH))
    assert np.abs(reduced[7:9, 6:26].astype(int) - RED).max() <= 1
    before = np.full((SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
    graphics.lay_over(before, np.zeros(before.shape[:2], np.bool_), 0, (0, 0, *SIZE_WH))
    assert np.all(before == 90)


def test_a_text_that_is_hidden_in_all_samples_is_not_drawn(tmp_path: Path) -> None:
    overlays = replace(one_graphic(letters(), 1, 9), is_behind=np.array([True]))
    write_graphics_behind(cast("Any", Walk()), overlays, lambda _: letters(), tmp_path, lambda: None)
    picture = np.full((SIZE_WH[1], SIZE_WH[0], 3), 90, np.uint8)
    known = np.zeros(picture.shape[:2], np.bool_)
    load_graphics_behind(tmp_path).lay_over(picture, known, 5, (0, 0, *SIZE_WH))
    assert (picture == 90).all() and not known.any()


def test_without_such_graphics_nothing_is_read(tmp_path: Path) -> None:
    write_graphics_behind(cast("Any", None), one_graphic(letters(), 0, 9), person, tmp_path, lambda: None)
    assert not any(tmp_path.iterdir())
    assert load_graphics_behind(tmp_path).graphics == ()
