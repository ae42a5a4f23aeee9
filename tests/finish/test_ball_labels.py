"""Known balls are written into a frame's labels."""

from __future__ import annotations

import numpy as np

from pipeline.finish.scene_masks import label_balls, label_shoes
from pipeline.scene.balls import Balls
from pipeline.scene.layers import Label
from tests.support.scene_truth import SHAPE, shot_at, wall


def test_a_ball_stays_whole_in_front_of_the_subject_and_behind_a_post() -> None:
    labels = np.full((60, 80), Label.SUBJECT, np.uint8)
    labels[:, 40:50] = Label.FRONT
    label_balls(labels, Balls(np.array([3]), np.array([[40.0, 30.0, 8.0]])), 3, (10, 10, 70, 55))
    rows, columns = np.indices(labels.shape)
    disc = (columns - 40) ** 2 + (rows - 30) ** 2 <= 8**2
    post = (columns >= 40) & (columns < 50)
    assert (labels[disc & ~post] == Label.THING).all()
    assert (labels[post] == Label.FRONT).all()
    assert (labels[~disc & ~post] == Label.THING).sum() < 40


def test_in_other_frames_the_labels_are_the_same() -> None:
    labels = np.full((60, 80), Label.SUBJECT, np.uint8)
    label_balls(labels, Balls(np.array([3]), np.array([[40.0, 30.0, 8.0]])), 4, (10, 10, 70, 55))
    assert (labels == Label.SUBJECT).all()


def test_a_white_shoe_beside_a_known_ball_is_the_subjects() -> None:
    labels = np.full(SHAPE, Label.THING, np.uint8)
    label_shoes(labels, shot_at(150, wall()).sample())
    assert labels[224, 170] == Label.SUBJECT
    assert labels[60, 150] == Label.THING
