"""Arms that come in from above the picture are the subject's own, and what they hold is not."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.body import NUM_PARTS, body_of
from pipeline.scene.colors import NUM_BINS
from pipeline.scene.guessed_arms import guessed_arms
from pipeline.scene.samples import Sample
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, shot_at, skeleton_at, wall

SKIN, GREEN = (214, 172, 140), (30, 200, 60)


def drawn(*ends: tuple[int, int], width: int) -> Mask:
    canvas = np.zeros(SHAPE, np.uint8)
    return cv2.polylines(canvas, [np.array(ends, np.int32)], False, 1, width) > 0


ARM = drawn((215, 0), (225, 60), width=12)
RACKET = drawn((262, 62), (290, 80), width=20)


def seen(shoulders_y: float, rgb: tuple[int, int, int]) -> tuple[Sample, SceneRow]:
    """The man with an arm of a color beside him, which the mask has, and a racket, which it has not."""
    shot = shot_at(150.0, wall())
    picture = shot.picture.copy()
    picture[ARM] = rgb
    picture[RACKET] = GREEN
    skeleton = skeleton_at(150.0)
    skeleton[5:7, 1] = shoulders_y
    sample = replace(shot, picture=picture, subject_mask=shot.subject_mask | ARM).sample()
    nobody = np.zeros(SHAPE, np.bool_)
    no_colors = np.zeros(NUM_BINS, np.float32)
    row = SceneRow(np.zeros((NUM_PARTS, NUM_BINS), np.float32), no_colors, no_colors, 0.0, nobody, nobody)
    return replace(sample, body=body_of(skeleton, HEIGHT_PX, (0.0, 0.0), 1.0)), row


def test_an_arm_from_above_the_picture_is_the_subjects_own_and_the_racket_is_not() -> None:
    found = guessed_arms(ARM | RACKET, *seen(-20.0, SKIN))
    assert (found == ARM).all()


def test_where_the_shoulders_are_seen_the_arms_are_no_guess() -> None:
    assert not guessed_arms(ARM | RACKET, *seen(62.0, SKIN)).any()


def test_a_thing_in_neither_skin_nor_clothes_is_not_taken_for_an_arm() -> None:
    assert not guessed_arms(ARM | RACKET, *seen(-20.0, GREEN)).any()
