"""A bright nail of the picture does not cover the figure's thumb."""

from __future__ import annotations

import numpy as np

from pipeline.models.mannequin.figure import BONE, Group, load_figure
from pipeline.models.mannequin.hand_texture import with_even_hands
from pipeline.models.weights.folder import weight_path

_SKIN = np.array([0.3, 0.15, 0.1], np.float32)


def test_only_bright_samples_of_hands_are_evened() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    triangles = figure.triangles
    groups = figure.groups
    fine = np.tile(_SKIN, (len(triangles), 6, 1)).astype(np.float32)
    bones = figure.bone_index[triangles][:, :, 0]
    hand = np.flatnonzero((bones == BONE["hand.L"]).all(axis=1) & (groups == Group.SKIN))
    elsewhere = np.flatnonzero((bones == BONE["hand.R"]).any(axis=1) == 0)[:1]
    fine[hand[:2]] = 0.9
    fine[hand[2], 0] = _SKIN * 1.2
    fine[elsewhere] = 0.9
    known = np.ones(fine.shape[:2], np.bool_)
    even = with_even_hands(fine, known, figure, triangles, groups)
    np.testing.assert_allclose(even[hand[:2]], np.broadcast_to(_SKIN, (2, 6, 3)), rtol=1e-5)
    np.testing.assert_array_equal(even[hand[2:]], fine[hand[2:]])
    np.testing.assert_array_equal(even[elsewhere], fine[elsewhere])
    # A hand that no view shows has no tone.
    np.testing.assert_array_equal(with_even_hands(fine, ~known, figure, triangles, groups), fine)


def test_a_hand_before_trousers_has_the_other_ones_skin_and_gloves_stay() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    triangles, groups = figure.triangles, figure.groups
    bones = figure.bone_index[triangles][:, :, 0]
    left, right = ((bones == BONE[bone]).all(axis=1) & (groups == Group.SKIN) for bone in ("hand.L", "hand.R"))
    fine = np.tile(_SKIN, (len(triangles), 6, 1)).astype(np.float32)
    fine[left] = [0.01, 0.015, 0.04]
    known = np.ones(fine.shape[:2], np.bool_)
    even = with_even_hands(fine, known, figure, triangles, groups, 1.3 * _SKIN)
    np.testing.assert_allclose(even[left], fine[right][: left.sum()], rtol=1e-5)
    fine[right] = fine[left][0]
    np.testing.assert_array_equal(with_even_hands(fine, known, figure, triangles, groups, 1.3 * _SKIN), fine)
