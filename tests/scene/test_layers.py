"""Whose each pixel is: what covers the subject, what they carry and what moves is told apart from them, without any
model."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.scene.body import NUM_PARTS
from pipeline.scene.colors import NUM_BINS, density
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import Mask, Shot, man_at, shot_at, wall


def with_post(width_px: int = 18) -> tuple[np.ndarray, Mask]:
    plate = wall()
    post = NOTHING.copy()
    post[20:240, 140 : 140 + width_px] = True
    plate[post] = (20, 40, 30)
    return plate, post


def test_a_post_stays_in_front_of_the_subject() -> None:
    plate, post = with_post()
    shots = [shot_at(x, plate, post) for x in PATH]
    row = learned(shots)
    hidden = 0
    for shot in shots:
        behind = man_at(shot.x)[0] & post
        labels = labeled(shot, row)
        hidden += behind.sum()
        if behind.sum() > 100:
            assert share(labels == Label.FRONT, behind) > 0.8
        assert share(labels == Label.FRONT, shot.subject_mask) < 0.01
        assert share(labels == Label.SUBJECT, shot.subject_mask) > 0.98
    assert hidden > 3000


def test_a_post_that_hides_the_subject_completely_is_in_front() -> None:
    plate = wall()
    post = NOTHING.copy()
    post[10:250, 100:210] = True
    plate[post] = (20, 40, 30)
    found = [shot_at(x, plate) for x in (40, 44, 48, 260, 264)]
    # The mask is filled in from other frames; nothing of the subject is visible.
    hidden = [replace(shot_at(x, plate, post), subject_mask=man_at(x)[0]) for x in range(146, 166, 3)]
    core = man_at(155)[0] & man_at(150)[0]
    assert share(labeled(hidden[3], learned(found, hidden)) == Label.FRONT, core) > 0.9
    # One look may be at a wrong place.
    assert not learned(found, hidden[:1]).front.any()
    assert not learned(found).front.any()


def test_a_mask_that_runs_over_the_post_does_not_take_it() -> None:
    plate, post = with_post()
    shots = [replace(shot, subject_mask=man_at(shot.x)[0]) for shot in (shot_at(x, plate, post) for x in PATH)]
    row = learned(shots)
    for shot in shots:
        assert share(labeled(shot, row) == Label.SUBJECT, post) < 0.13


def test_a_post_behind_the_subject_is_background() -> None:
    plate, _ = with_post()
    shots = [shot_at(x, plate) for x in PATH]
    row = learned(shots)
    assert not row.front.any()
    for shot in shots:
        assert share(labeled(shot, row) == Label.SUBJECT, man_at(shot.x)[0]) > 0.98


def test_nothing_is_in_front_of_a_lone_man() -> None:
    shots = [shot_at(x, wall()) for x in PATH]
    row = learned(shots)
    for shot in shots:
        assert np.isin(labeled(shot, row), (Label.NOBODY, Label.SUBJECT)).all()


def test_another_person_in_front_of_the_subject_is_kept_where_both_masks_meet() -> None:
    def crossing(x: float) -> tuple[Shot, Mask]:
        shot = shot_at(150, wall())
        other = NOTHING.copy()
        other[50:230, round(x) - 18 : round(x) + 18] = True
        picture = shot.picture.copy()
        noise = np.random.default_rng(int(x)).normal(0, 3, (int(other.sum()), 3))
        picture[other] = np.array((40, 110, 70)) + noise
        return replace(shot, picture=picture, others_mask=other), other

    crossings = [crossing(x) for x in range(30, 260, 20)]
    row = learned([shot for shot, _ in crossings])
    for shot, other in crossings:
        labels = labeled(shot, row)
        assert share(labels == Label.OTHERS, other) > 0.97
        assert share(labels == Label.SUBJECT, man_at(150)[0] & ~other) > 0.97


def passing(x: float) -> tuple[Shot, Mask]:
    """Return the shot of the subject at 150, and the visible part of somebody who passes behind at ``x``."""
    shot = shot_at(150, wall())
    other = NOTHING.copy()
    other[50:230, round(x) - 14 : round(x) + 14] = True
    other &= ~shot.subject_mask
    picture = shot.picture.copy()
    noise = np.random.default_rng(int(x)).normal(0, 3, (int(other.sum()), 3))
    picture[other] = np.array((240, 210, 60)) + noise
    return replace(shot, picture=picture, others_mask=other), other


@pytest.mark.parametrize("in_subject_mask", [False, True])
def test_somebody_whose_mask_is_lost_while_they_pass_is_kept(in_subject_mask: bool) -> None:
    row = learned([passing(x)[0] for x in (40, 60, 80, 220, 240, 260)])
    shot, other = passing(188)
    off_limbs = other & (shot.sample().outside > 0.04)
    subject_mask = shot.subject_mask | (other & in_subject_mask)
    lost = replace(shot, subject_mask=subject_mask, others_mask=NOTHING).sample()
    places = row.front, row.wrong
    # A bag may hang there.
    assert share(labels_of(lost, row, places, True, may_meet=False) == Label.OTHERS, off_limbs) < 0.05
    labels = labels_of(lost, row, places, True, may_meet=True)
    assert share(labels == Label.OTHERS, off_limbs) > 0.8
    assert share(labels == Label.SUBJECT, man_at(150)[0]) > 0.97


def test_a_rim_of_the_subject_that_a_tight_mask_misses_is_not_an_object() -> None:
    def tight(x: float) -> Shot:
        shot = shot_at(x, wall())
        fur = cv2.dilate(shot.subject_mask.astype(np.uint8), np.ones((9, 9))).astype(np.bool_) & ~shot.subject_mask
        picture = shot.picture.copy()
        picture[fur] = (240, 240, 120)
        return replace(shot, picture=picture)

    shots = [tight(x) for x in PATH[::3]]
    row = learned(shots)
    for shot in shots:
        rim = (shot.picture == (240, 240, 120)).all(axis=-1)
        assert share(np.isin(labeled(shot, row), (Label.THING, Label.CARRIED)), rim) < 0.05


def test_the_blurred_outline_of_a_fast_movement_is_not_carried_though_a_hand_touches_it() -> None:
    def moving(x: float) -> Shot:
        shot = shot_at(x, wall())
        blur = cv2.dilate(shot.subject_mask.astype(np.uint8), np.ones((9, 9))).astype(np.bool_) & ~shot.subject_mask
        blur[:, : round(x)] = False
        picture = shot.picture.copy()
        picture[blur] = (240, 240, 120)
        return replace(shot, picture=picture, subject_mask=shot.subject_mask | blur)

    shots = [moving(x) for x in PATH[::3]]
    row = learned(shots)
    for shot in shots:
        outline = (shot.picture == (240, 240, 120)).all(axis=-1)
        assert share(labeled(shot, row) == Label.SUBJECT, outline) > 0.95


def test_unseen_colors_are_no_evidence() -> None:
    empty = density(np.zeros(NUM_BINS))
    row = SceneRow(density(np.zeros((NUM_PARTS, NUM_BINS))), empty, empty, 0.0, NOTHING, NOTHING)
    shot = shot_at(150, wall())
    assert share(labeled(shot, row) == Label.SUBJECT, shot.subject_mask) == 1.0


def test_a_thin_pole_in_front_of_the_subject_stays_in_front() -> None:
    plate, pole = with_post(9)
    shots = [shot_at(x, plate, pole) for x in PATH]
    row = learned(shots)
    for shot in shots:
        behind = man_at(shot.x)[0] & pole
        if behind.sum() > 100:
            assert share(labeled(shot, row) == Label.FRONT, behind) > 0.7


def test_a_torso_wider_than_the_mask_is_no_evidence_of_an_occluder() -> None:
    shot = shot_at(150, wall())
    slim = cv2.erode(shot.subject_mask.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    picture = np.where(slim[..., None], shot.picture, shot.plate)
    front = learned([replace(shot, picture=picture, subject_mask=slim)] * 12).front
    assert not front[72:108, 132:168].any()
