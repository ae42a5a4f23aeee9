"""Transforms there and back, fits against known truth, boxes on the grid."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.maths import geometry as geo

RNG = np.random.default_rng(3)
SIZE = (640, 360)


def some_similarities(count: int = 20) -> np.ndarray:
    params = RNG.normal(0, 1, (count, 4)) * [30, 30, 0.1, 0.2]
    return geo.similarities_from_params(params, SIZE)


def test_params_there_and_back_with_unwrapped_angle() -> None:
    angles = np.linspace(0, 9, 50)
    params = np.column_stack([angles * 3, -angles, 0.02 * angles, angles])
    back = geo.params_of_similarities(geo.similarities_from_params(params, SIZE), SIZE)
    np.testing.assert_allclose(back, params, atol=1e-9)


def test_params_move_the_centre() -> None:
    transform = geo.similarities_from_params(np.array([[5.0, -7.0, 0.3, 1.0]]), SIZE)[0]
    center = np.array([319.5, 179.5])
    np.testing.assert_allclose(geo.apply_transform(transform, center), [324.5, 172.5], atol=1e-9)


def test_many_transforms_equal_one_by_one() -> None:
    transforms = some_similarities(6)
    points = RNG.uniform(0, 300, (6, 4, 2))
    points[2, 1] = np.nan
    together = geo.apply_transform(transforms, points)
    for i in range(6):
        np.testing.assert_allclose(together[i], geo.apply_transform(transforms[i], points[i]))
    np.testing.assert_allclose(geo.apply_transform(geo.invert(transforms), together), points, atol=1e-8)
    with pytest.raises(ValueError, match="6 transforms for 5"):
        geo.apply_transform(transforms, points[:5])


def test_fits_recover_truth() -> None:
    source_points = RNG.uniform(0, 1, (60, 2)) * SIZE
    similarity = some_similarities(1)[0]
    np.testing.assert_allclose(
        geo.fit_similarity(geo.apply_transform(similarity, source_points), source_points), similarity, atol=1e-8
    )
    bent = similarity.copy()
    bent[2, :2] = [2e-5, -3e-5]
    np.testing.assert_allclose(
        geo.fit_homography(geo.apply_transform(bent, source_points), source_points), bent, atol=1e-6
    )
    np.testing.assert_allclose(geo.similarity_part(similarity, SIZE), similarity, atol=1e-9)


def test_irls_ignores_a_third_of_outliers() -> None:
    source_points = RNG.uniform(0, 1, (120, 2)) * SIZE
    truth = np.array([[1.01, 0.02, 4], [-0.02, 1.0, -3], [1e-5, 0, 1]])
    to = geo.apply_transform(truth, source_points) + RNG.normal(0, 0.05, source_points.shape)
    to[:40] += [6, -4]
    # As RANSAC on few points leaves it: approximately right, off by a pixel or two.
    start = geo.translation(1.5, -1) @ geo.similarity_part(truth, SIZE)
    found, residual = geo.refit_irls(to, source_points, "homography", start)
    corners = geo.corners_of(SIZE)
    assert np.abs(geo.apply_transform(found, corners) - geo.apply_transform(truth, corners)).max() < 0.3
    assert residual[:40].min() > 5 > residual[40:].max()


def test_pair_motions_take_the_frame_before_to_this_one() -> None:
    world_from_source = some_similarities(5)
    point = np.array([100.0, 50.0])
    pairs = geo.pair_motions(world_from_source)
    for t in range(1, 5):
        same = geo.apply_transform(world_from_source[t], geo.apply_transform(pairs[t], point))
        np.testing.assert_allclose(same, geo.apply_transform(world_from_source[t - 1], point), atol=1e-8)
    np.testing.assert_array_equal(pairs[0], np.eye(3))
