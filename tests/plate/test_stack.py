"""The samples of a block: those that do not change its median are not made."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.plate.aligned import Aligned
from pipeline.plate.median import masked_median
from pipeline.plate.stack import _samples
from pipeline.plate.warp import Warp

SIZE_WH = (48, 32)
ALL = (0, 0, *SIZE_WH)


def drawn(seed: int, count: int, tiers: int = 1) -> list[Aligned]:
    rng = np.random.default_rng(seed)
    shape = SIZE_WH[::-1]
    still = Warp(np.eye(3), np.zeros((4, 4, 2), np.float32), 1)
    light = np.stack([np.ones(3), np.zeros(3)])
    return [
        Aligned(
            frame,
            rng.integers(0, 256, (*shape, 3), np.uint8),
            np.repeat(rng.integers(0, 3, (4, 4), np.uint8), 8, axis=0).repeat(12, axis=1),
            still,
            light,
            None,
            frame * tiers // count,
        )
        for frame in range(count)
    ]


@pytest.mark.parametrize("max_samples", [1, 2, 5, 9])
@pytest.mark.parametrize("tiers", [1, 3])
def test_the_median_is_that_of_all_samples(max_samples: int, tiers: int) -> None:
    aligned = drawn(max_samples, 14, tiers)
    needed = np.zeros(SIZE_WH[::-1], np.bool_)
    needed[4:30, 6:40] = True
    samples = _samples(aligned, ALL, needed, SIZE_WH, max_samples)
    assert samples is not None
    merged, count = masked_median(samples.pictures, samples.grades, max_samples, samples.tiers)
    every, every_count = masked_median(
        np.stack([each.picture for each in aligned]),
        np.stack([each.grade for each in aligned]),
        max_samples,
        np.array([each.tier for each in aligned]),
    )
    assert np.array_equal(count > 0, needed & (every_count > 0))
    assert np.array_equal(merged[needed], every[needed])


def test_a_candidate_is_resampled_only_where_samples_are_lacking() -> None:
    aligned = drawn(0, 12)
    for each in aligned:
        each.grade[:] = 2
        each.grade[8:16, 12:24] = 2 if each.frame > 8 else 0
    samples = _samples(aligned, ALL, np.ones(SIZE_WH[::-1], np.bool_), SIZE_WH, 3)
    assert samples is not None
    assert [np.count_nonzero(picture.any(axis=2)) > 8 * 12 for picture in samples.pictures] == 3 * [True] + 3 * [False]
    assert samples.frames.tolist() == list(range(12))
    assert (samples.shown[4:9, 0, 0] == 2).all()
