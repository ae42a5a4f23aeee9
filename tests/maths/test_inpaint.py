"""Holes are filled from what surrounds them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths.inpaint import fill_hole


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_fill_changes_only_the_hole(method: str) -> None:
    slope = np.repeat(np.linspace(40, 200, 161).astype(np.uint8)[None, :, None], 121, axis=0).repeat(3, axis=2)
    hole = np.zeros((121, 161), bool)
    hole[40:80, 60:100] = True
    damaged = slope.copy()
    damaged[hole] = 0
    filled = fill_hole(damaged, hole, "telea" if method == "telea" else "ns")
    np.testing.assert_array_equal(filled[~hole], slope[~hole])
    assert np.abs(filled[hole].astype(int) - slope[hole]).max() < 40
    assert (fill_hole(damaged, np.ones_like(hole)) == 128).all()
