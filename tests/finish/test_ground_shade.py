"""The shade beside the feet is carried into the hole around them."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.finish.ground_shade import shade_at_feet
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit

_SIZE_WH = (200, 120)
_BOX = (0, 0, *_SIZE_WH)
_HEIGHT = 200.0
_FEET_XY = np.array([[80.0, 70.0], [100.0, 70.0]])
_FOOT = np.s_[40:72, 76:104]
_HIDDEN = np.s_[36:76, 72:108]
"""The feet, and as much around them as nobody sees clearly."""


def _shade() -> np.ndarray:
    spot = np.zeros((_SIZE_WH[1], _SIZE_WH[0]), np.float32)
    cv2.ellipse(spot, (90, 70), (34, 14), 0, 0, 360, 1.0, -1)
    return 1 - 0.5 * cv2.GaussianBlur(spot, (0, 0), 3)


def _patch(shade: np.ndarray) -> Patch:
    rng = np.random.default_rng(0)
    fine = rng.integers(60, 220, (_SIZE_WH[1], _SIZE_WH[0], 3)).astype(np.float32)
    plate = cv2.GaussianBlur(fine, (0, 0), 1.5).astype(np.uint8)
    source = np.rint(plate * shade[..., None]).astype(np.uint8)
    source[_FOOT] = 250
    nobody = np.zeros(shade.shape, np.bool_)
    subject = nobody.copy()
    subject[_FOOT] = True
    return Patch(_BOX, source, plate, ~nobody, subject, nobody, _HEIGHT)


def _visible() -> np.ndarray:
    visible = np.ones((_SIZE_WH[1], _SIZE_WH[0]), np.bool_)
    visible[_HIDDEN] = False
    return visible


def _layer(contact: float = 0.0) -> PlacedLayer:
    alpha = np.zeros((_SIZE_WH[1], _SIZE_WH[0]), np.float32)
    alpha[60:90, 60:120] = contact
    return PlacedLayer(_BOX, np.zeros((*alpha.shape, 3), np.float32), alpha)


def _gain(shade: np.ndarray, layer: PlacedLayer, shadow: ShadowEdit | None = None) -> np.ndarray:
    edit = shade_at_feet(_patch(shade), shadow, layer, _visible(), _FEET_XY, _BOX)
    assert edit is not None and not edit.hole.any()
    full = np.ones((*shade.shape, 3), np.float32)
    x0, y0, x1, y1 = edit.box_xyxy
    full[y0:y1, x0:x1] = edit.gain
    return full[..., 0]


def test_ground_beside_the_feet_gets_the_shade_that_the_frame_shows_there() -> None:
    shade = _shade()
    edge = _visible() ^ (cv2.erode(_visible().astype(np.uint8), np.ones((7, 7))) > 0)
    gain = _gain(shade, _layer())
    assert shade[edge].min() < 0.75
    assert np.abs(gain - shade)[edge].mean() < 0.03
    under = np.s_[73:76, 80:100]
    assert np.abs(gain - shade)[under].max() < 0.12, "hidden, close to what is seen"
    np.testing.assert_allclose(gain[:8], 1, atol=0.03)


def test_what_the_predicted_shadow_and_the_layer_darken_already_is_not_darkened_twice() -> None:
    shade = _shade()
    predicted = ShadowEdit(_BOX, np.zeros_like(shade), np.repeat(np.sqrt(shade)[..., None], 3, axis=2))
    layer = _layer(contact=0.2)
    total = _gain(shade, layer, predicted) * np.sqrt(shade) * (1 - layer.alpha)
    below = np.s_[78:84, 76:104]
    assert np.abs(total - shade)[below].mean() < 0.03


def test_shade_never_brightens_the_ground() -> None:
    bright = np.full((_SIZE_WH[1], _SIZE_WH[0]), 1.15, np.float32)
    assert _gain(bright, _layer()).max() < 1.04


def test_feet_outside_the_picture_cast_nothing() -> None:
    feet_xy = _FEET_XY + np.array([0.0, 300.0])
    assert shade_at_feet(_patch(_shade()), None, _layer(), _visible(), feet_xy, _BOX) is None


def test_a_large_person_gets_the_same_shade_measured_at_a_smaller_size() -> None:
    shade = _shade()
    large = [np.ascontiguousarray(each.repeat(3, axis=0).repeat(3, axis=1)) for each in (shade, _visible())]
    small = _patch(shade)
    grown = [each.repeat(3, axis=0).repeat(3, axis=1) for each in (small.source, small.plate, small.subject)]
    nobody = np.zeros(large[0].shape, np.bool_)
    box = (0, 0, 3 * _SIZE_WH[0], 3 * _SIZE_WH[1])
    patch = Patch(box, grown[0], grown[1], ~nobody, grown[2], nobody, 3 * _HEIGHT)
    layer = PlacedLayer(box, np.zeros((*nobody.shape, 3), np.float32), np.zeros(nobody.shape, np.float32))
    edit = shade_at_feet(patch, None, layer, large[1], 3 * _FEET_XY, box)
    assert edit is not None
    x0, y0, x1, y1 = (each // 3 for each in edit.box_xyxy)
    reduced = cv2.resize(edit.gain[..., 0], (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    expected = _gain(shade, _layer())[y0:y1, x0:x1]
    assert expected.min() < 0.75
    assert np.abs(reduced - expected).mean() < 0.01
    assert np.abs(reduced - expected).max() < 0.08
