"""Grain where it is asked for is the grain of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.grain import Grain, add_grain


@pytest.mark.parametrize("radius_px", [0.0, 0.5, 1.0])
def test_grain_in_a_part_is_that_of_the_whole_picture(radius_px: float) -> None:
    picture = np.full((40, 50, 3), 120, np.uint8)
    grain = Grain((4.0, 3.0, 5.0), 0.3, radius_px)
    where = np.zeros((40, 50), np.bool_)
    where[8:20, 5:31] = True
    where[33, 44] = True

    whole = add_grain(picture, grain, 7, 3)
    part = add_grain(picture, grain, 7, 3, where)

    np.testing.assert_array_equal(part[where], whole[where])
    assert (part[:5, 40:] == picture[:5, 40:]).all()
    assert np.count_nonzero(whole != picture) > 0.5 * picture.size
