"""Skirts told from trousers, where a mask is closed between the legs of both."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_JOINTS
from pipeline.models.mannequin.hanging import find_hanging
from pipeline.models.mannequin.reference import ReferenceView

HEIGHT = 700.0
SKIN, CLOTH = (0.5, 0.3, 0.2), (0.05, 0.06, 0.25)
HEM = 560
AT = {
    "nose": (250, 90), "left_eye": (260, 80), "right_eye": (240, 80), "left_shoulder": (310, 170),
    "right_shoulder": (190, 170), "left_hip": (285, 370), "right_hip": (215, 370), "left_knee": (290, 520),
    "right_knee": (210, 520), "left_ankle": (292, 680), "right_ankle": (208, 680),
}  # fmt: skip


def _view(below: tuple[float, ...], half_width: int, moved: dict[str, tuple[int, int]] | None = None) -> ReferenceView:
    """A person in a cloth down to ``HEM``, over legs of a color, in a mask that is closed between them."""
    joints = np.full((NUM_JOINTS, 3), np.nan)
    for name, place in {**AT, **(moved or {})}.items():
        joints[JOINT[name]] = (*place, 0.9)
    mask = np.zeros((720, 500), bool)
    mask[10:340, 170:330] = True
    mask[340:HEM, 250 - half_width : 250 + half_width] = True
    mask[HEM:700, 180:320] = True
    colors = np.zeros((720, 500, 3), np.float32)
    colors[:] = CLOTH
    colors[:130] = SKIN
    colors[HEM:] = below
    skeleton = np.full((23, 3), np.nan)
    skeleton[:NUM_JOINTS, :2] = joints[:, :2]
    return ReferenceView("front", colors, mask, joints, skeleton, HEIGHT, True)


def test_a_skirt_ends_where_bare_legs_begin() -> None:
    cloth = find_hanging(_view(SKIN, 120))
    assert cloth is not None
    assert cloth.rows[-1] == pytest.approx(HEM, abs=12)


def test_cloth_that_goes_on_around_legs_in_one_color_is_trousers() -> None:
    view = _view(CLOTH, 75)
    # The outline opens between the legs below the knees only.
    view.mask[HEM:700, 235:265] = False
    assert find_hanging(view) is None


def test_trousers_with_a_ball_beside_one_leg_under_a_shirt_are_trousers() -> None:
    view = _view(CLOTH, 75)
    view.mask[HEM:700, 235:265] = False
    view.mask[400:HEM, 325:400] = True
    view.colors[130:430] = (0.4, 0.5, 0.1)
    assert find_hanging(view) is None


def test_a_wide_coat_over_trousers_of_its_color_is_a_coat() -> None:
    view = _view(CLOTH, 120)
    view.mask[HEM:700, 235:265] = False
    assert find_hanging(view) is not None


@pytest.mark.parametrize(
    "moved",
    [
        {"left_ankle": (292, 600), "left_knee": (290, 480)},
        {"left_knee": (360, 500), "left_ankle": (420, 640)},
    ],
)
def test_somebody_who_walks_or_bends_is_given_no_skirt(moved: dict[str, tuple[int, int]]) -> None:
    assert find_hanging(_view(SKIN, 120, moved)) is None


def test_trousers_with_a_ball_in_front_of_the_legs_are_trousers() -> None:
    view = _view(CLOTH, 75)
    view.mask[HEM:700, 235:265] = False
    view.colors[465:HEM] = (0.1, 0.2, 0.9)
    view.colors[HEM:] *= 0.7
    assert find_hanging(view) is None
