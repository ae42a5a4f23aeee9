"""The new person's height follows from heads, not from a picture's size."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.datatypes.plan import CameraPath, Presence, Subject
from pipeline.datatypes.survey import Person
from pipeline.joints import JOINT, NUM_JOINTS, NUM_SKELETON
from pipeline.plan.body_scale import choose_body_scale, head_to_body
from pipeline.plan.crop_path import plan_crop_path
from tests.support.clip_info import video_info

_BODY = {"shoulder": (0.1, 0.18), "hip": (0.06, 0.46), "knee": (0.06, 0.7), "ankle": (0.06, 0.95)}


def joints_of(height_px: float, head: float, turned: float = 0.0) -> np.ndarray:
    """Return (21, 3) joints of somebody upright, with ears ``head`` heights apart, ``turned`` by an angle."""
    joints = np.full((NUM_JOINTS, 3), np.nan, np.float32)
    for part, (x, y) in _BODY.items():
        for side, sign in (("left", 1), ("right", -1)):
            joints[JOINT[f"{side}_{part}"]] = [sign * x, y, 1]
    for side, sign in (("left", 1), ("right", -1)):
        joints[JOINT[f"{side}_ear"]] = [sign * head / 2 * np.cos(turned), 0.07, 1]
    # A nose is about 0.63 of the ears' distance before them.
    joints[JOINT["nose"]] = [head / 1.6 * np.sin(turned), 0.08, 1]
    joints[:, :2] *= height_px
    return joints


def person_of(joints: np.ndarray) -> Person:
    skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
    return Person(np.array([0.0, 0, 10, 10]), 1.0, joints, skeleton, np.ones((4, 4), bool))


def subject_of(joints: np.ndarray, frames: int = 9) -> Subject:
    many = np.repeat(joints[None], frames, 0)
    boxes = np.tile([0.0, 0.0, 100.0, 200.0], (frames, 1))
    presence = np.full(frames, Presence.FOUND, np.uint8)
    return Subject(
        np.zeros(frames, np.int64), presence, boxes, many, np.zeros((frames, 23, 3), np.float32), np.full(frames, 200.0)
    )


def test_a_small_child_stays_small_and_the_size_of_the_picture_does_not_matter() -> None:
    adult, child = joints_of(200, 0.08), joints_of(900, 0.16)
    scale, warnings = choose_body_scale("reference", subject_of(adult), person_of(child))
    assert warnings == ()
    # Heads equally large: half the height, less what counts as error.
    assert 0.5 < scale < 0.55
    back, _ = choose_body_scale("reference", subject_of(child), person_of(adult))
    assert back == pytest.approx(1.6)


def test_adults_of_slightly_other_proportions_are_equally_tall() -> None:
    scale, _ = choose_body_scale("reference", subject_of(joints_of(200, 0.08)), person_of(joints_of(700, 0.083)))
    assert scale == 1.0


def test_the_default_is_the_subjects_height() -> None:
    assert choose_body_scale("subject", subject_of(joints_of(200, 0.08)), person_of(joints_of(700, 0.16))) == (1.0, ())
    assert choose_body_scale("reference", subject_of(joints_of(200, 0.08)), None) == (1.0, ())


def test_a_half_body_has_no_known_proportions_and_says_so() -> None:
    half = joints_of(700, 0.16)
    half[JOINT["left_ankle"], 2] = 0.1
    scale, warnings = choose_body_scale("reference", subject_of(joints_of(200, 0.08)), person_of(half))
    assert scale == 1.0
    assert len(warnings) == 1 and "generate.body_scale" in warnings[0]


@pytest.mark.parametrize("degrees", [0, 30, 60, 90])
def test_a_turned_head_measures_the_same(degrees: float) -> None:
    assert head_to_body(joints_of(300, 0.1, np.deg2rad(degrees))) == pytest.approx(
        head_to_body(joints_of(300, 0.1)), rel=0.01
    )


def test_the_crop_has_room_for_a_taller_person() -> None:
    frames = 10
    subject = subject_of(joints_of(200, 0.08), frames)
    subject.joints[..., :2] += [300, 400]
    subject.boxes_xyxy[:] = [280, 400, 320, 600]
    still = np.tile(np.eye(3), (frames, 1, 1))
    camera = CameraPath(still, still)
    head_of_the_taller = np.array([300.0, 400 - 0.5 * 200, 1])
    shown = []
    for scale in (1.0, 1.5):
        crop = plan_crop_path(subject, camera, np.array([0]), video_info(frames, (640, 720)), None, 768, scale)
        shown.append((crop.crop_from_stable[0] @ head_of_the_taller)[1])
    assert shown[0] < 0 < shown[1]
