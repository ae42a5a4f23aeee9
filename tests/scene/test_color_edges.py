"""The edge between the subject and what stays lies where the colors change, not where the labels were smoothed to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.scene.color_edges import others_beside, settle_edges
from pipeline.scene.layers import Label

SHAPE = (80, 90)
CLOTH = (60, 70, 120)
WOOD = (200, 160, 110)


def picture_of(thing: np.ndarray, *, cloth: tuple[int, int, int] = CLOTH) -> np.ndarray:
    """Return the thing before cloth, blurred as by a lens, with grain."""
    sharp = np.where(thing[..., None], WOOD, cloth).astype(np.float32)
    grain = np.random.default_rng(1).normal(0, 3, (*SHAPE, 3))
    return np.asarray((cv2.GaussianBlur(sharp, (0, 0), 0.7) + grain).clip(0, 255), np.uint8)


def stick(left: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, left : left + 5] = True
    return mask


def labels_with(thing: np.ndarray, label: Label) -> np.ndarray:
    return np.where(thing, np.uint8(label), np.uint8(Label.SUBJECT))


@pytest.mark.parametrize("label", [Label.CARRIED, Label.FRONT, Label.OTHERS])
@pytest.mark.parametrize("shift", [-2, -1, 0, 1, 2])
def test_a_label_beside_a_stick_is_moved_onto_it(label: Label, shift: int) -> None:
    truth = stick(40)
    settled = settle_edges(labels_with(stick(40 + shift), label), picture_of(truth), Label.SUBJECT)
    wrong = (settled == label) != truth
    assert wrong.mean() < 0.003
    assert np.isin(settled, (label, Label.SUBJECT)).all()


def test_a_rim_of_cloth_around_a_thing_is_the_subjects() -> None:
    truth = stick(40)
    wide = cv2.dilate(truth.view(np.uint8), np.ones((1, 5), np.uint8)) > 0
    settled = settle_edges(labels_with(wide, Label.CARRIED), picture_of(truth), Label.SUBJECT)
    assert ((settled == Label.CARRIED) & ~truth).sum() < 0.1 * (wide & ~truth).sum()


def test_where_both_sides_look_alike_labels_stay() -> None:
    labels = labels_with(stick(42), Label.OTHERS)
    settled = settle_edges(labels, picture_of(stick(40), cloth=WOOD), Label.SUBJECT)
    assert (settled != Label.SUBJECT).sum() <= (labels != Label.SUBJECT).sum()


def test_background_takes_no_part() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :40] = Label.CARRIED
    assert settle_edges(labels, picture_of(stick(40)), Label.SUBJECT) is labels


def tight(truth: np.ndarray, gap_px: int) -> np.ndarray:
    """Return labels of somebody whose mask ends inside their outline ``truth``."""
    kernel = np.ones((1, 2 * gap_px + 1), np.uint8)
    return labels_with(cv2.erode(truth.view(np.uint8), kernel) > 0, Label.OTHERS)


def broad() -> np.ndarray:
    mask = np.zeros(SHAPE, np.bool_)
    mask[:, 20:55] = True
    return mask


def beside(labels: np.ndarray, picture: np.ndarray, doubted: np.ndarray) -> np.ndarray:
    return others_beside(labels, doubted, picture, (Label.SUBJECT, Label.OTHERS), 300.0)


def test_the_edge_of_somebody_with_a_tight_mask_is_theirs() -> None:
    truth = broad()
    labels = tight(truth, 6)
    found = beside(labels, picture_of(truth), np.ones(SHAPE, np.bool_))
    lacking = truth & (labels == Label.SUBJECT)
    assert (found & lacking).sum() > 0.95 * lacking.sum()
    assert (found & ~truth).sum() < 0.05 * lacking.sum()


def test_clothes_in_the_subjects_own_colors_stay_the_subjects() -> None:
    truth = broad()
    assert not beside(tight(truth, 6), picture_of(truth), np.zeros(SHAPE, np.bool_)).any()


def test_a_fold_of_the_subjects_clothes_in_the_colors_of_others_is_not_theirs() -> None:
    truth = broad()
    fold = np.zeros(SHAPE, np.bool_)
    fold[20:40, 59:62] = True
    labels = labels_with(truth, Label.OTHERS)
    assert not (beside(labels, picture_of(truth | fold), np.ones(SHAPE, np.bool_)) & fold).any()
