"""Shadows in one frame: removed, recast, never applied twice."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.light import CastShadows
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit, darkened, edit_shadows, throw_shadows
from pipeline.maths.cast_shadow import cast

_DARK = np.array([0.5, 0.5, 0.45], np.float32)
_FOOT = 150.0
_HEIGHT = 100.0
_SHADOWS = CastShadows(np.full((1, 2), (0.6, 0.25), np.float32), _DARK[None], np.full(1, 0.01, np.float32))


def _body(x: int, half: int) -> np.ndarray:
    body = np.zeros((180, 320), bool)
    body[52:150, x - half : x + half] = True
    return body


def _edit(
    new: np.ndarray, *, recast: bool = True, is_shaded: bool = False
) -> tuple[ShadowEdit, np.ndarray, np.ndarray, np.ndarray]:
    """Edit a frame in which a man of 20 px width throws a shadow. Returns it, source, plate and the old shadow."""
    old = _body(100, 10)
    layer = PlacedLayer((0, 0, 320, 180), np.zeros((180, 320, 3), np.float32), new.astype(np.float32))
    thrown = throw_shadows(old, layer, _FOOT, _HEIGHT, _SHADOWS, 0)
    assert thrown is not None
    x0, y0, x1, y1 = thrown.box_xyxy
    rng = np.random.default_rng(0)
    plate = cv2.GaussianBlur(rng.integers(90, 200, (180, 320, 3)).astype(np.float32), (0, 0), 2).astype(np.uint8)
    shadow = cast(old.astype(np.float32), _FOOT, 0.6, 0.25, 1.0)
    left = (1 - (0 if is_shaded else 1) * _DARK * shadow[..., None]) ** (1 / 2.2)
    source = np.rint(plate * left).astype(np.uint8)
    source[old] = 30
    area = np.s_[y0:y1, x0:x1]
    seen = np.ones((y1 - y0, x1 - x0), bool)
    patch = Patch(thrown.box_xyxy, source[area], plate[area], seen, old[area], np.zeros_like(seen), _HEIGHT)
    edit = edit_shadows(thrown, patch, old[area], recast=recast)
    return edit, source, plate, shadow


def test_the_same_silhouette_leaves_the_sources_shadow_unchanged() -> None:
    edit, *_ = _edit(_body(100, 10))
    assert edit.hole.max() < 0.05


def test_a_removed_shadow_gives_the_plate() -> None:
    edit, _, plate, shadow = _edit(_body(100, 10), recast=False)
    x0, y0, x1, y1 = edit.box_xyxy
    dark = (shadow > 0.3)[y0:y1, x0:x1] & ~_body(100, 14)[y0:y1, x0:x1]
    assert edit.hole[dark].min() > 0.95
    np.testing.assert_array_equal(darkened(plate, (0, 0, 320, 180), edit), plate)


def test_a_broader_person_casts_a_broader_shadow_of_the_same_darkness() -> None:
    new = _body(100, 24)
    edit, source, plate, shadow = _edit(new)
    x0, y0, x1, y1 = edit.box_xyxy
    wider = cast(new.astype(np.float32), _FOOT, 0.6, 0.25, 1.0)
    added = np.zeros((180, 320), bool)
    added[y0:y1, x0:x1] = ((wider > 0.97) & (shadow < 0.02) & ~new)[y0:y1, x0:x1]
    assert np.count_nonzero(added) > 50
    result = darkened(plate, (0, 0, 320, 180), edit)
    ratio = result[added].mean(axis=0) / plate[added].mean(axis=0)
    np.testing.assert_allclose(ratio, (1 - _DARK) ** (1 / 2.2), rtol=0.06)
    assert edit.hole[added[y0:y1, x0:x1]].min() > 0.9
    # Pixels in both shadows stay as filmed.
    both = (np.minimum(wider, shadow) > 0.97)[y0:y1, x0:x1] & ~new[y0:y1, x0:x1]
    assert edit.hole[cv2.erode(both.astype(np.uint8), np.ones((5, 5))) > 0].max() < 0.05
    del source


def test_in_the_shade_nothing_is_darkened_again() -> None:
    edit, _, plate, _ = _edit(_body(100, 24), is_shaded=True)
    assert not edit.hole.any()
    np.testing.assert_array_equal(darkened(plate, (0, 0, 320, 180), edit), plate)


def test_no_shadow_without_ground_in_the_picture() -> None:
    assert throw_shadows(_body(100, 10), None, 181.0, _HEIGHT, _SHADOWS, 0) is None
    assert throw_shadows(_body(100, 10), None, _FOOT, _HEIGHT, CastShadows.none(1), 0) is None
    assert throw_shadows(_body(100, 10), None, float("nan"), _HEIGHT, _SHADOWS, 0) is None


def test_the_box_of_the_shadows_holds_them_and_little_else() -> None:
    body = _body(100, 10)
    alpha = _body(100, 10).astype(np.float32)
    # The new person's contact shadow is wide; it casts no shadow itself.
    alpha[140:150, 20:250] = np.maximum(alpha[140:150, 20:250], 0.4)
    layer = PlacedLayer((0, 0, 320, 180), np.zeros((180, 320, 3), np.float32), alpha)
    thrown = throw_shadows(body, layer, _FOOT, _HEIGHT, _SHADOWS, 0)
    assert thrown is not None
    x0, y0, x1, y1 = thrown.box_xyxy
    rows, columns = np.nonzero(cast(body.astype(np.float32), _FOOT, 0.6, 0.25, 1.0) > 0.02)
    assert x0 <= columns.min() and columns.max() < x1 and y0 <= rows.min() and rows.max() < y1
    room = 8
    assert x0 > columns.min() - room and x1 < columns.max() + room and y0 > rows.min() - room
