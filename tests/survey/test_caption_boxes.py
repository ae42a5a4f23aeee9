"""Plain boxes behind words are found around known letters, in color, and followed while they are shown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.datatypes.arrays import Mask
from pipeline.survey.caption_boxes import CaptionBoxes, boxes_around
from pipeline.survey.graphic import Seen

WIDTH, HEIGHT = 160, 120
GRAY = 90
"""Of the scene's plain cloth, and of the box."""


def seen(index: int, box_xyxy: tuple[int, int, int, int] | None, *, slant: int = 0) -> tuple[Seen, Mask]:
    """A frame of cloth with texture above it, a word, and perhaps a purple box behind that; and the word (h, w)."""
    noise = np.random.default_rng(3).integers(0, 120, (HEIGHT, WIDTH), np.uint8)
    luma = np.roll(noise, index, axis=1)
    luma[40:, 30:] = GRAY
    tints = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    if box_xyxy is not None:
        x0, y0, x1, y1 = box_xyxy
        corners = np.array([[x0 + slant, y0], [x1 + slant, y0], [x1, y1], [x0, y1]], np.int32)
        cv2.fillPoly(luma, [corners], GRAY)
        cv2.fillPoly(tints, [corners], (200, 156))
    word = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.putText(word, "one", (54, 72), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 3)
    luma[word > 0] = 250
    tints[word > 0] = 128
    return Seen(index, luma, word > 255, np.eye(3), cv2.resize(tints, (WIDTH // 2, HEIGHT // 2))), word > 0


BOX = (46, 50, 104, 82)


def test_a_box_in_the_gray_of_the_cloth_is_found_by_its_color() -> None:
    frame, word = seen(0, BOX)
    (found,) = boxes_around(frame, word)
    assert np.abs(np.subtract(found.box_xyxy, BOX)).max() <= 2
    assert found.mask.mean() > 0.9  # The letters belong to it.


@pytest.mark.parametrize("slant", [None, 8, 22])
def test_words_on_plain_cloth_and_on_other_shapes_have_no_box(slant: int | None) -> None:
    frame, word = seen(0, None) if slant is None else seen(0, BOX, slant=slant)
    assert not list(boxes_around(frame, word))


def test_a_surface_that_lacks_the_median_of_its_channels_is_no_box() -> None:
    stops = np.array([0, 40, 80, 120, 170, 210])
    colors = np.array(
        [(60, 100, 130), (60, 100, 130), (100, 200, 60), (100, 200, 60), (140, 150, 200), (140, 150, 200)]
    )
    course = np.stack([np.interp(np.arange(210), stops, colors[:, channel]) for channel in range(3)], axis=1)
    picture = np.zeros((120, 260, 3), np.uint8)
    picture[30:90, 20:230] = course
    letters = np.zeros((120, 260), np.bool_)
    letters[58:60, 30:220] = True
    frame = Seen(0, picture[..., 0].copy(), letters, np.eye(3), picture[::2, ::2, 1:].copy())
    assert not list(boxes_around(frame, letters))


LINES = ((60, 40, 100, 62), (44, 62, 116, 84))


def stacked(cloth: int, slant: int = 0) -> tuple[Seen, Mask]:
    """A frame with a box behind each of two lines of words, of which the upper one is known (h, w)."""
    luma = np.full((HEIGHT, WIDTH), cloth, np.uint8)
    letters = np.zeros((HEIGHT, WIDTH), np.bool_)
    for number, (x0, y0, x1, y1) in enumerate(LINES):
        corners = [[x0, y0], [x1 - 1, y0], [x1 - 1 - slant, y1 - 1], [x0 - slant, y1 - 1]]
        cv2.fillPoly(luma, [np.array(corners, np.int32)], GRAY)
        for x in range(x0 + 6, x1 - 6, 8):
            luma[y0 + 6 : y1 - 6, x : x + 3] = 250
            letters[y0 + 6 : y1 - 6, x : x + 3] = number == 0
    return Seen(0, luma, letters & False, np.eye(3), np.full((HEIGHT // 2, WIDTH // 2, 2), 128, np.uint8)), letters


@pytest.mark.parametrize("cloth", [GRAY + 60, GRAY + 6])
def test_boxes_of_lines_of_unequal_width_are_a_stack_also_before_cloth_of_nearly_their_color(cloth: int) -> None:
    (found,) = boxes_around(*stacked(cloth))
    truth = np.zeros((HEIGHT, WIDTH), np.bool_)
    for x0, y0, x1, y1 in LINES:
        truth[y0:y1, x0:x1] = True
    mask = np.zeros_like(truth)
    mask[found.area] = found.mask
    assert (mask & truth).sum() >= 0.97 * truth.sum()
    assert (mask & ~truth).sum() <= 0.1 * truth.sum()  # Its rim alone.


def test_slanting_shapes_one_above_the_other_are_no_stack() -> None:
    assert not list(boxes_around(*stacked(GRAY + 60, 14)))


def test_the_box_is_shown_as_long_as_it_keeps_its_color() -> None:
    held = [seen(t, BOX if 2 <= t < 9 else None)[0] for t in range(12)]
    boxes = CaptionBoxes(1)
    word = seen(0, None)[1]
    for last in (5, 12):
        boxes.look(held[last - 1], word, held[:last])
    (found,) = boxes.finish()
    assert (found.first, found.last) == (2, 8)
    assert not boxes.shown


def test_what_is_there_for_a_moment_only_is_no_box() -> None:
    held = [seen(t, BOX if 2 <= t < 5 else None)[0] for t in range(6)]
    boxes = CaptionBoxes(1)
    boxes.look(held[3], seen(0, None)[1], held)
    assert not boxes.finish()


@pytest.mark.parametrize(("shift_y", "count"), [(0, 3), (6, 1)])
def test_boxes_of_words_before_and_after_are_found_at_the_same_height_only(shift_y: int, count: int) -> None:
    """Their letters are not known."""
    x0, y0, x1, y1 = BOX
    other = (x0 - 10, y0 + shift_y, x1 + 6, y1 + shift_y)
    held = [seen(t, BOX if 6 <= t < 12 else other)[0] for t in range(18)]
    boxes = CaptionBoxes(1)
    nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
    boxes.look(held[8], seen(8, BOX)[1], held[:9])
    for last in (13, 18):
        boxes.look(held[last - 1], nothing, held[:last])
    found = sorted((each.first, each.last) for each in boxes.finish())
    assert found == ([(0, 5), (6, 11), (12, 17)] if count == 3 else [(6, 11)])
