"""Masks of two people who touch: the subject's limbs stay theirs, and somebody in like clothes stays somebody else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.layers import Label
from pipeline.scene.occluders import Evidence
from pipeline.scene.samples import Sample, eroded, without_background
from pipeline.scene.touching import edges_of_others, own_under_others, without_small_holes
from pipeline.scene.unfound import with_unfound
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot, disc, man_at, shot_at, wall

ALIKE = np.ones(SHAPE, np.bool_)
MAN_COLORS = learned([shot_at(x, wall()) for x in PATH]).subject


def grown(mask: Mask, px: int) -> Mask:
    return cv2.dilate(mask.view(np.uint8), np.ones((2 * px + 1, 2 * px + 1), np.uint8)) > 0


def beneath(others_mask: Mask) -> Sample:
    """Return the man under somebody's mask, without a mask of his own there."""
    shot = shot_at(150, wall())
    return replace(shot, subject_mask=shot.subject_mask & ~others_mask, others_mask=others_mask).sample()


def own(sample: Sample, odds: float) -> Mask:
    return own_under_others(sample, np.full(SHAPE, -np.log(odds), np.float32), ALIKE)


def test_the_middle_of_a_limb_is_the_subjects_and_the_edge_in_like_clothes_is_not() -> None:
    somebody = NOTHING.copy()
    somebody[130:210, 100:220] = True
    sample = beneath(somebody)
    man = man_at(150)[0] & somebody
    inner, deep = man & (sample.outside < -0.012), eroded(somebody, 6)
    found = own(sample, 3.0)
    assert share(found, inner) == 1.0
    edge = deep & (sample.outside > -0.009) & (sample.outside < 0.02)
    assert not (found & edge).any()
    # Colors as likely theirs decide nothing.
    assert not (own(sample, 1.5) & somebody).any()


def test_a_spilled_mask_takes_nothing_of_the_subject() -> None:
    man = man_at(150)[0]
    somebody = grown(man, 3) & ~eroded(man, 3)
    sample = beneath(somebody)
    assert share(own(sample, 3.0), somebody & man) > 0.9
    assert not (own(sample, 3.0) & ~man & (sample.outside > 0.004)).any()
    assert share(own(sample, 8.0), somebody & (sample.outside < 0.01)) > 0.9


def test_hair_beside_the_shoulder_is_no_spill_where_the_subject_has_a_mask() -> None:
    sample = beneath(NOTHING)
    hair = disc(150, 60, 70) & (sample.outside > 0.004) & (sample.outside < 0.03) & ~man_at(150)[0]
    sample = replace(shot_at(150, wall()), others_mask=hair).sample()
    away = hair & (sample.outside > 0.015)
    assert share(own(sample, 8.0), away) == 0.0
    # The puffed sleeve that a mask misses is in a color never seen on them.
    assert share(own(sample, 50.0), away) > 0.9


def test_a_dark_fold_of_a_coat_before_the_subject_is_the_coats() -> None:
    """It has the colors of the subject's trousers, and the mask of the subject runs on under the coat."""
    coat = NOTHING.copy()
    coat[60:200, 100:220] = True
    fold, trousers = NOTHING.copy(), NOTHING.copy()
    fold[118:124, 120:200] = True
    trousers[140:190, 120:180] = True
    sample = replace(shot_at(150, wall()), others_mask=coat).sample()
    for part, log_odds, is_own in ((fold, -1.1, False), (trousers, -1.1, True), (fold, -2.0, True)):
        odds = np.where(part, log_odds, 1.5).astype(np.float32)
        found = share(own_under_others(sample, odds, odds < 0), part & sample.subject_mask)
        assert found > 0.9 if is_own else found == 0.0


def test_small_holes_in_somebody_are_theirs_and_large_ones_are_not() -> None:
    small, large = disc(110, 130, 4), disc(190, 130, 20)
    people = NOTHING.copy()
    people[80:180, 80:230] = True
    filled = without_small_holes(people & ~small & ~large, HEIGHT_PX)
    assert share(filled, small) == 1.0
    assert not (filled & large).any()


