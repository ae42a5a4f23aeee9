"""Reductions over channels are numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.channels import all_at_most, distances_to, in_all_channels, is_known, largest_channel, lengths


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_the_largest_channel_is_the_maximum(channels: int, kind: type) -> None:
    picture = np.random.default_rng(channels).uniform(0, 255, (9, 13, channels)).astype(kind)

    np.testing.assert_array_equal(largest_channel(picture), picture.max(axis=2))


@pytest.mark.parametrize("channels", [2, 3])
def test_no_channel_is_above_the_level(channels: int) -> None:
    picture = np.random.default_rng(channels).integers(0, 9, (9, 13, channels), dtype=np.uint8)

    np.testing.assert_array_equal(all_at_most(picture, 5), (picture <= 5).all(axis=2))


def test_lengths_are_norms() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 13, 2)).astype(np.float32)

    np.testing.assert_allclose(lengths(vectors), np.linalg.norm(vectors, axis=2), rtol=1e-6)


@pytest.mark.parametrize("shape", [(9, 13, 3), (2, 9, 13, 2), (5, 1)])
def test_all_channels_hold_or_are_known_as_numpy_says(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    values[values > 1.0] = np.nan
    before = values.copy()

    np.testing.assert_array_equal(is_known(values), np.isfinite(values).all(axis=-1))
    np.testing.assert_array_equal(in_all_channels(values < 0.3), (values < 0.3).all(axis=-1))
    np.testing.assert_array_equal(values, before)


def test_distances_are_those_of_the_pixels() -> None:
    rows, columns = np.mgrid[:9, :13]

    np.testing.assert_allclose(distances_to(4.3, -2.0, 9, 13), np.hypot(columns - 4.3, rows + 2.0), rtol=1e-6)
    assert not (distances_to(float("nan"), 0.0, 9, 13) < 1e9).any()
