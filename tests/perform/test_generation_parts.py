"""The pure parts around a diffusion generator: its inpainting region, its inputs, and color drift."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np

from pipeline.datatypes.appearance import Appearance, ReferencePicture
from pipeline.datatypes.light import SceneLight
from pipeline.datatypes.survey import Person
from pipeline.datatypes.window import Layer
from pipeline.maths.optical_flow import flow_between, flow_confidence, gray_of, warp_layer_by_flow
from pipeline.models.diffusion.inpaint_mask import loose_masks
from pipeline.models.diffusion.reference_crop import framed_reference, only_first_reference
from pipeline.perform.color_drift import correct_color_drift, measure_color_reference


def _texture(seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.5))


def test_the_loose_mask_holds_mask_and_joints_and_hides_the_outline() -> None:
    masks = np.zeros((2, 100, 100), np.bool_)
    masks[0, 20:80, 30:40] = masks[0, 20:80, 60:70] = True  # two legs with a gap
    joints = np.full((2, 21, 3), np.nan, np.float32)
    joints[0, 9] = 85, 50, 0.9  # a hand that the mask lost
    loose = loose_masks(masks, joints, np.array([60.0, np.nan]))
    assert loose[0][masks[0]].all() and loose[0, 50, 85]
    assert loose[0, 50, 50]  # between the legs
    assert loose[0, 50, 27] and not loose[0, 50, 15]  # room beyond, but not everywhere
    assert not loose[1].any()


def test_flow_carries_a_layer_as_the_picture_moved() -> None:
    texture = _texture()
    moved = np.roll(texture, 6, axis=1)
    alpha = np.zeros((120, 160), np.uint8)
    alpha[40:80, 50:90] = 255
    carried = warp_layer_by_flow(Layer(texture, alpha), gray_of(texture), gray_of(moved))
    assert carried.alpha is not None
    inside = np.roll(alpha, 6, axis=1) > 0
    assert np.mean(carried.alpha[inside]) > 230
    sure = carried.alpha > 250
    assert np.abs(carried.picture[sure].astype(int) - moved[sure]).mean() < 3
    assert warp_layer_by_flow(carried, gray_of(moved), gray_of(moved)) is carried


def test_flow_into_another_scene_is_not_believed() -> None:
    a, b = gray_of(_texture(1)), gray_of(_texture(2))
    assert flow_confidence(flow_between(a, b), flow_between(b, a)).mean() < 0.5
    assert flow_confidence(flow_between(a, a), flow_between(a, a)).mean() > 0.99


def test_the_reference_is_only_the_person_in_a_square() -> None:
    picture = np.full((400, 300, 3), (0, 200, 0), np.uint8)
    mask = np.zeros((400, 300), np.bool_)
    mask[20:380, 200:260] = True
    picture[mask] = (200, 0, 0)
    joints = np.full((21, 3), np.nan, np.float32)
    skeleton = np.full((23, 3), np.nan, np.float32)
    person = Person(np.array([200.0, 20, 260, 380]), 0.9, joints, skeleton, mask)
    alone = Appearance("", reference=picture, reference_person=person)
    assert only_first_reference(alone) == ()
    assert len(only_first_reference(replace(alone, more_references=(ReferencePicture(picture, person),)))) == 1
    framed = framed_reference(alone)
    assert framed is not None and framed.shape == (512, 512, 3)
    assert np.abs(framed[256, 256].astype(int) - (200, 0, 0)).max() <= 2
    green = (framed[..., 1] > 160) & (framed[..., 0] < 100)
    assert not green.any()
    red = np.argwhere((framed[..., 0] > 180) & (framed[..., 1] < 60))
    assert red[:, 0].min() > 15 and red[:, 0].max() < 497  # head and feet are in the picture
    assert np.ptp(red[:, 0]) / np.ptp(red[:, 1]) > 5
    assert framed_reference(Appearance("a prompt alone")) is None


def _person(color: tuple[int, int, int], height: int = 80) -> Layer:
    alpha = np.zeros((100, 60), np.uint8)
    alpha[90 - height : 90, 20:40] = 255
    return Layer(np.full((100, 60, 3), color, np.uint8), alpha)


def test_colors_that_drift_are_drawn_back_and_those_that_do_not_stay() -> None:
    first = [_person((150, 90, 90)) for _ in range(8)]
    anchor = measure_color_reference(enumerate(first))
    drifting = [(i, _person((150, 90 + min(i, 40) // 2, 90))) for i in range(80)]
    held = [layer for _, layer in correct_color_drift(drifting, anchor)]
    drift = [np.abs(layer.picture[50, 30].astype(int) - (150, 90, 90)).max() for layer in held]
    assert drift[-1] <= 6 < 20  # of the 20 that they drifted
    steps = [np.abs(a.picture[50, 30].astype(int) - b.picture[50, 30]).max() for a, b in pairwise(held)]
    assert max(steps) <= 3
    same = list(correct_color_drift(enumerate(first), anchor))
    assert all(layer is first[i] for i, layer in same)


def test_colors_that_change_with_the_scene_s_light_do_not_drift() -> None:
    """From the sun into the shade: the person is painted darker there, and stays so."""
    daylight = SceneLight.daylight(80)
    part = np.where(np.arange(80) < 20, 1.0, 0.3)[:, None].astype(np.float32)
    light = replace(daylight, key_rgb=daylight.key_rgb * part, ambient_rgb=daylight.ambient_rgb * part)
    painted = [(i, _person((150, 90, 90) if i < 20 else (85, 49, 49))) for i in range(80)]
    anchor = measure_color_reference(painted[:8], light)
    kept = [layer.picture[50, 30].astype(int) for _, layer in correct_color_drift(painted, anchor, light)]
    assert max(np.abs(color - painted[i][1].picture[50, 30]).max() for i, color in enumerate(kept)) <= 3
    without = [layer.picture[50, 30].astype(int) for _, layer in correct_color_drift(painted, anchor)]
    assert np.abs(without[-1] - painted[-1][1].picture[50, 30]).max() > 8


def test_a_partly_visible_person_gives_no_color_reference() -> None:
    anchor = measure_color_reference(enumerate([_person((150, 90, 90))] * 4))
    blue_shoes = [(i, _person((30, 30, 160), height=20)) for i in range(30)]
    assert all(layer is blue_shoes[i][1] for i, layer in correct_color_drift(blue_shoes, anchor))
    assert measure_color_reference([(0, Layer(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)))]) is None
