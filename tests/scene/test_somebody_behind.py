"""Somebody behind the subject without a mask of their own is not taken for a part that the subject's mask misses."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.colors import NUM_BINS, density
from pipeline.scene.edges import blurred_outline
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.mixed_edges import mixed_edges
from pipeline.scene.samples import others_counts, subject_counts
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_labels import NOTHING, PATH, learned, share
from tests.support.scene_truth import SHAPE, Mask, Shot, disc, man_at, shot_at, wall

SHIRT = (60, 70, 120)


def region(left: int, right: int, top: int, bottom: int) -> Mask:
    mask = NOTHING.copy()
    mask[top:bottom, left:right] = True
    return mask


def shown_behind(other: Mask) -> tuple[Shot, Mask]:
    """Return the subject with somebody in a like shirt behind them, and what is seen of that person."""
    shot = shot_at(150, wall())
    visible = other & ~shot.subject_mask
    picture = shot.picture.copy()
    picture[visible] = SHIRT
    return replace(shot, picture=picture), visible


def taken(shot: Shot) -> Mask:
    empty = density(np.zeros(NUM_BINS))
    own = density(subject_counts(shot_at(150, wall()).sample()))
    row = SceneRow(own, empty, empty, 0.0, NOTHING, NOTHING)
    return np.asarray(labels_of(shot.sample(), row, (NOTHING, NOTHING), True) == Label.SUBJECT)


def test_what_extends_out_of_reach_in_the_subjects_colors_is_no_missed_limb() -> None:
    shot, other = shown_behind(region(150, 235, 62, 90))
    assert share(taken(shot), other) < 0.15
    # A part of the same color that ends beside them is one.
    shot, sleeve = shown_behind(region(150, 190, 62, 90))
    assert share(taken(shot), sleeve) > 0.7


def test_a_wide_blob_beside_a_blurred_outline_is_somebody_where_others_may_be() -> None:
    shot = shot_at(150, wall())
    around = cv2.dilate(man_at(150)[0].view(np.uint8), np.ones((9, 9), np.uint8)) > 0
    rim = around & ~shot.subject_mask
    head = disc(190, 70, 14) & ~shot.subject_mask
    unexplained = rim | head
    everywhere = np.ones(SHAPE, np.bool_)
    alone = blurred_outline(shot.sample(), unexplained, NOTHING, NOTHING)
    meeting = blurred_outline(shot.sample(), unexplained, NOTHING, everywhere)
    assert share(alone, head) > 0.95
    assert share(meeting, head) < 0.05
    away = rim & ~(cv2.dilate(head.view(np.uint8), np.ones((31, 31), np.uint8)) > 0)
    assert share(meeting, away) > 0.95


def test_what_is_wide_beside_the_mask_is_no_mixture_though_its_colors_lie_between() -> None:
    shot = shot_at(150, wall())
    widths = []
    for width in (6, 20):
        beside = region(170, 170 + width, 150, 200) & ~shot.subject_mask
        picture = shot.picture.copy()
        picture[beside] = (picture[beside].astype(np.float32) * 0.5 + np.array(SHIRT) * 0.5).astype(np.uint8)
        sample = replace(shot, picture=picture).sample()
        widths.append(share(mixed_edges(beside, shot.subject_mask, sample), beside))
    narrow, wide = widths
    assert narrow > 0.5
    assert wide < 0.1


def test_skin_beside_the_clothes_of_somebody_without_a_mask_is_theirs() -> None:
    shot = shot_at(150, wall())
    coat, arm = region(200, 246, 86, 200), region(176, 197, 136, 150) & ~shot.subject_mask
    picture = shot.picture.copy()
    picture[coat], picture[arm] = (40, 150, 60), (120, 80, 60)
    shot = replace(shot, picture=picture)
    # What is known of them from other frames.
    others = density(others_counts(replace(shot, others_mask=coat | arm).sample()))
    row = replace(learned([shot_at(x, wall()) for x in PATH[::3]]), others=others)
    alone, meeting = (labels_of(shot.sample(), row, (NOTHING, NOTHING), True, may_meet=meet) for meet in (False, True))
    assert share(alone == Label.SUBJECT, arm) > 0.9
    assert share(meeting == Label.OTHERS, arm) > 0.8
    assert share(meeting == Label.SUBJECT, shot.subject_mask) > 0.98
