"""A body of another shape than the capsules, or limbs that leave the picture, make no background an occluder."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.joints import JOINT
from pipeline.scene.body import HEAD, body_of
from pipeline.scene.colors import density
from pipeline.scene.covered import blending, covered
from pipeline.scene.layers import Label
from pipeline.scene.occluders import Evidence, PlateEvidence
from pipeline.scene.samples import likeness, sample_of, subject_counts
from pipeline.scene.views import view_of
from tests.support.scene_labels import PATH, labeled, learned, share
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot, shot_at, skeleton_at, wall

_PLACES = np.dstack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0]))).astype(np.float32)
_STANDING = [float(x) for x in np.tile([149.0, 150.0, 151.0, 150.0], 5)]
_WALKING = [float(x) for x in range(110, 200, 5)]


def _front(shots: list[Shot]) -> Mask:
    evidence = PlateEvidence(SHAPE[::-1], HEIGHT_PX)
    samples = [shot.sample() for shot in shots]
    colors = density(sum(subject_counts(sample) for sample in samples))
    for sample in samples:
        evidence.add(_PLACES, Evidence.of(sample, likeness(sample, colors)))
    return evidence.front(shots[0].plate)


def _region(x0: int, x1: int, y0: int, y1: int) -> Mask:
    region = np.zeros(SHAPE, np.bool_)
    region[y0:y1, x0:x1] = True
    return region


def test_background_beside_narrow_shoulders_is_not_in_front_of_who_stands() -> None:
    plate = wall()
    # Where the capsules expect the ends of the shoulders, the plate shows: 18 by 20 px on each side.
    shots = [shot_at(x, plate, _region(int(x) + 12, int(x) + 30, 52, 72)) for x in _STANDING]
    assert not _front(shots).any()


def test_a_small_object_is_in_front_of_who_walks_behind_it() -> None:
    plate = wall()
    sign = _region(140, 160, 60, 80)
    plate[sign] = (20, 40, 30)
    front = _front([shot_at(x, plate, sign) for x in _WALKING])
    assert (front & sign).sum() > 0.8 * sign.sum()


def test_a_wide_object_is_in_front_of_who_stands_behind_it() -> None:
    plate = wall()
    hedge = _region(80, 220, 140, 260)
    plate[hedge] = (20, 60, 30)
    front = _front([shot_at(x, plate, hedge) for x in _STANDING])
    legs = _region(135, 165, 150, 210)
    assert (front & legs).sum() > 0.8 * legs.sum()


def test_background_beside_a_bone_is_not_in_front_but_what_hides_the_bone_is() -> None:
    plate = wall()
    whole = shot_at(150.0, plate).sample()
    head = whole.distances[HEAD] < 0
    rows, columns = np.indices(SHAPE)
    # Between jaw and shoulders, and a bar across the neck.
    lower = head & (rows >= 42) & (rows < 58)
    beside = lower & (np.abs(columns - 150) > 4)
    # A shoulder that slopes beneath the joints, which were located at its upper edge.
    above = (whole.outside < 0) & (rows < 63) & (columns > 160)
    found = []
    for hidden in (beside, above, lower):
        sample = shot_at(150.0, plate, hidden).sample()
        found.append(int(covered(sample, likeness(sample, density(subject_counts(sample)))).sum()))
    assert found[:2] == [0, 0] and found[2] > 0.4 * lower.sum()


def _at_night(x: float, before: Mask) -> Shot:
    """Return a man in gray before a dark shutter with noise, behind what is ``before`` him."""
    rows = np.broadcast_to(np.arange(SHAPE[0])[:, None], SHAPE)
    clean = np.where(rows % 12 < 4, 52, 36).astype(np.float64)
    clean = np.where(before, 90.0, clean)
    rng = np.random.default_rng(int(x))
    plate = (clean[..., None] + rng.normal(0, 1.5, (*SHAPE, 3))).clip(0, 255).astype(np.uint8)
    shot = shot_at(x, plate, before)
    man = (40 + 5 * np.sin(np.arange(SHAPE[0]) / 9))[:, None, None] + rng.normal(0, 6, (*SHAPE, 3))
    seen = np.where(shot.subject_mask[..., None], man, clean[..., None] + rng.normal(0, 6, (*SHAPE, 3)))
    return replace(shot, picture=seen.clip(0, 255).astype(np.uint8))


def test_who_blends_in_with_the_background_at_night_is_not_behind_it() -> None:
    nothing = np.zeros(SHAPE, np.bool_)
    front = _front([_at_night(x, nothing) for x in _WALKING])
    body = _region(135, 165, 40, 210)
    assert not (front & body).any()


def test_an_object_in_the_subjects_colors_before_half_of_them_is_no_darkness() -> None:
    part = np.repeat(np.arange(6), 100).reshape(6, 100)
    core = np.ones(part.shape, np.bool_)
    everywhere = np.indices(part.shape)[1] % 4 == 0
    assert blending(core, everywhere, part) == 1
    assert blending(core, part < 3, part) == 0
    assert blending(core & (part > 9), everywhere, part) == 0


def test_a_lit_object_is_in_front_of_who_blends_in_at_night() -> None:
    sign = _region(140, 160, 60, 90)
    front = _front([_at_night(x, sign) for x in _WALKING])
    assert (front & sign).sum() > 0.8 * sign.sum()


def test_a_limb_that_leaves_the_picture_is_no_evidence() -> None:
    """The forearm is a guess: its wrist lies below the picture's edge."""
    skeleton = skeleton_at(150.0)
    skeleton[JOINT["left_wrist"], :2] = 196.0, SHAPE[0] + 30.0
    skeleton[JOINT["left_hand"]] = np.nan
    shot = shot_at(150.0, wall())
    mask = shot.subject_mask & (np.arange(SHAPE[1]) < 178)
    picture = np.where(mask[..., None], shot.picture, shot.plate)
    everywhere = np.ones(SHAPE, np.bool_)
    view = view_of((0, 0, SHAPE[1], SHAPE[0]), picture, shot.plate, everywhere, HEIGHT_PX)
    found = []
    for size_wh in (None, SHAPE[::-1]):
        body = body_of(skeleton, HEIGHT_PX, (0.0, 0.0), 1.0, size_wh)
        sample = sample_of(view, body, mask, shot.others_mask, 1.0)
        found.append(covered(sample, likeness(sample, density(subject_counts(sample)))).sum())
    assert found[0] > 300 and found[1] < 0.2 * found[0]


