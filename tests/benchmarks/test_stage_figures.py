"""The formulas of benchmarks.feet, benchmarks.flicker and benchmarks.matte."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.feet import largest_jump_percent
from benchmarks.flicker import flickering, ghost_percent, running_mean, sharpness_of
from benchmarks.matte import Tally, boundary_f
from pipeline.datatypes.window import Layer


def _disk(radius: float, at: float = 50) -> np.ndarray:
    y, x = np.mgrid[0:100, 0:100]
    return np.hypot(x - at, y - 50) < radius


def test_a_jump_counts_only_at_a_contact_boundary() -> None:
    loose = np.zeros((10, 17, 3))
    locked = loose.copy()
    planted = np.zeros((10, 2), bool)
    planted[4:8, 0] = True
    locked[4:8, 15, 0] = [2, 6, 6, 1]
    locked[8, 15, 0] = 0.5
    assert largest_jump_percent(locked, loose, planted, np.full(10, 200.0)) == pytest.approx(1.0)


def test_the_boundary_measure_forgives_one_pixel() -> None:
    true = _disk(20)
    assert boundary_f(true, true) == 1 and boundary_f(_disk(21), true) > 0.9
    assert boundary_f(_disk(24), true) < 0.1 and boundary_f(np.zeros_like(true), true) == 0


def test_a_mask_that_is_always_wrong_alike_does_not_flicker() -> None:
    true = np.stack([_disk(20)] * 4)
    still = Tally()
    restless = Tally()
    still.add_all([_disk(22)] * 4, true)
    restless.add_all([_disk(22), _disk(18), _disk(22), _disk(18)], true)
    assert still.flickers == [0, 0, 0] and min(restless.flickers) > 3
    assert still.ious[0] == pytest.approx(np.sum(_disk(20)) / np.sum(_disk(22)))


def test_flicker_ghosts_and_sharpness() -> None:
    texture = np.random.default_rng(0).integers(60, 200, (80, 80, 3)).astype(np.uint8)
    layers = [Layer(np.roll(texture, 3 * t, axis=1), np.full((80, 80), 255, np.uint8)) for t in range(4)]
    assert ghost_percent(layers, layers) == 0 and ghost_percent(layers, running_mean(layers, 0.7)) > 30
    assert sharpness_of(running_mean(layers, 0.7)) < 0.9 * sharpness_of(layers)
    both = zip(flickering(layers), layers, strict=True)
    gains = [float(np.mean(bad.picture) / np.mean(layer.picture)) for bad, layer in both]
    assert 0.005 < np.std(gains) < 0.04
