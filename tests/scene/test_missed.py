"""Parts that the subject's mask misses are found by their difference from the plate, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.colors import NUM_BINS, density
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.samples import subject_counts, without_background
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_truth import SHAPE, Mask, Shot, disc, man_at, shot_at, wall

NOTHING = np.zeros(SHAPE, np.bool_)
HAND = disc(199, 126, 7.5)
"""The left hand's capsule ends here."""


def row_of(shot: Shot) -> SceneRow:
    empty = density(np.zeros(NUM_BINS))
    return SceneRow(density(subject_counts(shot_at(150, wall()).sample())), empty, empty, 0.0, NOTHING, NOTHING)


def found(shot: Shot, seen: Mask | None = None) -> Mask:
    labels = labels_of(shot.sample(seen), row_of(shot), (NOTHING, NOTHING), True)
    return np.asarray((labels == Label.SUBJECT) & ~shot.subject_mask)


def without_hand() -> Shot:
    shot = shot_at(150, wall())
    return replace(shot, subject_mask=shot.subject_mask & ~HAND)


def widened(mask: Mask) -> Mask:
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))) > 0)


def test_a_hand_that_the_mask_lacks_is_found() -> None:
    added = found(without_hand())
    hand = HAND & man_at(150)[0]
    assert (added & hand).sum() >= 0.8 * hand.sum()
    assert not (added & ~widened(hand)).any()


def test_an_undetected_limb_is_the_subjects_by_its_color_where_it_is_connected() -> None:
    shot = shot_at(150, wall())
    arm = disc(182, 75, 8)
    picture = shot.picture.copy()
    picture[arm] = (61, 71, 122)
    added = found(replace(shot, picture=picture))
    beside = arm & ~shot.subject_mask
    assert (added & beside).sum() >= 0.8 * beside.sum()


def test_grain_and_a_plate_off_by_half_a_pixel_add_nothing() -> None:
    shot = shot_at(150, wall())
    matrix = np.array([[1, 0, 0.5], [0, 1, -0.4]])
    moved = cv2.warpAffine(shot.plate, matrix, SHAPE[::-1], borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(1).normal(0, 4, moved.shape)
    picture = np.where(shot.subject_mask[..., None], shot.picture, moved + grain).clip(0, 255).astype(np.uint8)
    assert not (found(replace(shot, picture=picture)) & ~widened(shot.subject_mask)).any()


def test_a_shadow_is_not_the_person() -> None:
    shot = shot_at(150, wall())
    ground = NOTHING.copy()
    ground[205:250, 120:230] = True
    ground &= ~widened(shot.subject_mask)
    picture = shot.picture.copy()
    picture[ground] = np.rint(shot.plate[ground] * 0.7).astype(np.uint8)
    assert not found(replace(shot, picture=picture)).any()


def test_an_object_beside_the_subject_is_not_part_of_them() -> None:
    shot = shot_at(150, wall())
    bag = disc(205, 150, 16)
    picture = shot.picture.copy()
    picture[bag] = (230, 40, 160)
    assert not found(replace(shot, picture=picture)).any()


def test_unknown_background_is_no_evidence() -> None:
    shot = shot_at(150, wall())
    arm = disc(182, 75, 8)
    picture = shot.picture.copy()
    picture[arm] = (61, 71, 122)
    assert not found(replace(shot, picture=picture), seen=~widened(widened(arm))).any()


def test_differences_apart_from_the_subject_are_ignored() -> None:
    shot = shot_at(150, wall())
    apart = disc(250, 90, 9)
    picture = shot.picture.copy()
    picture[apart] = (61, 71, 122)
    assert not found(replace(shot, picture=picture)).any()


def test_an_empty_frame_gets_no_label() -> None:
    shot = replace(shot_at(150, wall()), picture=wall(), subject_mask=NOTHING)
    assert not found(shot).any()


def test_arms_beside_what_hides_the_rest_are_found_though_somebody_else_stands_behind_them() -> None:
    post = NOTHING.copy()
    post[:, 122:178] = True
    place = wall()
    place[post] = 110
    shot = shot_at(150, place, before=post)
    somebody = NOTHING.copy()
    somebody[20:250, 178:222] = True
    somebody &= ~shot.subject_mask
    picture = shot.picture.copy()
    picture[somebody] = (170, 30, 40)
    arm = shot.subject_mask & (np.indices(SHAPE)[1] >= 178) & (np.indices(SHAPE)[0] < 135)
    # From another frame, at a wrong phase of the stride: body and arms are expected behind the post.
    moved = man_at(150)[0] & post
    row = row_of(shot)
    hidden = without_background(replace(shot, x=130, picture=picture, subject_mask=moved).sample(), row.subject)
    labels = labels_of(hidden, row, (post, NOTHING), True)
    assert (labels == Label.SUBJECT)[arm].mean() > 0.35
    assert (labels == Label.SUBJECT)[somebody].mean() < 0.05
    assert (labels == Label.FRONT)[moved].mean() > 0.9


def test_a_hood_on_the_far_side_of_a_post_is_found_though_the_mask_ends_before_the_post() -> None:
    post, hood = NOTHING.copy(), NOTHING.copy()
    post[:, 163:171] = True
    hood[24:44, 158:180] = True
    shot = shot_at(150, wall(), before=post)
    picture = shot.picture.copy()
    picture[hood & ~post] = (120, 80, 60)
    beyond = hood & (np.indices(SHAPE)[1] >= 171)
    shot = replace(shot, picture=picture, subject_mask=(shot.subject_mask | hood) & ~post & ~beyond)
    labels = labels_of(shot.sample(), row_of(shot), (post, NOTHING), True)
    assert (labels == Label.SUBJECT)[beyond].mean() > 0.8
    assert (labels == Label.FRONT)[post & hood].mean() > 0.9