def test_a_halo_along_the_arms_is_not_carried_with_an_object_that_it_touches() -> None:
    """Fast movement in front of a bright wall: a halo wider than a blurred edge, connected to a piece of something."""
    shots = []
    halos = []
    for x in PATH[::3]:
        shot = shot_at(x, wall())
        wider = cv2.dilate(shot.subject_mask.view(np.uint8), np.ones((1, 13), np.uint8)) > 0
        halo = wider & ~shot.subject_mask & _region(0, SHAPE[1], 70, 118)
        piece = _region(int(x) + 46, int(x) + 78, 86, 114) & ~shot.subject_mask
        picture = shot.picture.copy()
        picture[halo | piece] = (240, 240, 120)
        shots.append(replace(shot, picture=picture))
        halos.append(halo & ~piece)
    row = learned(shots)
    objects = [np.isin(labeled(shot, row), (Label.THING, Label.CARRIED)) for shot in shots]
    kept = sum(int((found & halo).sum()) for found, halo in zip(objects, halos, strict=True))
    assert kept < 0.5 * sum(int(halo.sum()) for halo in halos)


def test_a_shadow_under_the_sole_in_the_color_of_the_shoes_is_the_grounds() -> None:
    ground = wall()
    # Shaded, it has the color of the shoes.
    ground[200:] = (255, 133, 53)
    shots = [shot_at(x, ground) for x in PATH[::3][:8]]
    row = learned(shots)
    for shot in shots:
        sole = shot.subject_mask.copy()
        sole[:224] = False
        shaded = np.where(sole[..., None], (0.76 * ground).astype(np.uint8), shot.picture)
        labels = labeled(replace(shot, picture=shaded, subject_mask=shot.subject_mask & ~sole), row)
        assert share(labels == Label.SUBJECT, sole) < 0.2
        assert share(labels == Label.SUBJECT, shot.subject_mask & ~sole) > 0.97
