"""What stands in front of people at the anchor is in its place in the anchor's plate."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.light import CastShadows
from pipeline.plate.anchors import AnchorPlan
from pipeline.plate.front_in_place import front_in_place
from pipeline.plate.inputs import PlateInputs
from pipeline.plate.stack import collect_candidates
from tests.plate.test_plate import Scene, texture

_BODY_PX = 480.0
_SIZE = (520, 400)


def place(post_x: int) -> NDArray[np.uint8]:
    """Return a textured wall with a dark post, (h, w, 3)."""
    picture = np.array(texture(_SIZE[1], _SIZE[0], 3))
    picture[20:500, post_x : post_x + 40] = (30, 44, 34)
    return picture


def person() -> NDArray[np.bool_]:
    mask = np.zeros(_SIZE, np.bool_)
    cv2.ellipse(mask.view(np.uint8), (205, 260), (80, 230), 0, 0, 360, 1, -1)
    return mask


def test_a_post_before_somebody_is_where_the_anchor_shows_it() -> None:
    true, body = place(190), person()
    post = np.zeros_like(body)
    post[20:500, 190:230] = True
    anchor = np.where((body & ~post)[..., None], np.uint8([120, 90, 160]), true)
    plate = np.where(body[..., None], place(197), true)
    placed = front_in_place(plate, np.ones_like(body), anchor, body, body, _BODY_PX)
    np.testing.assert_array_equal(placed[~body], true[~body])
    wrong = [float(np.square(each[body].astype(float) - true[body]).mean()) for each in (plate, placed)]
    assert wrong[1] < 0.3 * wrong[0], wrong


def test_what_stands_beside_somebody_is_not_moved() -> None:
    body = person()
    anchor = np.where(body[..., None], np.uint8([120, 90, 160]), place(276))
    clip = Scene([anchor], [place(276)], [body], np.eye(3)[None])
    inputs = PlateInputs(
        clip, clip.world_from_source, np.array([0]), np.array([True]), lambda _: body, _BODY_PX, CastShadows.none(1)
    )
    plan = AnchorPlan(0, 0, 1, (0,), np.ones((_SIZE[0] // 8, _SIZE[1] // 8), np.bool_), _SIZE[::-1])
    candidates = collect_candidates(plan, {0: anchor}, inputs)
    hidden = candidates.grades[0] == 0
    plate = np.where(hidden[..., None], np.roll(place(276), 5, axis=1), place(276))
    placed = front_in_place(plate, np.ones_like(body), anchor, hidden, candidates.people, _BODY_PX)
    np.testing.assert_array_equal(placed, plate)
    assert (front_in_place(plate, np.ones_like(body), anchor, hidden, hidden, _BODY_PX) != plate).any()


def test_a_post_that_the_mask_leaves_out_is_in_front() -> None:
    true, body = place(190), person()
    without_post = body.copy()
    without_post[:, 190:230] = False
    anchor = np.where(without_post[..., None], np.uint8([120, 90, 160]), true)
    plate = np.where(body[..., None], place(195), true)
    placed = front_in_place(plate, np.ones_like(body), anchor, body, without_post, _BODY_PX)
    wrong = [float(np.square(each[body].astype(float) - true[body]).mean()) for each in (plate, placed)]
    assert wrong[1] < 0.3 * wrong[0], wrong


def test_a_post_behind_somebody_stays() -> None:
    body = person()
    anchor = np.where(body[..., None], np.uint8([120, 90, 160]), place(190))
    plate = np.where(body[..., None], place(197), place(190))
    np.testing.assert_array_equal(front_in_place(plate, np.ones_like(body), anchor, body, body, _BODY_PX), plate)
