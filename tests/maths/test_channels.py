"""Reductions over channels are numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.channels import all_at_most, largest_channel, lengths


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
