from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.window import Layer
from pipeline.perform.temporal import reduce_flicker


def _motion(x: float, shape: tuple[int, int]) -> np.ndarray:
    """From every pixel to where it was in the frame before: by ``x`` px across."""
    return np.stack([np.full(shape, x, np.float32), np.zeros(shape, np.float32)], axis=-1)


def _scene(frames: int = 12) -> list[tuple[int, Layer, np.ndarray]]:
    random = np.random.default_rng(5)
    texture = cv2.GaussianBlur(random.integers(0, 256, (160, 200)).astype(np.float32), (0, 0), 2.0)
    texture = cv2.normalize(texture, None, 20, 220, cv2.NORM_MINMAX)
    made = []
    for number in range(frames):
        picture = np.dstack([np.roll(texture, 2 * number, axis=1)] * 3).astype(np.uint8)
        gain = 1.0 + (0.06 if number % 2 else -0.06)
        drawn = np.clip(picture * gain, 0, 255).astype(np.uint8)
        made.append((number, Layer(drawn, np.full(texture.shape, 255, np.uint8)), _motion(-2.0, texture.shape)))
    return made


def _flicker(layers: list[np.ndarray]) -> float:
    levels = np.array([layer[40:120, 60:160].mean() for layer in layers[3:]])
    return float(np.abs(np.diff(levels, n=2)).mean())


def test_a_known_flicker_goes_down_and_detail_stays() -> None:
    scene = _scene()
    strength = 0.7
    smooth = [layer.picture for _, layer in reduce_flicker(iter(scene), frozenset(), strength)]
    raw = [layer.picture for _, layer, _ in scene]
    assert _flicker(smooth) < 0.4 * _flicker(raw)
    assert smooth[-1].std() > 0.9 * raw[-1].std()


def test_no_warp_without_known_motion_or_across_a_restart() -> None:
    scene = _scene(3)
    strength = 1.0
    nowhere = [(n, layer, np.full_like(motion, np.nan)) for n, layer, motion in scene]
    for given, (_, got) in zip(scene, reduce_flicker(iter(nowhere), frozenset(), strength), strict=True):
        assert np.array_equal(got.picture, given[1].picture)
    for given, (_, got) in zip(scene, reduce_flicker(iter(scene), frozenset({0, 1, 2}), strength), strict=True):
        assert np.array_equal(got.picture, given[1].picture)


def test_layers_propagated_over_many_frames_stay_sharp() -> None:
    """Each frame is carried by a fraction of a pixel: blended as a whole it would blur more with every frame."""
    random = np.random.default_rng(6)
    texture = cv2.GaussianBlur(random.integers(0, 256, (160, 240, 3)).astype(np.float32), (0, 0), 1.2)
    texture = cv2.normalize(texture, None, 20, 220, cv2.NORM_MINMAX)
    scene = []
    for number in range(12):
        moved = cv2.warpAffine(texture, np.array([[1, 0, -1.5 * number], [0, 1, 0]]), (200, 160), flags=cv2.INTER_CUBIC)
        picture = moved.clip(0, 255).astype(np.uint8)
        scene.append((number, Layer(picture, np.full((160, 200), 255, np.uint8)), _motion(1.5, (160, 200))))
    strength = 0.7
    *_, (_, last) = reduce_flicker(iter(scene), frozenset(), strength)

    def gradient(picture: np.ndarray) -> float:
        return float(np.abs(np.diff(picture[40:120, 40:160].astype(np.float32), axis=1)).mean())

    assert gradient(last.picture) > 0.97 * gradient(scene[-1][1].picture)
