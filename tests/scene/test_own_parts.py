"""Only the surroundings of hands and of what nothing explains are looked at; the result is that of the whole view."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from pipeline.scene import own_parts as module
from pipeline.scene.frame_evidence import frame_evidence
from pipeline.scene.hand_colors import REACH_BH
from pipeline.scene.held import held_objects
from pipeline.scene.known_things import colors_at_hands
from pipeline.scene.own_parts import own_parts
from pipeline.scene.samples import hand_distances
from pipeline.scene.unexplained import unexplained_pixels
from tests.support.scene_labels import learned
from tests.support.scene_truth import Shot, disc, shot_at, wall

OF_UNEXPLAINED = {"own", "fingers", "rest", "known", "in_place"}


def in_motion(x: float) -> Shot:
    """A man whose outline is blurred, whose mask is too tight, with a ball at his hand."""
    shot = shot_at(x, wall())
    picture = cv2.blur(shot.picture, (7, 1))
    picture[disc(x + 34, 128, 7)] = (230, 120, 20)
    tight = cv2.erode(shot.subject_mask.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return replace(shot, picture=picture, subject_mask=tight)


@pytest.mark.parametrize("x", [60, 140, 220])
def test_what_is_far_from_the_unexplained_pixels_changes_nothing(x: float, monkeypatch: pytest.MonkeyPatch) -> None:
    row = learned([shot_at(place, wall()) for place in (60, 100, 140)])
    sample = in_motion(x).sample()
    height, width = sample.subject_mask.shape
    evidence = frame_evidence(sample, row, np.zeros((height, width), np.bool_), may_meet=False)
    unexplained = unexplained_pixels(evidence, sample, row)
    near = own_parts(unexplained, evidence, sample, row)
    assert near.own.any()
    looked_at = module._room_around(unexplained, sample)
    assert looked_at[2] - looked_at[0] < width
    monkeypatch.setattr(module, "_room_around", lambda *_: (0, 0, width, height))
    whole = own_parts(unexplained, evidence, sample, row)
    assert {each.name for each in fields(whole)} > OF_UNEXPLAINED
    for name in OF_UNEXPLAINED:
        assert np.array_equal(getattr(near, name), getattr(whole, name)), name


@pytest.mark.parametrize("hand_xy", [(150.3, 120.7), (3.2, 250.9), (-20.0, 40.0)])
def test_the_colors_of_a_held_thing_count_within_reach_of_a_hand(hand_xy: tuple[float, float]) -> None:
    row = learned([shot_at(place, wall()) for place in (60, 100, 140)])
    in_hand = np.random.default_rng(0).random(row.in_hand.shape).astype(np.float32)
    sample = shot_at(140, wall()).sample()
    hands = np.array([hand_xy, (190.0, 126.0)], np.float32)
    sample = replace(sample, body=replace(sample.body, hands=hands, hand_sides=np.array([0, 1])))
    near = hand_distances(sample).min(axis=0) < REACH_BH * sample.body.height_px
    found = colors_at_hands(sample, replace(row, in_hand=in_hand))
    assert np.array_equal(found, np.where(near, in_hand[sample.bins], np.float32(0)))
    assert not colors_at_hands(sample, replace(row, in_hand=np.zeros_like(in_hand))).any()


def test_a_thing_in_a_hand_is_held_wherever_it_is_in_the_view() -> None:
    shot = shot_at(40, wall())
    sample = shot.sample()
    left, top = (int(value) for value in sample.body.hands[1])
    thing = np.zeros(sample.outside.shape, np.bool_)
    thing[top - 4 : top + 40, max(left - 5, 0) : left + 5] = True
    far = np.zeros_like(thing)
    far[:12, -12:] = True
    nothing = np.zeros_like(thing)
    held, hand = held_objects(thing | far, sample, nothing)
    assert np.array_equal(held, thing) and not hand.any()
    assert not held_objects(nothing, sample, nothing)[0].any()
