"""Masks of a frame: pixels that are not the subject's are kept."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeline.finish.patch import Patch
from pipeline.finish.scene_masks import SceneMasks, leave_face, scene_masks
from pipeline.maths.uneven_light import LightField, Veil
from pipeline.scene.colors import bins_of
from pipeline.scene.layers import Label
from pipeline.scene.scene_model import SceneRow
from tests.support.scene_labels import NOTHING, PATH, learned, share
from tests.support.scene_truth import HEIGHT_PX, SHAPE, Mask, Shot, shot_at, skeleton_at, wall


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


def removed(
    shot: Shot,
    row: SceneRow,
    *,
    is_borrowed: bool = False,
    veil: Veil | None = None,
    front: Mask = NOTHING,
    near: Mask | None = None,
) -> np.ndarray:
    """Return (H, W) what is removed in a frame around whose plate ``row`` is known."""
    box = (0, 0, SHAPE[1], SHAPE[0])
    everywhere = np.ones(SHAPE, np.bool_)
    patch = Patch(box, shot.picture, shot.plate, everywhere, shot.subject_mask, shot.others_mask, HEIGHT_PX, veil)
    scene: Any = SimpleNamespace(
        gain=1.0,
        places_at=lambda at, positions: (front, NOTHING),
        near=SimpleNamespace(mask=lambda *rest: None if near is None else (near, near)),
        row=lambda at: row,
        may_meet=lambda frame: False,
        is_fast=np.zeros(1, np.bool_),
        shafts=SimpleNamespace(expected=lambda frame: ()),
        balls=SimpleNamespace(mask=lambda frame, box_xyxy: None),
    )
    plates: Any = SimpleNamespace(plate_rows=np.zeros((1, 2), np.int64), positions=lambda *rest: None)
    frame_inputs: Any = SimpleNamespace(
        frame=SimpleNamespace(index=0),
        subject_mask=shot.subject_mask,
        not_subject_mask=shot.others_mask,
        unfound_mask=None,
    )
    settings: Any = SimpleNamespace(complete_mask=True, carried="keep")
    skeleton = skeleton_at(shot.x)
    given = (scene, plates, frame_inputs, skeleton, patch, settings, lambda: shot.plate)
    return scene_masks(*given, is_borrowed=is_borrowed)[0].subject


def test_a_borrowed_mask_replaces_no_background() -> None:
    shot = shot_at(150, wall())
    row = learned([shot_at(x, wall()) for x in PATH])
    moved = np.roll(shot.subject_mask, 12, axis=1) | shot.subject_mask
    guessed = replace(shot, subject_mask=moved)
    background = moved & ~shot.subject_mask
    assert share(removed(guessed, row, is_borrowed=False), background) == 1.0
    assert share(removed(guessed, row, is_borrowed=True), background) < 0.15
    assert share(removed(guessed, row, is_borrowed=True), shot.subject_mask) > 0.99


def with_passer(x: float, columns: slice) -> tuple[Shot, Mask]:
    """Return the man with somebody in green in front, and where they are."""
    shot = shot_at(x, wall())
    passer = NOTHING.copy()
    passer[40:235, columns] = True
    noise = np.random.default_rng(3).normal(0, 3, (*SHAPE, 3))
    picture = shot.picture.copy()
    picture[passer] = (np.array([30, 150, 90]) + noise)[passer].clip(0, 255)
    return replace(shot, picture=picture, subject_mask=shot.subject_mask & ~passer, others_mask=passer), passer


@pytest.mark.parametrize("are_colors_known", [True, False])
def test_a_leg_in_the_mask_of_who_hides_the_rest_is_the_subjects(are_colors_known: bool) -> None:
    row = learned([with_passer(x, slice(round(x) + 60, round(x) + 110))[0] for x in PATH[:12]])
    if not are_colors_known:
        row = replace(row, others=np.full_like(row.others, 1e-6))
    shot, passer = with_passer(150, slice(142, 210))
    leg = shot.subject_mask.copy()
    leg[:130] = False
    # The man was last seen elsewhere, and the mask of the passer has his leg in it.
    moved = np.roll(shot.subject_mask, -24, axis=1) & ~passer & ~leg
    found = removed(replace(shot, subject_mask=moved, others_mask=passer | leg), row, is_borrowed=True)
    assert leg.sum() > 500 and not (found & passer).any()
    assert share(found, leg) > 0.85 if are_colors_known else share(found, leg) < 0.1


@pytest.mark.parametrize(("rows", "is_left"), [(24, True), (12, False)])
def test_a_face_that_was_learned_as_what_stands_in_front_is_the_subject(rows: int, is_left: bool) -> None:
    face = np.zeros((48, 40), np.bool_)
    face[:40, 5:35] = True
    labels = np.where(face, np.uint8(Label.SUBJECT), np.uint8(Label.NOBODY))
    labels[40 - rows : 44] = Label.FRONT
    leave_face(labels, face)
    assert (labels[face] == Label.SUBJECT).all() == is_left
    assert (labels[40:44] == Label.FRONT).all()


def test_in_a_light_leak_only_what_is_known_to_be_in_front_is_kept_of_a_mask() -> None:
    shot = shot_at(150, wall())
    row = learned([shot_at(x, wall()) for x in PATH])
    gain, light = 0.4, np.array([140.0, 60.0, 20.0])
    lit = [np.rint(gain * each + light).astype(np.uint8) for each in (shot.picture, shot.plate)]
    leaked = replace(shot, picture=lit[0], plate=lit[1])
    veil = Veil(
        LightField(np.full((1, 1, 3), gain, np.float32), light[None, None].astype(np.float32)),
        np.ones((1, 1), np.float32),
    )
    bar = np.zeros(SHAPE, np.bool_)
    bar[:, 146:152] = True
    behind = replace(leaked, picture=np.where(bar[..., None], leaked.plate, leaked.picture))
    theirs = shot.subject_mask & ~bar
    # Something that is carried has the colors that the leak gives the subject.
    foreign = row.foreign.copy()
    foreign[bins_of(leaked.picture, 1.0)[shot.subject_mask]] = 0.5
    alike = replace(row, foreign=foreign)
    assert share(removed(leaked, alike), shot.subject_mask) < 0.6
    assert share(removed(leaked, alike, veil=veil), shot.subject_mask) > 0.99
    for found in (removed(behind, row, veil=veil, front=bar), removed(behind, row, veil=veil, near=bar)):
        assert share(found, theirs) > 0.97
        assert share(found, bar & shot.subject_mask) < 0.1
