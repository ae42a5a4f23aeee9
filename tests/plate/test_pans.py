"""Plates under fast pans: registration, anchors, and the weight of blurred frames."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.camera_speed import frame_speeds
from pipeline.maths.geometry import apply_transform, translation
from pipeline.maths.sharpness import blur_kernel
from pipeline.plate.agreement import agreeing_homography
from pipeline.plate.median import masked_median
from pipeline.plate.placement import fitting_weight
from pipeline.plate.registration import fit_warp
from pipeline.plate.spread import spread_anchors
from pipeline.plate.stack import sharpness_tiers

_SIZE_WH = (640, 360)


def _points(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0, 0), _SIZE_WH, (count, 2))


def test_matches_that_agree_on_nothing_give_the_expected_motion() -> None:
    to = _points(200, 1)
    guess = translation(240.0, 3.0)
    chance = apply_transform(guess, to) + np.random.default_rng(2).uniform(-60, 60, to.shape)
    assert agreeing_homography(to, chance, guess, _SIZE_WH) is None
    warp = fit_warp(to, chance, _SIZE_WH, 200.0, guess)
    np.testing.assert_array_equal(warp.from_to, guess)
    assert warp.support == 0 and not warp.nodes.any()


def test_matches_that_agree_are_followed_among_as_many_chance_ones() -> None:
    to = _points(200, 3)
    guess = translation(240.0, 3.0)
    found = apply_transform(translation(244.0, 1.0), to)
    found[100:] += np.random.default_rng(4).uniform(-60, 60, (100, 2))
    agreed = agreeing_homography(to, found, guess, _SIZE_WH)
    assert agreed is not None
    np.testing.assert_allclose(apply_transform(agreed[0], to), apply_transform(translation(244.0, 1.0), to), atol=0.5)


def test_agreement_far_from_the_expected_place_is_not_believed() -> None:
    to = _points(200, 5)
    found = apply_transform(translation(150.0, 0.0), to)
    assert agreeing_homography(to, found, np.eye(3), _SIZE_WH) is None
    assert agreeing_homography(to[:8], to[:8], np.eye(3), _SIZE_WH) is None


def test_anchors_lie_closer_in_a_pan() -> None:
    frames = np.arange(60)
    still = np.tile(np.eye(3), (60, 1, 1))
    assert len(spread_anchors(frames, 45, still, _SIZE_WH)) == 3
    panned = np.stack([translation(40.0 * min(max(t - 20, 0), 20), 0) for t in range(60)])
    anchors = spread_anchors(frames, 45, panned, _SIZE_WH)
    inside = [t for t in anchors if 20 <= t <= 40]
    assert len(inside) >= 3 and anchors[0] == 0 and anchors[-1] == 59
    # Where the frames between are not needed nothing can be put there.
    assert spread_anchors(np.array([0, 59]), 90, panned, _SIZE_WH) == [0, 59]
    speeds = frame_speeds(panned, _SIZE_WH)
    assert speeds[5] == 0 and speeds[30] == pytest.approx(100 * 40 / np.hypot(*_SIZE_WH))
    assert frame_speeds(panned[:1], _SIZE_WH).tolist() == [0]


def test_blurred_frames_add_nothing_to_three_sharp_ones() -> None:
    stack = np.full((6, 1, 1, 3), 60, np.uint8)
    stack[:3] = 200
    grade = np.full((6, 1, 1), 2, np.uint8)
    tiers = np.array([0, 0, 0, 1, 1, 2])
    assert masked_median(stack, grade, 6, tiers)[0][0, 0, 0] == 200
    assert masked_median(stack, grade, 6, np.zeros(6, np.int64))[0][0, 0, 0] == 130
    # One or two sharp ones cannot outvote a wrong one of theirs: blurred ones make up three.
    assert masked_median(stack[1:], grade[1:], 6, tiers[1:])[1][0, 0] == 3
    details = {4: 1.0, 5: 0.9, 6: 0.6, 7: 0.3, 8: 0.0}
    assert sharpness_tiers(details, dict.fromkeys(details, False))[6] == 1
    assert sharpness_tiers(details, dict.fromkeys((4, 5, 7), False)) == {4: 0, 5: 0, 7: 3}
    # In brighter light there is more detail: the others are no less sharp.
    details |= {9: 2.5, 10: 1.2}
    relit = sharpness_tiers(details, {4: False, 5: False, 9: True, 10: True})
    assert relit == {4: 0, 5: 0, 9: 0, 10: 2}


def test_motion_is_a_bar_and_defocus_a_bell() -> None:
    length_px = 12.0
    bar = blur_kernel(np.diag([length_px**2 / 12, 0.05]))
    middle = bar[len(bar) // 2]
    inside = middle[len(bar) // 2 - 4 : len(bar) // 2 + 5]
    assert inside.max() < 1.05 * inside.min() and middle[[0, -1]].max() < 0.05 * inside.max()
    x = np.arange(len(bar)) - len(bar) // 2
    assert float(bar.sum(axis=0) @ x**2) == pytest.approx(length_px**2 / 12, rel=0.1)
    bell = blur_kernel(np.diag([4.0, 3.0]))
    assert bell[len(bell) // 2, len(bell) // 2 - 3] < 0.5 * bell.max()


def test_the_better_fitting_of_two_plates_has_more_weight() -> None:
    weights = np.full(7, 0.4, np.float32)
    fits = np.full((7, 2), np.nan)
    assert fitting_weight(weights, fits) is weights
    fits[0] = (0.9, 0.9)
    fits[6] = (0.5, 0.9)
    moved = fitting_weight(weights, fits)
    assert moved[0] == pytest.approx(0.4) and moved[6] > 0.98
    assert (np.diff(moved) > 0).all()
    # A difference that two good plates may have by chance changes little.
    fits[6] = (0.9, 0.83)
    assert fitting_weight(weights, fits)[6] == pytest.approx(0.4, abs=0.08)
    # Where the farther plate does not count, it does not come in.
    assert fitting_weight(np.zeros(7, np.float32), fits).max() == 0
