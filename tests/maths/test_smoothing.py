"""Smoothing preserves lines, at the ends and with uneven times; it removes shake; envelopes are upper bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.maths import smoothing as sm

UNEVEN = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.09, 80))


@pytest.mark.parametrize("seconds", [np.arange(90) / 30, UNEVEN])
def test_a_pan_keeps_its_speed(seconds: np.ndarray) -> None:
    pan = 40 * seconds + 7
    np.testing.assert_allclose(sm.gaussian_smooth(pan, seconds, 0.2), pan, atol=1e-9)
    np.testing.assert_allclose(sm.velocity(pan, seconds), 40, atol=1e-9)


def test_a_window_longer_than_the_shot() -> None:
    seconds = np.arange(5) / 30
    pan = np.column_stack([3 * seconds, -seconds])
    np.testing.assert_allclose(sm.gaussian_smooth(pan, seconds, 4.0), pan, atol=1e-9)
    np.testing.assert_array_equal(sm.gaussian_smooth(pan[:1], seconds[:1], 1.0), pan[:1])
    np.testing.assert_array_equal(sm.gaussian_smooth(pan, seconds, 0.0), pan)


def test_shake_is_removed() -> None:
    seconds = np.arange(300) / 30
    shake = 10 * np.sin(2 * np.pi * 6 * seconds)
    assert np.abs(sm.gaussian_smooth(shake, seconds, 0.2))[30:-30].max() < 0.05


def test_gaussian_ignores_nan() -> None:
    seconds = np.arange(60) / 30
    x = 5 * seconds
    x[[3, 20, 21, 22]] = np.nan
    smooth = sm.gaussian_smooth(x, seconds, 0.1)
    np.testing.assert_array_equal(np.isnan(smooth), np.isnan(x))
    np.testing.assert_allclose(smooth[~np.isnan(x)], 5 * seconds[~np.isnan(x)], atol=1e-9)
    alone = np.full(30, np.nan)
    alone[7] = 4.0
    assert sm.gaussian_smooth(alone, np.arange(30) / 30, 0.1)[7] == 4.0


def test_gaussian_counts_trusted_values_more() -> None:
    t = np.arange(30) / 30
    x = 5 + 2 * t
    pulled = x.copy()
    pulled[15] += 10
    trust = np.ones(30)
    np.testing.assert_allclose(sm.gaussian_smooth(x, t, 0.05, 0.3 * trust), x)
    equal = sm.gaussian_smooth(pulled, t, 0.05, trust)
    np.testing.assert_allclose(equal, sm.gaussian_smooth(pulled, t, 0.05))
    trust[15] = 1e-3
    assert np.abs(sm.gaussian_smooth(pulled, t, 0.05, trust) - x).max() < 0.02 < np.abs(equal - x).max()


def test_fill_gaps() -> None:
    x = np.array([[np.nan, 1], [2, np.nan], [np.nan, 3], [6, np.nan]])
    filled = sm.fill_gaps(x, np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(filled, [[2, 1], [2, 2], [4, 3], [6, 3]])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(0.01, 2))
def test_envelope_lies_above(values: list[float], reach: float) -> None:
    x = np.array(values)
    seconds = np.arange(len(values)) / 25
    assert (sm.envelope_above(x, seconds, reach) >= x - 1e-9).all()


def test_runs_and_shots() -> None:
    assert sm.true_runs(np.array([1, 1, 0, 1, 0, 0, 1], bool)) == [(0, 2), (3, 4), (6, 7)]
    assert sm.true_runs(np.zeros(3, bool)) == []
    assert sm.shot_slices(np.array([0, 4]), 9) == [slice(0, 4), slice(4, 9)]


def test_a_gaussian_mean_keeps_what_is_constant_and_sums_of_squares_positive() -> None:
    flat = np.full((80, 2), 3.0)
    np.testing.assert_allclose(sm.gaussian_mean(flat, UNEVEN, 0.2), flat)
    # One frame alone at the end of a shot: a line through it would go below zero.
    weights = np.zeros(80)
    weights[70] = 1.0
    spread = sm.gaussian_mean(weights, UNEVEN, 0.2)
    assert (spread >= 0).all() and spread[79] > 0 and spread.argmax() in (69, 70, 71)
    assert spread[:40].max() == 0


def test_the_first_of_the_longest_runs() -> None:
    assert sm.longest_run(np.array([False, True, True, False, True])) == (1, 3)
    assert sm.longest_run(np.array([True, False, True, True, False, True, True])) == (2, 4)
    assert sm.longest_run(np.array([False])) == (0, 0)
