from __future__ import annotations

import numpy as np

from pipeline.datatypes.window import Layer
from pipeline.maths.blending import mix_layers


def _flat(color: int, alpha: int) -> Layer:
    return Layer(
        np.full((4, 5, 3), color, np.uint8), np.full((4, 5), alpha, np.uint8), np.full((21, 3), color, np.float32)
    )


def test_the_ends_are_the_layers_themselves() -> None:
    a, b = _flat(10, 255), _flat(200, 100)
    assert mix_layers(a, b, 0.0) is a
    assert mix_layers(a, b, 1.0) is b


def test_a_transparent_color_does_not_shine_through() -> None:
    mixed = mix_layers(_flat(250, 0), _flat(40, 200), 0.5)
    assert np.all(mixed.picture == 40) and np.all(mixed.alpha == 100)


def test_half_of_two_opaque_colors() -> None:
    mixed = mix_layers(_flat(100, 255), _flat(200, 255), 0.25)
    assert np.all(mixed.picture == 125) and np.all(mixed.alpha == 255)
    assert mixed.joints is not None and np.all(mixed.joints == 125)


def test_equal_layers_stay_exact() -> None:
    random = np.random.default_rng(0)
    layer = Layer(random.integers(0, 256, (9, 9, 3)).astype(np.uint8), random.integers(0, 256, (9, 9)).astype(np.uint8))
    same = Layer(layer.picture.copy(), layer.alpha.copy() if layer.alpha is not None else None)
    mixed = mix_layers(layer, same, 1 / 3)
    assert np.array_equal(mixed.picture, layer.picture) and np.array_equal(mixed.alpha, layer.alpha)
