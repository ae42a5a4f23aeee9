"""Masks of a frame: pixels that are not the subject's are kept."""

from __future__ import annotations

import numpy as np

from pipeline.finish.scene_masks import SceneMasks
from pipeline.scene.layers import Label


def made() -> tuple[SceneMasks, np.ndarray]:
    subject, others = np.zeros((20, 30), np.bool_), np.zeros((20, 30), np.bool_)
    subject[4:16, 4:20] = True
    others[8:20, 15:28] = True
    labels = np.where(others, np.uint8(Label.OTHERS), np.uint8(Label.NOBODY))
    labels[subject] = Label.SUBJECT
    return SceneMasks(subject, others & ~subject, labels), others


def test_where_the_subject_was_not_found_others_keep_all_their_pixels() -> None:
    masks, others = made()
    given_back = masks.behind_others(others)
    assert (masks.subject & others).any() and not (given_back.subject & others).any()
    assert given_back.kept[others].all()
    assert given_back.labels is not None and (given_back.labels[others] == Label.OTHERS).all()
    np.testing.assert_array_equal(given_back.subject, masks.subject & ~others)
