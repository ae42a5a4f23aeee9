"""The compiled fits against numpy's own least squares, and medians."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths import geometry as geo
from pipeline.maths.robust import median_of


def _pairs(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    source = random.uniform(0, 700, (60, 2))
    bent = np.array([[1.01, 0.02, 5], [-0.02, 0.99, 3], [1e-5, 2e-5, 1]])
    return geo.apply_transform(bent, source) + random.normal(0, 0.3, (60, 2)), source, random.uniform(0.1, 2, 60)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_weighted_homography_is_that_of_lstsq(seed: int) -> None:
    target, source, weights = _pairs(seed)
    to_normal, frm_normal = geo._normalizer(target), geo._normalizer(source)
    (u, v), (x, y) = geo.apply_transform(to_normal, target).T, geo.apply_transform(frm_normal, source).T
    one, zero = np.ones(60), np.zeros(60)
    rows = [
        np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], 1),
        np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], 1),
    ]
    root = np.sqrt(np.concatenate([weights, weights]))
    solved = np.linalg.lstsq(np.concatenate(rows) * root[:, None], np.concatenate([u, v]) * root, rcond=None)[0]
    expected = geo.normalized(np.linalg.inv(to_normal) @ np.append(solved, 1).reshape(3, 3) @ frm_normal)

    np.testing.assert_allclose(geo.fit_homography(target, source, weights), expected, rtol=1e-6, atol=1e-9)


def test_a_similarity_leaves_the_least_weighted_squares() -> None:
    target, source, weights = _pairs(4)
    found = geo.fit_similarity(target, source, weights)

    def loss(transform: np.ndarray) -> float:
        return float(weights @ ((geo.apply_transform(transform, source) - target) ** 2).sum(1))

    least = loss(found)
    for nudge in (geo.translation(0.05, 0), geo.translation(0, 0.05), geo.scaling(1.0002, 1.0002)):
        assert loss(nudge @ found) > least


def test_coinciding_points_give_a_translation() -> None:
    found = geo.fit_similarity(np.full((5, 2), 7.0), np.full((5, 2), 3.0))

    np.testing.assert_allclose(found, geo.translation(4, 4))


@pytest.mark.parametrize("count", [1, 2, 7, 10])
def test_the_median_is_that_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)

    assert median_of(values) == np.median(values)


def test_the_median_of_nothing_and_of_nan_is_nan() -> None:
    assert np.isnan(median_of(np.zeros(0)))
    assert np.isnan(median_of(np.array([1.0, np.nan, 2.0])))
