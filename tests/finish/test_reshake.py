from __future__ import annotations

import numpy as np

from pipeline.datatypes.window import Layer
from pipeline.finish.reshake import place_layer, support_box
from pipeline.maths.geometry import translation


def _blob(cx: float, cy: float, size: int = 120) -> Layer:
    y, x = np.mgrid[0:size, 0:size]
    alpha = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 8.0**2)) * 255
    alpha[alpha < 2] = 0
    return Layer(np.full((size, size, 3), 180, np.uint8), np.rint(alpha).astype(np.uint8))


def _center(alpha: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    y, x = np.mgrid[box[1] : box[3], box[0] : box[2]]
    return np.array([(x * alpha).sum(), (y * alpha).sum()]) / alpha.sum()


def test_a_layer_follows_the_transform_and_its_inverse() -> None:
    angle = 0.1
    scale = 0.9
    crop_from_source = np.array(
        [
            [scale * np.cos(angle), -scale * np.sin(angle), -30.3],
            [scale * np.sin(angle), scale * np.cos(angle), -22.7],
            [0, 0, 1],
        ]
    )
    layer = _blob(60, 60)
    source_from_crop = np.linalg.inv(crop_from_source)
    box = support_box(layer, source_from_crop, (300, 300), 0)
    assert box is not None
    placed = place_layer(layer, crop_from_source, box)
    wanted = (source_from_crop @ [60, 60, 1])[:2]
    assert np.abs(_center(placed.alpha, box) - wanted).max() < 0.01
    back = place_layer(
        Layer(
            np.full((300, 300, 3), 180, np.uint8),
            np.pad(
                np.rint(placed.alpha * 255).astype(np.uint8),
                ((box[1], 300 - box[3]), (box[0], 300 - box[2])),
            ),
        ),
        source_from_crop,
        (0, 0, 120, 120),
    )
    assert np.abs(_center(back.alpha, (0, 0, 120, 120)) - 60).max() < 0.01


def test_a_displacement_moves_the_layer_by_itself() -> None:
    layer = _blob(60, 60)
    box = (0, 0, 120, 120)
    displacement = np.zeros((120, 120, 2), np.float32)
    displacement[..., 0] = 3.25
    displacement[..., 1] = -1.5
    placed = place_layer(layer, np.eye(3), box, displacement)
    # At quarter phases OpenCV's kernel (a = -0.75) would be 0.05 px off.
    assert np.abs(_center(placed.alpha, box) - [63.25, 58.5]).max() < 0.005


def test_identity_is_exact_and_premultiplied() -> None:
    layer = _blob(50, 55)
    placed = place_layer(layer, np.eye(3), (0, 0, 120, 120))
    assert layer.alpha is not None
    assert np.array_equal(np.rint(placed.alpha * 255).astype(np.uint8), layer.alpha)
    assert np.abs(placed.premultiplied - 180 * placed.alpha[..., None]).max() < 0.01


def test_an_empty_or_far_layer_has_no_box() -> None:
    empty = Layer(np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8))
    assert support_box(empty, np.eye(3), (100, 100), 0) is None
    assert support_box(_blob(60, 60), translation(500, 0), (100, 100), 0) is None
