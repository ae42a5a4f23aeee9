"""Short sleeves end where the picture's do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import BONE, Figure, Group, load_figure
from pipeline.models.mannequin.fitting import FittedView, fit_view
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.raster import vertex_normals
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.sleeve_ends import with_sleeves_as_shown
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

_SHORT = ~np.isin(np.arange(256), sorted(Outfit(long_sleeves=False).hidden))


@pytest.fixture(scope="module")
def fitted() -> tuple[Figure, FittedView]:
    """The figure fitted to a woman whose sleeves end at half of her upper arms."""
    figure = load_figure(weight_path("figure.npz"), "auto")
    appearance = _reference("sport")
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    return fit_view(figure, view, _SHORT[figure.groups], reshape=True)


def _height_over_skin(figure: Figure) -> np.ndarray:
    """(n,) the distance from the skin, outwards, of the sleeves' vertices near the figure's own hems."""
    upper, elbow = figure.heads[BONE["upperarm1.L"]], figure.heads[BONE["forearm1.L"]]
    along = (figure.vertices - upper) @ (elbow - upper) / ((elbow - upper) @ (elbow - upper))
    rows = np.unique(figure.triangles[figure.groups == Group.UPPER])
    arm = part_shares(figure)[rows, PARTS.index("arm.L")] > 0.5
    rows = rows[arm & (along[rows] > 0.66)]
    skin = np.unique(figure.triangles[figure.groups == Group.FOREARM])
    normals = vertex_normals(figure.vertices, np.ascontiguousarray(figure.triangles))
    _, near = cKDTree(figure.vertices[skin]).query(figure.vertices[rows])
    return np.asarray(((figure.vertices[rows] - figure.vertices[skin[near]]) * normals[skin[near]]).sum(1))


def test_a_sleeve_vanishes_under_the_skin_that_the_picture_shows(fitted: tuple[Figure, FittedView]) -> None:
    figure, view = fitted
    ended = with_sleeves_as_shown(figure, view, _SHORT[figure.groups])
    assert _height_over_skin(figure).mean() > 0.004
    assert _height_over_skin(ended).max() < 0


def test_sleeves_as_long_as_the_figures_stay(fitted: tuple[Figure, FittedView]) -> None:
    figure, view = fitted
    blue = replace(view.reference, colors=np.full_like(view.reference.colors, (0.03, 0.1, 0.6)))
    same = with_sleeves_as_shown(figure, replace(view, reference=blue), _SHORT[figure.groups])
    assert np.array_equal(same.vertices, figure.vertices)


def test_long_sleeves_stay(fitted: tuple[Figure, FittedView]) -> None:
    figure, view = fitted
    drawn = ~np.isin(figure.groups, sorted(Outfit().hidden))
    assert with_sleeves_as_shown(figure, view, drawn) is figure
