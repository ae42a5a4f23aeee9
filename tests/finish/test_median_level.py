"""The level behind a layer is the median of the picture around the subject."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.finish.match_layer import _median_level


@pytest.mark.parametrize("count", [1, 2, 3, 100, 101])
def test_the_median_by_counting_is_the_upper_median_of_the_sorted_bytes(count: int) -> None:
    gray = np.random.default_rng(count).integers(0, 256, (1, count), dtype=np.uint8)

    assert _median_level(gray) == np.sort(gray.ravel())[count // 2]
