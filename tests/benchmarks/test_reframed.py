"""Crops with ground truth, and the figures of half bodies and edits, on pictures made here."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.edits import told_frames
from benchmarks.half_bodies import placed_figures
from benchmarks.reframed import Reframed, crop, mirror
from pipeline.maths.geometry import apply_transform


def test_a_crop_shows_its_center_and_stays_in_the_picture() -> None:
    matrix = crop(np.array([300.0, 200.0]), 180.0, (640, 360), (640, 360))
    assert apply_transform(matrix, np.array([[300.0, 200.0]])) == pytest.approx(np.array([[319.0, 179.0]]), abs=1.1)
    corner = crop(np.array([0.0, 0.0]), 180.0, (360, 640), (640, 360))
    assert apply_transform(corner, np.array([[0.0, 0.0]])) == pytest.approx(np.zeros((1, 2)), abs=1e-9)
    assert apply_transform(mirror((640, 360)), np.array([[10.0, 20.0]])).tolist() == [[629.0, 20.0]]


def test_distance_jump_and_missing_frames_are_counted() -> None:
    count = 20
    true = np.tile(np.arange(34.0).reshape(17, 2) * 10, (count, 1, 1))
    inside = np.ones((count, 17), np.bool_)
    masks = np.ones((count, 20, 20), np.bool_)
    clip = Reframed.__new__(Reframed)
    values = {"masks": masks, "keypoints": true, "inside": inside, "body_height_px": np.full(count, 100.0)}
    for name, value in values.items():
        object.__setattr__(clip, name, value)
    placed = np.dstack([true, np.ones((count, 17))])
    placed[10:, :, 0] += 8.0
    placed[19] = np.nan
    found = placed_figures(placed, clip)
    assert found.near_share == pytest.approx(10 / 20)
    assert (found.worst_frame, found.jump_max) == pytest.approx((8.0, 8.0))
    assert found.missing == 1


def test_frames_are_told_by_the_times_of_warnings_about_the_original_person() -> None:
    warnings = ("the subject was not seen from 1.0 to 2.0 s: those frames are untouched", "shadows from 3.0 to 4.0 s")
    told = told_frames(warnings, 150, 30.0)
    assert told[30:60].all()
    assert not told[:25].any() and not told[70:].any()
