"""Metrics of smoothed camera paths, on paths with known values."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.smoothing import cropping, distortion, figures_of, path_components, stability
from pipeline.maths.geometry import similarities_from_params

SIZE_WH = (720, 1280)
T = np.arange(240)


def test_slow_movement_is_stable_and_noise_is_not() -> None:
    slow = np.sin(2 * np.pi * 3 * T / len(T))
    noise = np.random.default_rng(0).standard_normal(len(T))
    still = np.full(len(T), 7.0)
    assert stability(np.column_stack([still, slow, 100 + 5 * slow])) > 0.999
    # White noise has equal energy in all components: 5 of 120.
    assert stability(noise[:, None]) == pytest.approx(5 / 120, abs=0.03)
    assert stability(np.column_stack([slow, noise])) == pytest.approx(stability(noise[:, None]))


def test_the_low_components_are_the_second_to_the_sixth() -> None:
    shares = [stability(np.cos(2 * np.pi * k * T / len(T))[:, None]) for k in range(1, 8)]
    assert shares == pytest.approx([1, 1, 1, 1, 1, 0, 0], abs=1e-9)


def test_a_similarity_is_not_distorted_and_a_stretch_is() -> None:
    similarity = similarities_from_params(np.array([[30.0, -4.0, 0.2, 0.7], [0.0, 0.0, 0.0, 0.0]]), SIZE_WH)
    assert distortion(similarity) == pytest.approx(1.0)
    assert distortion(np.stack([np.eye(3), np.diag([1.25, 1.0, 1.0])])) == pytest.approx(0.8)
    assert distortion(similarity @ np.diag([1.25, 1.0, 1.0])) == pytest.approx(0.8)


def test_a_zoom_crops_by_its_scale() -> None:
    zoom = similarities_from_params(np.tile([5.0, 0.0, np.log(1.25), 0.3], (4, 1)), SIZE_WH)
    assert cropping(zoom) == pytest.approx(0.8)


def test_components_are_those_of_the_pictures_centre() -> None:
    params = np.column_stack([3.0 * T, -0.5 * T, 0.001 * T, 0.05 * T])
    assert path_components(similarities_from_params(params, SIZE_WH), SIZE_WH) == pytest.approx(params[:, [0, 1, 3]])


def test_undoing_the_shake_leaves_a_still_path() -> None:
    shakes = similarities_from_params(np.random.default_rng(1).normal(0, 0.02, (90, 4)) * [100, 100, 1, 1], SIZE_WH)
    still = figures_of(np.linalg.inv(shakes) @ shakes, shakes, SIZE_WH, puts_back=True)
    assert (still.stability, still.cropping) == (1.0, 1.0)
    assert still.distortion == pytest.approx(1.0)
    assert still.left_px == pytest.approx(0.0, abs=1e-9)
