from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.finish.compose_frame import Piece, edit_piece
from pipeline.finish.composite import laid_over
from pipeline.finish.mixed_rims import MixedRims, mixed_rims
from pipeline.finish.scene_masks import SceneMasks
from pipeline.finish.surrounding_scene import SurroundingScene
from pipeline.settings import Settings
from tests.support.finish_job import made_finish_inputs
from tests.support.report_job import H, W

_OWN = np.array([50.0, 60.0, 95.0])
_THING = np.array([215.0, 190.0, 130.0])
_RED = np.array([190.0, 30.0, 35.0])
_NEW = np.array([30.0, 110.0, 60.0])
_SIZE = 40
_EDGE = 20


def _picture(share: float, rim: NDArray[np.float64] = _THING, rim_px: int = 0) -> NDArray[np.uint8]:
    """A thing on the right, whose ``rim_px`` outermost columns have another color, and one mixed column before it."""
    random = np.random.default_rng(5)
    picture = np.empty((_SIZE, _SIZE, 3))
    picture[:, :_EDGE] = _OWN
    picture[:, _EDGE + 1 :] = _THING
    picture[:, _EDGE + 1 : _EDGE + 1 + rim_px] = rim
    outermost = rim if rim_px else _THING
    picture[:, _EDGE] = share * outermost + (1 - share) * _OWN
    return np.clip(np.rint(picture + random.normal(0, 2, picture.shape)), 0, 255).astype(np.uint8)


def _rims(picture: NDArray[np.uint8], first_kept: int) -> MixedRims | None:
    kept = np.zeros((_SIZE, _SIZE), np.bool_)
    kept[:, first_kept:] = True
    return mixed_rims(picture, ~kept, kept, 300.0)


def _result(picture: NDArray[np.uint8], rims: MixedRims, first_kept: int) -> NDArray[np.float64]:
    """The new person's color behind what stays."""
    new = picture.copy()
    new[:, :first_kept] = _NEW
    new[rims.opened] = _NEW
    return laid_over(new, (0, 0, _SIZE, _SIZE), rims.layer).astype(np.float64)


@pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
@pytest.mark.parametrize("first_kept", [_EDGE, _EDGE + 1])
def test_a_mixed_pixel_shows_the_new_person_instead_of_the_old_one(share: float, first_kept: int) -> None:
    picture = _picture(share)
    rims = _rims(picture, first_kept)
    assert rims is not None
    made = _result(picture, rims, first_kept)[:, _EDGE].mean(axis=0)
    # As if the thing had been filmed before the new person: on the line between the two, with nothing of the old blue.
    shares = (made - _NEW) / (_THING - _NEW)
    assert np.ptp(shares[[0, 2]]) < 0.1
    assert abs(shares[0] - share) < 0.12
    assert rims.opened[:, _EDGE].all() == (first_kept == _EDGE)


def test_inside_the_thing_and_inside_the_person_nothing_is_taken_apart() -> None:
    rims = _rims(_picture(0.5), _EDGE)
    assert rims is not None
    assert not rims.opened[:, _EDGE + 1 :].any()
    x0 = rims.layer.box_xyxy[0]
    assert not rims.layer.alpha[:, _EDGE + 1 - x0 :].any()
    assert not rims.layer.alpha[:, : _EDGE - 1 - x0].any()


def test_a_narrow_rim_of_another_color_is_no_mixture() -> None:
    """A racket's frame is red, its face yellow: the red is not a mixture of the face with a dark shirt."""
    picture = _picture(1.0, _RED, 2)
    rims = _rims(picture, _EDGE)
    assert rims is not None
    made = _result(picture, rims, _EDGE)[:, _EDGE]
    assert np.abs(made - picture[:, _EDGE]).max(axis=-1).mean() < 10


def test_colors_that_are_alike_are_left_alone() -> None:
    random = np.random.default_rng(2)
    picture = np.clip(_OWN + random.normal(0, 6, (_SIZE, _SIZE, 3)), 0, 255).astype(np.uint8)
    rims = _rims(picture, _EDGE)
    assert rims is None or not rims.opened.any()


def test_without_an_edge_there_are_no_rims() -> None:
    kept = np.zeros((_SIZE, _SIZE), np.bool_)
    kept[:, 30:] = True
    subject = np.zeros_like(kept)
    subject[:, :20] = True
    assert mixed_rims(_picture(0.5), subject, kept, 300.0) is None


@pytest.mark.parametrize("is_graphic", [False, True])
def test_a_rim_of_something_kept_holds_no_source_unless_it_is_a_graphic(tmp_path: Path, is_graphic: bool) -> None:
    inputs = made_finish_inputs(tmp_path, Settings.model_validate({"plate": {"method": "off"}}))
    source = np.zeros((H, W, 3), np.uint8)
    kept = np.zeros((H, W), np.bool_)
    subject = np.zeros_like(kept)
    area = np.s_[20 : 20 + _SIZE, 30 : 30 + _SIZE]
    source[area] = _picture(0.6)
    kept[area] = np.arange(_SIZE) >= _EDGE
    subject[area] = np.arange(_SIZE) < _EDGE
    masks = SceneMasks(subject, kept)
    scene = SurroundingScene((0, 0, W, H), np.full_like(source, 120), masks)
    edit = edit_piece(inputs, 0, Piece(None, scene, masks, 60.0, source, kept if is_graphic else None), None)
    assert edit is not None
    x0, y0, _, _ = edit.weights.box_xyxy
    rim = edit.weights.source[22 - y0 : 58 - y0, 30 + _EDGE - x0]
    assert (rim == (1.0 if is_graphic else 0.0)).all()
    assert (edit.layer is None) == is_graphic
