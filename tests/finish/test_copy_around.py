"""The blurred copy around a picture shows the new person, too, and letters on it stay."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.blurred_copy import BlurredCopy, copy_table
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.finish.composite import EditedFrame, EditWeights
from pipeline.finish.copy_around import with_copy_around
from pipeline.finish.quality_metrics import count_changed_outside
from pipeline.media.pixels import coded_from_upright, planes_from_rgb, rgb_of
from tests.support.clip_info import video_info
from tests.support.graphics import one_graphic

WIDTH, HEIGHT = 90, 160
BOX = (0, 60, 90, 110)
SCALE = HEIGHT / 50
COPY = BlurredCopy((SCALE, SCALE), ((WIDTH - SCALE * 90) / 2, -SCALE * 60), 6.0, 0.7)
LETTERS = np.s_[20:24, 30:60]
Rgb = NDArray[np.uint8]


def with_copy(picture: Rgb) -> Rgb:
    """(50, 90, 3) behind which its own copy fills the frame."""
    x0, y0, x1, y1 = BOX
    large = cv2.resize(picture.astype(np.float32), None, fx=SCALE, fy=SCALE)
    left = (large.shape[1] - WIDTH) // 2
    frame = cv2.GaussianBlur(large, (0, 0), 6.0)[:, left : left + WIDTH] * 0.7 + 20
    frame[y0:y1, x0:x1] = picture
    frame[LETTERS] = 250
    return np.rint(frame).astype(np.uint8)


def frame_of(upright: Rgb, info: VideoInfo) -> Frame:
    coded = coded_from_upright(upright.astype(np.float32), info)
    planes = tuple(np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in planes_from_rgb(coded, info))
    return Frame(0, 0, 1, planes, info)


@pytest.mark.parametrize("turns", [0, 1])
def test_the_copy_follows_the_picture(turns: int) -> None:
    info = video_info(1, (HEIGHT, WIDTH) if turns else (WIDTH, HEIGHT), quarter_turns=turns)
    noise = np.random.default_rng(6).normal(0, 160, (50, 90, 3))
    picture = np.clip(110 + cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)
    changed = picture.copy()
    changed[10:40, 36:56] = (210, 60, 30)
    source, expected = with_copy(picture), with_copy(changed)
    made = source.copy()
    made[BOX[1] : BOX[3], BOX[0] : BOX[2]] = changed
    before, after = frame_of(source, info), frame_of(made, info)
    # Chroma is filtered over its neighbors.
    box = (32, 66, 60, 104)
    hole = np.ones((38, 28), np.float32)
    weights = EditWeights(box, hole, 1 - hole, hole > 0)
    nobody = np.zeros((HEIGHT, WIDTH), np.bool_)
    edited = EditedFrame(before, after, rgb_of(before), rgb_of(after), nobody, weights, None, None)
    overlays = replace(one_graphic(nobody, 0, 0), borders=np.array([[0, 0, *BOX]]), copies=copy_table([COPY]))
    followed = with_copy_around(edited, overlays)
    outside = np.ones((HEIGHT, WIDTH), np.bool_)
    outside[BOX[1] - 2 : BOX[3] + 2] = outside[LETTERS[0].start - 6 : LETTERS[0].stop + 6] = False
    wrong = np.abs(followed.result_rgb.astype(int) - expected)[outside]
    assert np.abs(made.astype(int) - expected)[outside].max() > 25
    assert wrong.max() < 12
    assert wrong.mean() < 1.5
    inside_letters = np.s_[21:23, 32:58]
    assert np.array_equal(followed.result_rgb[inside_letters], edited.result_rgb[inside_letters])
    assert np.array_equal(followed.result_rgb[BOX[1] + 2 : BOX[3] - 2], edited.result_rgb[BOX[1] + 2 : BOX[3] - 2])
    assert count_changed_outside(before, followed.result, followed.region) == 0
    assert count_changed_outside(before, followed.result, edited.region) > 1000
    assert with_copy_around(edited, None) is edited
