"""Sampling positions of a warp, against the formula and linear interpolation."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.maths.geometry import apply_transform
from pipeline.plate.registration import RegistrationTarget, _levels
from pipeline.plate.warp import Warp, sample_nodes


def test_positions_are_the_homography_and_the_nodes_between() -> None:
    rng = np.random.default_rng(1)
    transform = np.array([[1.02, 0.01, -4], [-0.02, 0.99, 3], [2e-5, -1e-5, 1]])
    nodes = rng.normal(0, 3, (7, 5, 2)).astype(np.float32)
    size_wh = 320, 180
    box = -15, -9, 340, 200
    at = Warp(transform, nodes, 1).coordinates(box, size_wh)
    x, y = np.meshgrid(np.arange(-15, 340), np.arange(-9, 200))
    points = np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float64)
    wanted = apply_transform(transform, points) + sample_nodes(nodes, points, size_wh)
    np.testing.assert_allclose(at.reshape(-1, 2), wanted, atol=2e-3)


def test_one_node_moves_the_whole_picture() -> None:
    at = Warp(np.eye(3), np.full((1, 1, 2), 2, np.float32), 1).coordinates((0, 0, 4, 3), (4, 3))
    np.testing.assert_array_equal(at[2, 3], [5, 4])


@pytest.mark.parametrize("moved_px", [3, 20, 45])
def test_features_are_found_though_the_guess_is_far_off(moved_px: int) -> None:
    random = np.random.default_rng(8)
    texture = sum(cv2.resize(random.normal(0, 50, (side, side)), (720, 720)) for side in (9, 30, 90, 250))
    wide = np.clip(128 + texture, 0, 255).astype(np.uint8)
    before, now = wide[100:460, 40:680], wide[100:460, 40 + moved_px : 680 + moved_px]
    target = RegistrationTarget.of_gray(np.ascontiguousarray(before), np.zeros(before.shape, np.bool_))

    rows, found = target.match(np.ascontiguousarray(now), np.zeros(now.shape, np.bool_), np.eye(3))

    off = np.linalg.norm(found - target.features()[rows] + [moved_px, 0], axis=1)
    assert len(rows) > 200
    assert np.mean(off < 0.5) > 0.9


def test_features_are_found_where_they_are_expected() -> None:
    random = np.random.default_rng(8)
    texture = sum(cv2.resize(random.normal(0, 50, (side, side)), (800, 800)) for side in (30, 90, 250))
    wide = np.clip(128 + texture, 0, 255).astype(np.uint8)
    before, now = (np.ascontiguousarray(wide[100:460, left : left + 640]) for left in (10, 130))
    nobody = np.zeros(before.shape, np.bool_)
    target = RegistrationTarget.of_gray(before, nobody)

    rows, found = target.match(now, nobody, np.eye(3), expected=target.features() - [118, 1])

    off = np.linalg.norm(found - target.features()[rows] + [120, 0], axis=1)
    assert len(rows) > 200
    assert np.mean(off < 0.5) > 0.9


@pytest.mark.parametrize("shape", [(40, 60), (123, 77), (5, 9)])
def test_levels_are_percentiles(shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(shape[0]).integers(0, 90, shape, dtype=np.uint8)

    np.testing.assert_allclose(_levels(gray), np.percentile(gray[::4, ::4], [10, 50, 90]), atol=1e-9)
