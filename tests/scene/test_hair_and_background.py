"""Hair is the subject's, and a background that moved a little is no object."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.displaced import displaced_background, folds_of_background
from pipeline.scene.layers import Label
from pipeline.scene.mixed_edges import mixed_edges
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import Mask, Shot, disc, man_at, shot_at, wall


def with_hair(x: float, bun_in_mask: bool) -> tuple[Shot, Mask]:
    """The man with more hair than fits the skull of an adult, and a bun at its side that the mask may miss."""
    shot = shot_at(x, wall())
    hair = (disc(x, 30, 26) & ~man_at(x)[0]) & ~disc(x, 62, 24)
    bun = disc(x + 40, 26, 14) & ~hair & ~man_at(x)[0]
    picture = shot.picture.copy()
    picture[hair | bun] = (95, 50, 20)
    mask = shot.subject_mask | hair | (bun & bun_in_mask)
    return replace(shot, picture=picture, subject_mask=mask), bun


def test_a_bun_that_the_mask_misses_is_not_carried() -> None:
    made = [with_hair(x, i % 3 > 0) for i, x in enumerate(PATH[::3])]
    row = learned([shot for shot, _ in made])
    for shot, bun in made:
        labels = labeled(shot, row)
        assert share(np.isin(labels, (Label.THING, Label.CARRIED, Label.OTHERS)), bun) < 0.1
        assert share(labels == Label.SUBJECT, shot.subject_mask) > 0.97


def test_a_sheet_that_moved_a_little_is_background_and_a_thing_on_it_is_not() -> None:
    shot = shot_at(150, wall())
    moved = cv2.warpAffine(shot.picture, np.array([[1.0, 0, 4], [0, 1, 3]]), shot.picture.shape[1::-1])
    place = NOTHING.copy()
    place[180:240, 220:280] = True
    thing = NOTHING.copy()
    thing[60:110, 220:260] = True
    picture = shot.picture.copy()
    picture[place] = moved[place]
    picture[thing] = (235, 200, 30)
    background = displaced_background(place | thing, replace(shot, picture=picture).sample())
    assert share(background, place) == 1.0
    assert not (background & thing).any()


def test_folds_of_a_sheet_are_background_and_a_thing_that_nobody_holds_is_not() -> None:
    plate = wall()
    plate[150:, 210:250:12] = (40, 40, 40)
    shot = shot_at(150, plate)
    folds = NOTHING.copy()
    folds[190:225, 215:245] = True
    moved = cv2.warpAffine(plate, np.array([[1.0, 0, 9], [0, 1, 5]]), plate.shape[1::-1])
    thing = disc(60, 120, 15) & ~shot.subject_mask
    picture = shot.picture.copy()
    picture[folds] = moved[folds]
    picture[thing] = (235, 200, 30)
    background = folds_of_background(folds | thing, replace(shot, picture=picture).sample())
    assert share(background, folds) == 1.0
    assert not (background & thing).any()


def blurred_edge(x: float) -> tuple[Shot, Mask]:
    """The man with a too tight mask, blurred to the left into the background."""
    shot = shot_at(x, wall())
    mask = cv2.erode(shot.subject_mask.view(np.uint8), np.ones((5, 5))) > 0
    blurred = cv2.blur(shot.picture, (15, 15))
    ring = (cv2.dilate(shot.subject_mask.view(np.uint8), np.ones((9, 9))) > 0) & ~mask
    picture = np.where(ring[..., None], blurred, shot.picture)
    return replace(shot, picture=picture, subject_mask=np.asarray(mask)), ring


def test_edges_that_mix_the_subject_with_the_background_are_no_objects() -> None:
    made = [blurred_edge(x) for x in PATH[::3]]
    row = learned([shot for shot, _ in made])
    for shot, ring in made:
        objects = np.isin(labeled(shot, row), (Label.THING, Label.CARRIED))
        assert share(objects, ring) < 0.02


def test_a_stick_that_leaves_the_outline_is_no_edge() -> None:
    shot = shot_at(150, wall())
    stick = NOTHING.copy()
    stick[118:123, 200:260] = True
    stick &= ~shot.subject_mask
    picture = shot.picture.copy()
    picture[stick] = (90, 110, 110)
    sample = replace(shot, picture=picture).sample()
    assert not mixed_edges(stick, sample.subject_mask, sample).any()
