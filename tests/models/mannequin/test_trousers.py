"""Loose trousers span the hollows of a leg, tight ones follow it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.models.mannequin.figure import BONE, Figure, Group, load_figure
from pipeline.models.mannequin.trousers import with_spanning_trousers
from pipeline.models.weights.folder import weight_path


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _cloth(figure: Figure) -> np.ndarray:
    return np.unique(figure.triangles[np.isin(figure.groups, [Group.LOWER, Group.LEG])])


def _depths(figure: Figure, behind: bool) -> np.ndarray:
    """How far the left trouser leg reaches to one side, level by level from the middle of the thigh to the hem."""
    points = figure.vertices[_cloth(figure)]
    points = points[points[:, 0] > 0]
    hip, knee = (figure.heads[BONE[f"{bone}.L"], 1] for bone in ("thigh1", "shin1"))
    levels = np.linspace(hip + 0.5 * (knee - hip), points[:, 1].max() - 0.02, 12)
    near = [np.abs(points[:, 1] - level) < 0.012 for level in levels]
    return np.array([points[row, 2].max() if behind else -points[row, 2].min() for row in near])


def _slimmed(figure: Figure, factor: float) -> Figure:
    """The trouser legs drawn towards the legs' axes."""
    vertices = figure.vertices.copy()
    rows = _cloth(figure)
    for suffix, sign in ((".L", 1), (".R", -1)):
        side = rows[sign * vertices[rows, 0] > 0.002]
        joints = figure.heads[[BONE[f"{bone}{suffix}"] for bone in ("thigh1", "shin1", "foot")]]
        for axis in (0, 2):
            middle = np.interp(vertices[side, 1], joints[:, 1], joints[:, axis])
            vertices[side, axis] = middle + factor * (vertices[side, axis] - middle)
    return replace(figure, vertices=vertices.astype(np.float32))


def test_loose_cloth_has_no_hollow_above_the_calf_nor_at_the_shin(figure: Figure) -> None:
    loose = with_spanning_trousers(figure, figure)
    steps = np.arange(12)
    for behind in (False, True):
        before, after = _depths(figure, behind), _depths(loose, behind)
        assert (after >= before - 1e-5).all() and after.max() - before.max() < 0.004

        def hollow(profile: np.ndarray) -> float:
            chord = np.interp(steps, [0, 11], [profile[0], profile[-1]])
            return float(np.maximum(chord - profile, 0).max())

        assert hollow(after) < 0.35 * hollow(before) + 0.002


def test_only_the_depth_of_the_trousers_changes(figure: Figure) -> None:
    loose = with_spanning_trousers(figure, figure)
    moved = np.flatnonzero(np.abs(loose.vertices - figure.vertices).max(1) > 0)
    assert len(moved) > 500 and np.isin(moved, _cloth(figure)).all()
    np.testing.assert_array_equal(loose.vertices[:, :2], figure.vertices[:, :2])


def test_tight_trousers_follow_the_leg(figure: Figure) -> None:
    tight = _slimmed(figure, 0.72)
    assert with_spanning_trousers(tight, figure) is tight
