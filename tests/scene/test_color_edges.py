"""The edge between the subject and what stays lies where the colors change, not where the labels were smoothed to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.scene.color_edges import settle_edges
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
