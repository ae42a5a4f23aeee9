"""The shadow on a wall in one frame: removed, and cast anew by the new person."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.light import CastShadows, WallShadows
from pipeline.finish.patch import Patch
from pipeline.finish.reshake import PlacedLayer
from pipeline.finish.shadows import ShadowEdit, ThrownShadows, darkened, edit_shadows, together
from pipeline.finish.wall_shadows import throw_wall_shadows

_DARK = np.array([0.5, 0.5, 0.45], np.float32)
_HEIGHT = 100.0
_WALL = WallShadows(np.array([[0.5, -0.05, 1.0, 2.0, 0.01]], np.float32), _DARK[None])
_SHOULDERS = (100.0, 70.0)


def _body(half: int) -> np.ndarray:
    body = np.zeros((180, 320), bool)
    body[52:150, 100 - half : 100 + half] = True
    return body


def _layer(body: np.ndarray) -> PlacedLayer:
    return PlacedLayer((0, 0, 320, 180), np.zeros((180, 320, 3), np.float32), body.astype(np.float32))


def _thrown(new: np.ndarray) -> ThrownShadows:
    thrown = throw_wall_shadows(_body(10), _layer(new), _SHOULDERS, _HEIGHT, _WALL, 0)
    assert thrown is not None
    return thrown


def _edit(new: np.ndarray, *, recast: bool) -> tuple[ShadowEdit, np.ndarray]:
    """Edit a frame in which the old man's shadow is 50 px to the right; return the edit and the plate."""
    thrown = _thrown(new)
    x0, y0, x1, y1 = thrown.box_xyxy
    rng = np.random.default_rng(0)
    plate = cv2.GaussianBlur(rng.integers(90, 200, (180, 320, 3)).astype(np.float32), (0, 0), 2).astype(np.uint8)
    source = plate.astype(np.float32)
    source[y0:y1, x0:x1] *= (1 - _DARK * thrown.old[..., None]) ** (1 / 2.2)
    area = np.s_[y0:y1, x0:x1]
    seen = np.ones((y1 - y0, x1 - x0), bool)
    old = np.ascontiguousarray(_body(10)[area])
    patch = Patch(
        thrown.box_xyxy, np.rint(source[area]).astype(np.uint8), plate[area], seen, old, np.zeros_like(seen), _HEIGHT
    )
    return edit_shadows(thrown, patch, old, recast=recast), plate


def test_the_shadows_lie_beside_the_people_and_the_box_contains_them() -> None:
    thrown = _thrown(_body(20))
    x0, y0, _, _ = thrown.box_xyxy
    for shadow, half in ((thrown.old, 10), (thrown.new, 20)):
        rows, columns = np.nonzero(shadow > 0.5)
        assert abs(columns.min() + x0 - (150 - half)) <= 1 and abs(columns.max() + x0 - (149 + half)) <= 1
        assert abs(rows.min() + y0 - 47) <= 1
    assert (
        min(float(edge.max()) for edge in (thrown.new[0], thrown.new[-1], thrown.new[:, 0], thrown.new[:, -1])) < 0.02
    )


def test_a_removed_shadow_gives_the_plate() -> None:
    edit, plate = _edit(_body(10), recast=False)
    x0, y0, _, _ = edit.box_xyxy
    assert edit.hole[90 - y0, 145 - x0 : 155 - x0].min() > 0.95
    np.testing.assert_array_equal(darkened(plate, (0, 0, 320, 180), edit), plate)


def test_a_broader_person_casts_a_broader_shadow() -> None:
    edit, plate = _edit(_body(20), recast=True)
    x0, y0, _, _ = edit.box_xyxy
    added = np.s_[80:120, 163:167]
    assert edit.hole[80 - y0 : 120 - y0, 163 - x0 : 167 - x0].min() > 0.9
    result = darkened(plate, (0, 0, 320, 180), edit)
    ratio = result[added].mean(axis=(0, 1)) / plate[added].mean(axis=(0, 1))
    np.testing.assert_allclose(ratio, (1 - _DARK) ** (1 / 2.2), rtol=0.06)


def test_nothing_is_thrown_without_a_wall_or_without_shoulders() -> None:
    body = _body(10)
    assert throw_wall_shadows(body, None, _SHOULDERS, _HEIGHT, WallShadows.none(1), 0) is None
    assert throw_wall_shadows(body, None, (float("nan"), 70.0), _HEIGHT, _WALL, 0) is None
    far = WallShadows(np.array([[9.0, 0, 1, 2, 0]], np.float32), _DARK[None])
    assert throw_wall_shadows(body, None, _SHOULDERS, _HEIGHT, far, 0) is None


def test_edits_of_ground_and_wall_are_one() -> None:
    first = ShadowEdit((0, 0, 4, 4), np.ones((4, 4), np.float32), np.full((4, 4, 3), 0.5, np.float32))
    second = ShadowEdit((2, 2, 6, 6), np.full((4, 4), 0.5, np.float32), np.full((4, 4, 3), 0.5, np.float32))
    both = together(first, second)
    assert both.box_xyxy == (0, 0, 6, 6)
    assert both.hole[0, 0] == 1 and both.hole[3, 3] == 1 and both.hole[5, 5] == 0.5 and both.hole[0, 5] == 0
    assert both.gain[3, 3, 0] == 0.25 and both.gain[0, 0, 0] == 0.5 and both.gain[0, 5, 0] == 1


def test_the_shadows_of_shots_and_of_several_people_are_joined() -> None:
    plain = CastShadows.none(2)
    walled = CastShadows(plain.shear[:1], plain.darkness[:1], plain.softness_bh[:1], _WALL)
    clip = CastShadows.joined([plain, walled])
    assert clip.wall_at(0) is None and clip.wall_at(2) == _WALL.at(0)
    assert CastShadows.joined([plain, plain]).wall is None
    three = CastShadows.none(3)
    assert three.or_else(clip).wall_at(2) == _WALL.at(0)
    other = CastShadows(three.shear, three.darkness, three.softness_bh, WallShadows.none(3))
    assert other.or_else(clip).wall_at(2) == _WALL.at(0)
