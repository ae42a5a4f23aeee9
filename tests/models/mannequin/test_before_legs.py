"""A ball in front of trousers is painted over; shorts, skirts and boots are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.models.mannequin.before_legs import find_before_legs, without_thing_before_legs
from pipeline.models.mannequin.reference import ReferenceView

_DARK, _WHITE, _SKIN = (0.02, 0.02, 0.05), (0.7, 0.7, 0.65), (0.5, 0.3, 0.2)
_AT = {"shoulder": (80, 200), "hip": (50, 470), "knee": (55, 700), "ankle": (60, 930)}


def _standing() -> ReferenceView:
    """Somebody in dark trousers, 1000 px tall."""
    size = (1000, 400)
    mask, colors = np.zeros(size, np.uint8), np.full((*size, 3), _DARK, np.float32)
    cv2.rectangle(mask, (120, 0), (280, 520), 1, -1)
    skeleton = np.full((23, 3), np.nan)
    for part, (x, y) in _AT.items():
        for side, sign in (("left", 1), ("right", -1)):
            skeleton[JOINT[f"{side}_{part}"]] = [200 + sign * x, y, 0]
    for sign in (1, -1):
        cv2.line(mask, (200 + sign * 50, 470), (200 + sign * 60, 990), 1, 70)
    colors[:440] = _WHITE
    joints = np.concatenate([skeleton[:21, :2], np.ones((21, 1))], 1)
    return ReferenceView("front", colors, mask > 0, joints, skeleton, 1000.0, True)


@pytest.mark.parametrize(("middle", "radius"), [((200, 600), 75), ((190, 780), 80)])
def test_a_ball_before_both_legs_is_painted_over(middle: tuple[int, int], radius: int) -> None:
    view = _standing()
    cv2.circle(view.colors, middle, radius, _WHITE, -1)
    cv2.circle(view.mask.view(np.uint8), middle, radius, 1, -1)
    ball = np.zeros(view.mask.shape, np.uint8)
    cv2.circle(ball, middle, radius, 1, -1)
    out, is_found = without_thing_before_legs(view)
    assert is_found
    assert np.allclose(out.colors[ball > 0], _DARK, atol=1e-3)
    assert np.array_equal(out.colors[:440], view.colors[:440])


def _paint(rows: slice, color: tuple[float, ...], columns: slice = slice(None)) -> ReferenceView:
    view = _standing()
    view.colors[rows, columns] = color
    return view


@pytest.mark.parametrize(
    "view",
    [
        _standing(),
        _paint(slice(440, 560), _WHITE),  # a shirt's tails, or a skirt
        _paint(slice(600, 1000), _SKIN),  # shorts
        _paint(slice(860, 1000), _WHITE),  # boots
        _paint(slice(600, 700), _WHITE, slice(200, 400)),  # a patch on one leg
        _paint(slice(500, 860), _WHITE),  # an apron
    ],
)
def test_clothes_are_no_thing_before_the_legs(view: ReferenceView) -> None:
    assert find_before_legs(view) is None
    assert without_thing_before_legs(view) == (view, False)
