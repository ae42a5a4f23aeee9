"""What a frame of a cross-fade shows of the clear pictures beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.maths.mixtures import fit_mixtures, matrix_of, motion_of

WH = (96, 72)
COUNT = 7


def wall(seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 1, WH[::-1]).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return np.asarray(np.clip(128 + 50 * smooth / smooth.std(), 0, 255), np.uint8)


def seen(picture: NDArray[np.uint8], motion: NDArray[np.float64]) -> NDArray[np.float32]:
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, matrix_of(motion, WH), WH, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return moved.astype(np.float32)


@pytest.mark.parametrize("motion", [(0.02, -0.01, 0.0, 0.0), (0.0, 0.0, 0.03, 0.0), (0.01, 0.02, -0.02, 0.04)])
def test_a_motion_is_the_one_of_its_matrix(motion: tuple[float, ...]) -> None:
    homography = np.vstack([matrix_of(np.array(motion), WH), [0, 0, 1]])
    assert motion_of(homography, WH) == pytest.approx(motion, abs=1e-9)


def test_motions_and_weights_follow_from_the_mixed_frames_alone() -> None:
    ends = wall(1), wall(2)
    earlier = np.array([0.012, -0.004, 0.002, 0.0])
    later = np.array([-0.008, 0.01, 0.0, 0.003])
    true_weights = (np.arange(COUNT) + 1) / (COUNT + 1)
    frames = [
        np.asarray(
            np.rint((1 - w) * seen(ends[0], (t + 1) * earlier) + w * seen(ends[1], (COUNT - t) * later)), np.uint8
        )
        for t, w in enumerate(true_weights)
    ]
    free = [np.ones(WH[::-1], np.bool_)] * COUNT
    nothing_known = np.zeros(4), np.zeros(4)
    found = fit_mixtures(frames, ends, free, nothing_known, [0.5] * COUNT)
    assert [each.weight for each in found] == pytest.approx(true_weights, abs=0.03)
    for t, each in enumerate(found):
        # In px: the picture that hardly shows is known less well.
        side = min(WH)
        assert np.abs(each.earlier - (t + 1) * earlier).max() * side < 0.15 + 0.25 * t / COUNT
        assert np.abs(each.later - (COUNT - t) * later).max() * side < 0.15 + 0.25 * (COUNT - 1 - t) / COUNT


def test_the_camera_decides_where_a_picture_shows_nothing() -> None:
    flat = np.full(WH[::-1], 128, np.uint8)
    step = np.array([0.01, 0, 0, 0])
    free = [np.ones(WH[::-1], np.bool_)] * 3
    found = fit_mixtures([flat] * 3, (flat, flat), free, (step, -step), [0.25, 0.5, 0.75])
    for t, each in enumerate(found):
        assert each.earlier == pytest.approx((t + 1) * step, abs=1e-6)
        assert each.later == pytest.approx(-(3 - t) * step, abs=1e-6)
