"""A floor that mirrors the subject is recognized before plates are made, and its image counts as doubtful."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.datatypes.light import CastShadows
from pipeline.maths.reflection import mirror
from pipeline.plate.anchors import background_grade
from pipeline.plate.shadow_search import GroundView, ground_view, shadows_of_shot
from tests.support.upright_man import FOOT_PX, HEIGHT_PX, upright_man

_SIZE = (320, 220)
_COUNT = 14


def _found(strength: float) -> CastShadows:
    """A man in a blue shirt who walks over a textured floor that mirrors him."""
    rng = np.random.default_rng(2)
    scene = cv2.GaussianBlur(rng.integers(60, 200, (*_SIZE[::-1], 3)).astype(np.float32), (0, 0), 1.5)
    views: list[GroundView] = []
    for t in range(_COUNT):
        x = 60 + 14.0 * t
        man = upright_man(x, _SIZE)
        picture = scene.copy()
        picture[man] = (40, 60, 190)
        picture[man & (np.arange(_SIZE[1])[:, None] > 110)] = (210, 190, 60)
        floor = strength * mirror(np.where(man[..., None], picture - scene, 0).astype(np.float32), FOOT_PX)
        picture = np.where(man[..., None], picture, picture + floor)
        ankles = np.array([[x - 7, FOOT_PX - 0.04 * HEIGHT_PX]] * 2)
        view = ground_view(t, np.clip(picture, 0, 255).astype(np.uint8), man, man, ankles, HEIGHT_PX, HEIGHT_PX)
        assert view is not None
        views.append(view)
    return shadows_of_shot(views, np.tile(np.eye(3), (_COUNT, 1, 1)), 0, _COUNT, _SIZE)


def test_a_floor_that_mirrors_is_recognized_and_a_dull_one_is_not() -> None:
    assert _found(0.35).mirrored_at(3)
    assert not _found(0.0).mirrored_at(3)
    assert not CastShadows.none(3).mirrored_at(0)


def test_shots_and_people_keep_their_floors() -> None:
    clip = CastShadows.joined([CastShadows.none(2), _found(0.35)])
    assert [clip.mirrored_at(t) for t in (0, 1, 2)] == [False, False, True]
    assert CastShadows.none(2 + _COUNT).or_else(clip).mirrored_at(2)


def test_the_image_in_the_floor_is_not_clear_background() -> None:
    mask = np.zeros((360, 320), bool)
    mask[60:180, 150:180] = True
    plain = background_grade(mask, 120.0)
    mirrored = background_grade(mask, 120.0, is_mirrored=True)
    assert plain[280, 165] == 2 and mirrored[280, 165] == 1
    assert mirrored[280, 230] == 2 and mirrored[330, 165] == 2
    assert (mirrored[mask] == 0).all()