def walker_behind() -> tuple[Shot, Mask]:
    """Return the man with somebody without a mask beside him, in his own colors, and what is seen of them."""
    shot = shot_at(150, wall())
    somebody = NOTHING.copy()
    somebody[40:224, 180:214] = True
    visible = somebody & ~shot.subject_mask
    picture = shot.picture.copy()
    picture[visible] = (60, 70, 120)
    return replace(shot, picture=picture), visible


def test_who_is_not_found_has_what_differs_from_the_plate_about_there() -> None:
    shot, visible = walker_behind()
    expected = np.roll(visible, 6, axis=1)
    sample = with_unfound(shot.sample(), expected)
    beside = visible & ~grown(shot.subject_mask, 4) & (shot.sample().outside > 0)
    assert share(sample.others_mask, beside) > 0.97
    # Neither the background nor the subject.
    assert not (sample.others_mask & (shot.subject_mask | ~grown(visible, 2))).any()
    assert not with_unfound(shot_at(150, wall()).sample(), expected).others_mask.any()


def test_who_is_hidden_by_somebody_tells_of_no_object_in_front() -> None:
    plate = wall()
    gone = Shot(150, plate, plate, NOTHING, NOTHING)
    unlikely = np.zeros(SHAPE, np.float32)
    assert Evidence.of_hidden(gone.sample(), unlikely).covered.any()
    passer = NOTHING.copy()
    passer[90:, 120:190] = True
    assert not Evidence.of_hidden(replace(gone, others_mask=passer).sample(), unlikely).covered.any()
    beside = NOTHING.copy()
    beside[90:, 220:290] = True
    assert Evidence.of_hidden(replace(gone, others_mask=beside).sample(), unlikely).covered.any()


def test_the_edge_of_somebody_whose_mask_is_too_tight_is_theirs() -> None:
    shot, visible = walker_behind()
    picture = shot.picture.copy()
    picture[visible] = (30, 150, 90)
    tight = eroded(visible, 4)
    shot = replace(shot, picture=picture, others_mask=tight)
    edge = visible & ~tight & ~grown(shot.subject_mask, 6)
    nobody = ~shot.subject_mask & ~tight
    found = edges_of_others(tight, shot.subject_mask, nobody, shot.sample())
    assert share(found, edge) > 0.9
    assert not (found & ~grown(visible, 1)).any()
    # What is nearer to the subject is not theirs.
    assert not (found & grown(shot.subject_mask, 1)).any()
    labels = labeled(shot, learned([shot_at(x, wall()) for x in PATH]))
    assert share(labels == Label.OTHERS, edge) > 0.9
    assert share(labels == Label.SUBJECT, shot.subject_mask) > 0.99


def test_a_mask_from_another_frame_has_no_background_in_it() -> None:
    shot = shot_at(150, wall())
    moved = grown(np.roll(shot.subject_mask, 10, axis=1), 4)
    given = without_background(replace(shot, subject_mask=moved).sample(), MAN_COLORS).subject_mask
    assert share(given, moved & eroded(shot.subject_mask, 1)) > 0.98
    assert not (given & ~grown(shot.subject_mask, 4)).any()


def test_a_mask_from_another_frame_has_neither_the_edge_of_an_occluder_nor_speckles_in_it() -> None:
    shot = shot_at(150, wall())
    post = NOTHING.copy()
    post[:, 180:200] = True
    uneven = NOTHING.copy()
    uneven[20:240, 204:228] = True
    speckles = uneven & (np.random.default_rng(2).random(SHAPE) < 0.12)
    picture = shot.picture.copy()
    # A plate that is registered to the background does not fit what stands nearer.
    picture[post] = (90, 100, 20)
    picture[speckles] = (0.6 * picture[speckles] + 0.4 * shot.picture[120, 150]).astype(np.uint8)
    moved = grown(np.roll(shot.subject_mask, 30, axis=1), 6)
    given = without_background(replace(shot, picture=picture, subject_mask=moved).sample(), MAN_COLORS).subject_mask
    assert (moved & post).sum() > 500
    assert not (given & eroded(post, 1)).any()
    assert share(given, moved & uneven & ~grown(shot.subject_mask, 4)) < 0.15
    assert share(given, moved & eroded(shot.subject_mask, 1) & ~grown(post, 2)) > 0.97
