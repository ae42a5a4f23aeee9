"""Narrow things, things nearer than the plate is registered for, and people who are mostly hidden stay whole."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.scene.colors import NUM_BINS, counted, density
from pipeline.scene.front_edges import front_to_edges
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.narrow import narrow_lines, opened_by_lines
from pipeline.scene.occluders import Evidence, PlateEvidence
from pipeline.scene.samples import likeness, subject_counts
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot, man_at, shot_at, wall

NOTHING = np.zeros(SHAPE, np.bool_)
PATH = np.arange(60, 240, 9)
TROUSERS = (72, 72, 82)
POST = (50, 64, 53)


def railing() -> tuple[np.ndarray, Mask]:
    """Return a place with a railing, its bars 3 px wide and in a darker gray than trousers."""
    plate, bars = wall(), NOTHING.copy()
    bars[130:235, 20:280:22] = bars[130:235, 21:280:22] = bars[130:235, 22:280:22] = True
    bars[128:133, 20:280] = True
    plate[bars] = TROUSERS
    plate[bars] -= 36
    return plate, bars


def front_of(shots: list[Shot], plate: np.ndarray) -> Mask:
    """Return what a static camera learns to be in front, in the frame's own pixels."""
    evidence = PlateEvidence(SHAPE[::-1], HEIGHT_PX)
    places = np.dstack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))).astype(np.float32)
    samples = [shot.sample() for shot in shots]
    colors = density(sum(subject_counts(sample) for sample in samples))
    for sample in samples:
        evidence.add(places, Evidence.of(sample, likeness(sample, colors)))
    assert evidence.bin_px == 1.0
    return evidence.front(plate)


def test_the_bars_of_a_railing_are_in_front_though_narrow() -> None:
    plate, bars = railing()
    shots = [shot_at(x, plate, bars) for x in PATH]
    front = front_of(shots, plate)
    legs = NOTHING.copy()
    legs[140:205, 70:230] = True
    assert (front & bars & legs).sum() > 0.8 * (bars & legs).sum()
    assert (front & ~bars & legs).sum() < 0.12 * legs.sum()


def test_bars_that_he_walks_before_are_background() -> None:
    plate, _ = railing()
    assert not front_of([shot_at(x, plate) for x in PATH], plate).any()


def test_a_line_needs_length_and_both_its_sides() -> None:
    plate, bars = railing()
    lines = narrow_lines(plate, HEIGHT_PX)
    assert (lines & bars).sum() > 0.7 * bars.sum()
    smooth = np.full((*SHAPE, 3), 90, np.uint8)
    smooth[:, 150:] = 30
    assert not narrow_lines(smooth, HEIGHT_PX).any()
    smooth[100:104, 60:64] = 200
    assert not narrow_lines(smooth, HEIGHT_PX).any()


def test_a_speckle_is_not_a_line_and_a_hair_of_seven_pixels_is() -> None:
    mask = NOTHING.copy()
    mask[10, 10:15] = True
    assert not opened_by_lines(mask).any()
    mask[10, 10:17] = True
    assert opened_by_lines(mask).sum() == 7


def near_post(shift_px: int) -> tuple[Shot, Mask, Mask]:
    """Return a frame with a post whose place in the plate is ``shift_px`` beside, the post, and where both agree."""
    plate, post = wall(), NOTHING.copy()
    post[20:245, 146:166] = True
    plate[np.roll(post, shift_px, axis=1)] = POST
    shot = shot_at(152, wall(), post)
    picture = shot.picture.copy()
    picture[post] = POST
    return replace(shot, picture=picture, plate=plate), post, post & np.roll(post, shift_px, axis=1)


def labels_with_front(shot: Shot, front: Mask) -> np.ndarray:
    empty = density(np.zeros(NUM_BINS))
    own = density(subject_counts(shot_at(152, wall()).sample()))
    return labels_of(shot.sample(), SceneRow(own, empty, empty, 0.0, front, NOTHING), (front, NOTHING), True)


def test_a_post_nearer_than_the_background_is_in_front_in_its_whole_width() -> None:
    shot, post, matched = near_post(8)
    # The mask runs over the post.
    labels = labels_with_front(replace(shot, subject_mask=man_at(shot.x)[0]), matched)
    hides = post & man_at(shot.x)[0]
    assert (labels[hides] != Label.SUBJECT).mean() > 0.93
    visible = shot.subject_mask
    assert (labels[visible] == Label.SUBJECT).mean() > 0.97


def test_nothing_grows_where_nothing_is_in_front() -> None:
    shot = shot_at(152, wall())
    subject = shot.subject_mask
    assert not front_to_edges(NOTHING, subject, ~subject, NOTHING, shot.sample()).any()


def test_a_sliver_of_somebody_behind_is_theirs_though_their_mask_is_lost() -> None:
    shot = shot_at(150, wall())
    wider = cv2.dilate(shot.subject_mask.view(np.uint8), np.ones((1, 17), np.uint8)) > 0
    sliver = wider & ~shot.subject_mask
    sliver[:, 150:] = False
    sliver[:60] = False
    picture = shot.picture.copy()
    picture[sliver] = (170, 30, 40)
    shot = replace(shot, picture=picture)
    sample = shot.sample()
    others = density(counted(sample.bins, sliver))
    own = density(subject_counts(shot_at(150, wall()).sample()))
    row = SceneRow(own, density(np.zeros(NUM_BINS)), others, 0.0, NOTHING, NOTHING)
    labels = labels_of(sample, row, (NOTHING, NOTHING), True, may_meet=True)
    assert (labels[sliver] == Label.OTHERS).mean() > 0.8
    assert (labels[shot.subject_mask] == Label.SUBJECT).mean() > 0.97


def test_a_planter_is_in_front_down_to_its_foot_though_no_limb_is_looked_for_there() -> None:
    plate, planter = wall(), NOTHING.copy()
    planter[165:246, 90:210] = True
    plate[planter] = (150, 130, 90)
    front = front_of([shot_at(x, plate, planter) for x in PATH], plate)
    foot = NOTHING.copy()
    foot[232:244, 130:170] = True
    assert front[foot].mean() > 0.9
    assert front[~planter].mean() < 0.01
