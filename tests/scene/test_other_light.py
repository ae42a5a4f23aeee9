"""The ground in another light is no object; a thing of the same color and brightness is one, by its outline."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scene.layers import Label
from pipeline.scene.views import Shown
from tests.support.scene_labels import PATH, labeled, learned, share
from tests.support.scene_truth import SHAPE, Mask, Picture, Shot, disc, shot_at

SPOT = disc(220, 180, 24)
GROUND = (110.0, 120.0, 112.0)


def ground() -> Picture:
    """Return a dull floor with a little texture."""
    noise = np.random.default_rng(3).normal(0, 12, (*SHAPE, 1))
    texture = cv2.GaussianBlur(np.repeat(noise, 3, axis=2).astype(np.float32), (0, 0), 1.5)
    return np.asarray((np.array(GROUND) + texture).clip(0, 255), np.uint8)


def lit(picture: Picture, mask: Mask, gain: tuple[float, float, float], blur_px: float) -> Picture:
    """Return a picture (H, W, 3) with a part of it in another light, whose edge is blurred."""
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), blur_px)[..., None]
    return np.asarray((picture * (1 + weight * (np.array(gain) - 1))).clip(0, 255), np.uint8)


def on_ground(x: int, gain: tuple[float, float, float], blur_px: float) -> Shot:
    """Return the man at ``x`` on a floor of which a spot beside him has another light than in the plate."""
    shot = shot_at(x, ground())
    spot = SPOT & ~shot.subject_mask
    return replace(
        shot, picture=np.where(shot.subject_mask[..., None], shot.picture, lit(ground(), spot, gain, blur_px))
    )


def shown_in_spot(shot: Shot, what: Shown) -> float:
    return share(shot.sample().view.shown == what, disc(220, 180, 12))


@pytest.mark.parametrize("gain", [(1.5, 1.45, 1.5), (0.62, 0.5, 0.45)])
def test_a_soft_change_of_light_is_background(gain: tuple[float, float, float]) -> None:
    assert shown_in_spot(on_ground(100, gain, 9.0), Shown.SHADOW) > 0.9


@pytest.mark.parametrize("gain", [(1.5, 1.45, 1.5), (0.62, 0.5, 0.45)])
def test_what_has_an_outline_is_no_light(gain: tuple[float, float, float]) -> None:
    assert shown_in_spot(on_ground(100, gain, 1.0), Shown.OTHER) > 0.9


def test_what_has_another_color_is_no_light() -> None:
    assert shown_in_spot(on_ground(100, (0.8, 1.0, 2.0), 9.0), Shown.OTHER) > 0.9


def test_a_patch_of_the_plate_in_other_light_is_background() -> None:
    shot = shot_at(100, ground())
    assert shown_in_spot(replace(shot, plate=lit(ground(), SPOT, (0.7, 0.7, 0.7), 0.5)), Shown.SHADOW) > 0.9


def test_a_sheen_beside_the_subject_stays_nowhere() -> None:
    shots = [on_ground(int(x), (1.5, 1.45, 1.5), 9.0) for x in PATH]
    labels = labeled(shots[0], learned(shots))
    assert share((labels == Label.CARRIED) | (labels == Label.THING), SPOT) == 0.0
