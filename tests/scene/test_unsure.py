"""In a fast pan the plate does not show what the blurred frame shows: the difference is no object."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.held_places import NUM_ANCHORS, NUM_CELLS
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.samples import Sample
from pipeline.scene.scene_model import SceneRow
from pipeline.scene.unsure import with_unsure_plate
from tests.support.scene_labels import PATH, learned, share
from tests.support.scene_truth import SHAPE, Mask, Picture, Shot, disc, man_at, shot_at, wall

BAG = (210, 190, 20)
_SIGN = slice(70, 160), slice(200, 260)


def street() -> Picture:
    """A wall with a large sign in the color of the bag, and black windows."""
    plate = wall()
    plate[_SIGN] = BAG
    plate[20:120, 10:60] = 10
    return plate


def with_bag(x: float) -> tuple[Shot, Mask]:
    shot = shot_at(x, street())
    bag = disc(x + 60, 140, 16)
    picture = shot.picture.copy()
    picture[bag] = BAG
    return replace(shot, picture=picture, subject_mask=shot.subject_mask & ~bag), bag


def panned(x: float) -> Shot:
    """The frame of a fast pan, blurred across; the plate is registered to a place beside it."""
    shot, _ = with_bag(x)
    blurred = np.asarray(cv2.blur(shot.picture, (25, 1)), np.uint8)
    return replace(shot, picture=blurred, plate=np.roll(street(), 9, axis=1))


def _labels(sample: Sample, row: SceneRow) -> np.ndarray:
    return labels_of(sample, row, (row.front, row.wrong), True)


def test_only_frames_that_their_plate_does_not_explain_are_unsure() -> None:
    shot, _ = with_bag(120)
    assert not with_unsure_plate(shot.sample()).is_unsure
    assert with_unsure_plate(panned(120).sample()).is_unsure
    # Nothing can be compared.
    assert with_unsure_plate(shot.sample(seen=np.zeros(SHAPE, np.bool_))).is_unsure


def test_background_is_no_object_in_a_fast_pan() -> None:
    row = learned([with_bag(x)[0] for x in PATH[::2]])
    sample = panned(150).sample()
    beside = ~man_at(150)[0] & ~with_bag(150)[1]
    kept = (Label.CARRIED, Label.THING)
    assert np.isin(_labels(sample, row), kept)[beside].sum() > 300
    unsure = with_unsure_plate(sample)
    assert not np.isin(_labels(unsure, row), kept)[beside].any()


def test_what_is_always_at_its_place_is_kept_in_a_fast_pan() -> None:
    row = learned([with_bag(x)[0] for x in PATH[::2]])
    row = replace(row, held=np.ones((NUM_ANCHORS, NUM_CELLS, NUM_CELLS), np.float32))
    shot, bag = with_bag(100)
    sample = replace(shot.sample(), is_unsure=True)
    assert share(_labels(sample, row) == Label.CARRIED, bag) > 0.9
