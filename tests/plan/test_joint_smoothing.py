"""Joints of low visibility are smoothed more."""

from __future__ import annotations

import numpy as np

from pipeline.plan.joint_smoothing import smooth_points

COUNT = 90
HEIGHT = 200.0
SECONDS = np.arange(COUNT) / 30
WORLD = np.tile(np.eye(3), (COUNT, 1, 1))


def jitter(points: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.diff(points, n=2, axis=0) ** 2)))


def smoothed(points: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    return smooth_points(points, WORLD, SECONDS, np.full(COUNT, HEIGHT), confidence)


def test_guessed_joints_are_smoothed_and_visible_ones_are_not_delayed() -> None:
    rng = np.random.default_rng(1)
    swing = 100 + 40 * np.sin(np.pi * SECONDS)
    points = np.repeat(np.stack([swing, swing], axis=-1)[:, None], 2, axis=1)
    points[:, 1] += rng.normal(0, 2.0, (COUNT, 2))
    confidence = np.tile([0.9, 0.05], (COUNT, 1))
    result = smoothed(points, confidence)
    alike = smoothed(points, np.full((COUNT, 2), 0.9))
    np.testing.assert_allclose(result[:, 0], alike[:, 0], atol=1e-9)
    true = result[:, 0]
    assert jitter(result[:, 1] - true) < 0.3 * jitter(alike[:, 1] - true)


def test_a_joint_hidden_for_a_moment_follows_those_frames_that_show_it() -> None:
    points = np.stack([100 + 60 * SECONDS, np.full(COUNT, 50.0)], axis=-1)[:, None]
    true = points.copy()
    confidence = np.full((COUNT, 1), 0.95)
    points[40:45, :, 1] += 9
    confidence[40:45] = 0.05
    off = np.abs(smoothed(points, confidence) - true)[..., 1]
    believed = np.abs(smoothed(points, np.full((COUNT, 1), 0.95)) - true)[..., 1]
    assert believed.max() > 7
    assert off.max() < 3
