"""Where a carried object is relative to the limbs, over many frames, tells whose a pixel is where colors do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.scene.held_places import HALF_CELLS, NUM_ANCHORS, NUM_CELLS, placed, shares, whole_things
from pipeline.scene.held_search import HeldSearch
from pipeline.scene.layers import Label
from pipeline.scene.near_layer import NearLayers
from pipeline.scene.scene_model import SceneModel, SceneRow, load_held, save_held, save_row
from tests.scene.test_bare_hands import HAND, SKIN
from tests.support.scene_labels import NOTHING, PATH, labeled, learned, share
from tests.support.scene_truth import Mask, Picture, Shot, disc, man_at, shot_at, wall

BROWN = (150, 110, 70)
PATCH = slice(80, 130), slice(176, 194)


def brown_wall() -> Picture:
    """A wall with a sign in the color of the box."""
    plate = wall()
    plate[PATCH] = BROWN
    return plate


def box_at(x: float) -> Mask:
    box = NOTHING.copy()
    box[84:122, round(x + 6) : round(x + 62)] = True
    return box


def with_box(x: float) -> Shot:
    shot = shot_at(x, brown_wall())
    picture = shot.picture.copy()
    picture[box_at(x)] = BROWN
    return replace(shot, picture=picture, subject_mask=shot.subject_mask & ~box_at(x))


def searched(folder: Path, shots: list[Shot], row: SceneRow) -> SceneModel:
    save_row(folder, 0, row)
    model = SceneModel(folder, 1.0, 1.0, NearLayers(folder))
    search = HeldSearch(model, np.zeros(1, np.int64), np.zeros(0, np.int64), 30.0)
    for shot in shots:
        search.push(0, 0, search.look(0, shot.sample(), (row.front, row.wrong), may_meet=False))
    search.finish()
    return model


def test_a_box_is_whole_before_a_wall_of_its_color(tmp_path: Path) -> None:
    shots = [with_box(x) for x in PATH[::2]]
    row = learned(shots)
    model = searched(tmp_path, shots, row)
    before = [shot for shot in shots if box_at(shot.x)[PATCH].mean() > 0.7]
    assert before
    for shot in before:
        box = box_at(shot.x)
        assert share(labeled(shot, row) == Label.CARRIED, box) < 0.8
        labels = labeled(shot, model.row(0))
        assert share(labels == Label.CARRIED, box) > 0.95
        assert share(labels == Label.SUBJECT, man_at(shot.x)[0] & ~box) > 0.95
    assert [path.name for path in tmp_path.glob("counts_*")] == []


def test_a_free_hand_at_the_place_of_the_thing_in_the_other_one_is_the_subjects() -> None:
    def with_skin(x: float, mask: Mask) -> Shot:
        shot = shot_at(x, wall())
        picture = shot.picture.copy()
        picture[mask] = SKIN
        return replace(shot, picture=picture, subject_mask=shot.subject_mask & ~mask)

    row = learned([with_skin(x, disc(x + 49, 140, 14)) for x in PATH[::2]])
    assert share(labeled(with_skin(150, HAND | disc(199, 160, 30)), row) == Label.CARRIED, HAND) > 0.9
    # Its color alone does not tell that it is held.
    row = replace(row, in_hand=np.zeros_like(row.in_hand), is_held=np.zeros_like(row.is_held))
    everywhere = replace(row, held=np.ones((NUM_ANCHORS, NUM_CELLS, NUM_CELLS), np.float32))
    assert share(labeled(with_skin(150, HAND), everywhere) == Label.CARRIED, HAND) < 0.1


def test_a_strip_of_a_backpack_beside_an_arm_is_carried_where_the_backpack_usually_is() -> None:
    """No larger than what is else no object."""
    shot = shot_at(150, wall())
    strip = NOTHING.copy()
    strip[72:108, 176:180] = True
    strip &= ~man_at(150)[0]
    picture = shot.picture.copy()
    picture[strip] = BROWN
    seen = replace(shot, picture=picture)
    row = learned([with_box(x) for x in PATH[::2]])
    row = replace(row, in_hand=np.zeros_like(row.in_hand), is_held=np.zeros_like(row.is_held))
    trunk = np.zeros((NUM_ANCHORS, NUM_CELLS, NUM_CELLS), np.float32)
    assert share(labeled(seen, row) == Label.CARRIED, strip) < 0.5
    trunk[0] = 1.0
    assert share(labeled(seen, replace(row, held=trunk)) == Label.CARRIED, strip) > 0.9


def test_nothing_is_placed_where_nothing_is_carried(tmp_path: Path) -> None:
    shots = [shot_at(x, brown_wall()) for x in PATH[::2]]
    model = searched(tmp_path, shots, learned(shots))
    assert not placed(model.row(0).held, shots[0].sample()).any()


@pytest.mark.parametrize("anchor", range(NUM_ANCHORS))
def test_a_place_moves_with_its_limb(anchor: int) -> None:
    there = np.zeros((NUM_ANCHORS, NUM_CELLS, NUM_CELLS), np.float32)
    there[anchor, HALF_CELLS - 4 : HALF_CELLS + 5, HALF_CELLS + 10 : HALF_CELLS + 20] = 1.0
    first, second = (placed(there, shot_at(x, wall()).sample()) > 0.5 for x in (110, 140))
    assert first.sum() > 100
    np.testing.assert_array_equal(np.roll(first, 30, axis=1), second)


def test_few_frames_tell_nothing() -> None:
    counts = np.zeros((2, NUM_ANCHORS, NUM_CELLS, NUM_CELLS))
    counts[0] = 2.0
    assert not shares(counts).any()
    counts[0] = 9.0
    assert shares(counts) == pytest.approx(0.9)


def test_the_rest_of_an_object_is_filled_in_unless_too_little_of_it_is_seen() -> None:
    there = NOTHING.copy()
    there[50:80, 50:80] = True
    half, corner, own = NOTHING.copy(), NOTHING.copy(), NOTHING.copy()
    half[50:80, 50:66] = True
    corner[50:55, 50:55] = True
    own[70:80] = True
    np.testing.assert_array_equal(whole_things(half, there, NOTHING), there)
    np.testing.assert_array_equal(whole_things(half, there, own), (there & ~own) | half)
    np.testing.assert_array_equal(whole_things(corner, there, NOTHING), corner)


def test_places_are_read_as_written(tmp_path: Path) -> None:
    held = np.random.default_rng(0).random((NUM_ANCHORS, 5, 5)).astype(np.float32)
    save_held(tmp_path, 3, held)
    assert load_held(tmp_path, 3) == pytest.approx(held, abs=1 / 500)
    save_held(tmp_path, 4, np.zeros_like(held))
    assert not load_held(tmp_path, 4).any()
    assert not (tmp_path / "held_0004.npy").exists()
