"""Visibility of a person, from the sizes of masks."""

from __future__ import annotations

import numpy as np

from pipeline.plan.visibility import entered_fractions, visible_fractions

SIZE_WH = (640, 360)
SECONDS = np.arange(90) / 30
INSIDE = np.tile([100.0, 50.0, 160.0, 300.0], (90, 1))


def test_walking_behind_a_post_reduces_visibility_and_turning_does_not() -> None:
    behind = np.full(90, 9000.0)
    behind[40:46] = (6500, 4500, 2500, 2500, 4500, 6500)
    fractions = visible_fractions(np.ones(90), behind, INSIDE, SECONDS, SIZE_WH)
    assert (fractions[41:45] < 0.6).all() and fractions[42] == 0.0
    assert (np.delete(fractions, np.arange(40, 46)) == 1.0).all()
    turns = 9000 - 2500 * np.clip((np.arange(90) - 30) / 8, 0, 1)
    assert (visible_fractions(np.ones(90), turns, INSIDE, SECONDS, SIZE_WH) == 1.0).all()


def test_joints_outside_the_picture_keep_the_backends_visibility() -> None:
    leaves = np.linspace(9000, 500, 90)
    at_edge = INSIDE.copy()
    at_edge[:, 0] = 0
    assert (visible_fractions(np.ones(90), leaves, at_edge, SECONDS, SIZE_WH) == 1.0).all()
    told = np.ones(90)
    told[20] = 0.4
    fractions = visible_fractions(told, np.full(90, 9000.0), INSIDE, SECONDS, SIZE_WH)
    assert fractions[20] == 0.4 and np.count_nonzero(fractions < 1) == 1


def test_undetected_people_stay_invisible() -> None:
    visible = np.zeros(90)
    mask_px = np.zeros(90)
    visible[:60] = 1
    mask_px[:60] = 9000
    fractions = visible_fractions(visible, mask_px, INSIDE, SECONDS, SIZE_WH)
    assert (fractions[:60] == 1).all() and (fractions[60:] == 0).all()


def test_who_comes_in_is_trusted_by_what_is_seen_and_a_half_body_fully() -> None:
    mask_px = np.full(90, 9000.0)
    mask_px[:8] = np.linspace(800, 8000, 8)
    boxes = INSIDE.copy()
    boxes[:8, 0] = 0
    entered = entered_fractions(mask_px, boxes, SECONDS, SIZE_WH)
    assert entered[0] == 0 and entered[2] < 0.5 and (entered[7:] == 1).all()
    # The same sizes away from the edge tell of an occluder, not of coming in.
    assert (entered_fractions(mask_px, INSIDE, SECONDS, SIZE_WH) == 1).all()
    cut = INSIDE.copy()
    cut[:, 3] = 359
    assert (entered_fractions(np.full(90, 5000.0), cut, SECONDS, SIZE_WH) == 1).all()
