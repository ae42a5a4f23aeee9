"""Tops and trousers end where a front view shows it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.joints import SKELETON_NAMES
from pipeline.models.mannequin.figure import Figure, Group, load_figure
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hems import with_hems_as_shown
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.raster import rasterize
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.weights.folder import weight_path

_PX = 700.0
JACKET, TROUSERS, SHOES = (0.3, 0.1, 0.1), (0.05, 0.05, 0.06), (0.2, 0.15, 0.1)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _drawn(figure: Figure) -> np.ndarray:
    return ~np.isin(figure.groups, sorted(Outfit().hidden))


def _view(figure: Figure, color_at: Callable[[np.ndarray], np.ndarray]) -> FittedView:
    """The figure at rest seen from the front, colored by its height: ``color_at`` maps levels (n,) to (n, 3)."""
    places = figure.vertices * np.float32(_PX) + np.array([_PX / 2, _PX + 10, 0], np.float32)
    triangles = np.ascontiguousarray(figure.triangles[_drawn(figure)])
    height, width = int(_PX) + 20, int(_PX)
    depth, nearest = rasterize(places, triangles, width, height)
    levels = (np.arange(height) - _PX - 10) / _PX
    colors = np.repeat(color_at(levels)[:, None], width, axis=1).astype(np.float32)
    nothing = np.full((len(SKELETON_NAMES), 3), np.nan)
    reference = ReferenceView("front", colors, nearest >= 0, nothing[:21], nothing, _PX, True)
    return FittedView(reference, places, nearest, depth, triangles, 1.0)


def _dressed(waist: float, ankle: float, jacket: tuple = JACKET) -> Callable[[np.ndarray], np.ndarray]:
    def color_at(levels: np.ndarray) -> np.ndarray:
        below = np.where((levels < ankle)[:, None], TROUSERS, SHOES)
        return np.where((levels < waist)[:, None], jacket, below)

    return color_at


def _hem(figure: Figure, group: Group) -> float:
    return float(figure.vertices[np.unique(figure.triangles[figure.groups == group]), 1].max())


@pytest.mark.parametrize("waist", [-0.49, -0.545])
@pytest.mark.parametrize("ankle", [-0.05, -0.03])
def test_hems_move_to_where_the_colors_change(figure: Figure, waist: float, ankle: float) -> None:
    shown = with_hems_as_shown(figure, _view(figure, _dressed(waist, ankle)), _drawn(figure))
    assert _hem(shown, Group.UPPER) == pytest.approx(waist, abs=0.008)
    assert _hem(shown, Group.LEG) == pytest.approx(ankle, abs=0.012)
    others = np.unique(figure.triangles[np.isin(figure.groups, (Group.SKIN, Group.SHOES, Group.SLEEVE))])
    np.testing.assert_array_equal(shown.vertices[others], figure.vertices[others])


def test_a_top_that_is_tucked_in_has_no_step(figure: Figure) -> None:
    def overhang(body: Figure) -> float:
        """How much wider the top is at its hem than the trousers right there."""
        hem = _hem(body, Group.UPPER)
        top, trousers = (np.unique(body.triangles[body.groups == group]) for group in (Group.UPPER, Group.LOWER))
        near = [body.vertices[rows][np.abs(body.vertices[rows, 1] - hem) < 0.012] for rows in (top, trousers)]
        return float(near[0][:, 0].max() - near[1][:, 0].max())

    shown = with_hems_as_shown(figure, _view(figure, _dressed(-0.545, -0.05)), _drawn(figure))
    assert overhang(shown) < 0.25 * overhang(figure)


def test_on_cloth_of_one_color_a_line_of_shadow_is_the_hem(figure: Figure) -> None:
    plain = _dressed(-0.49, -0.05, TROUSERS)

    def with_line(levels: np.ndarray) -> np.ndarray:
        return plain(levels) * np.where(np.abs(levels + 0.485) < 0.003, 0.8, 1.0)[:, None]

    with_shadow = with_hems_as_shown(figure, _view(figure, with_line), _drawn(figure))
    assert _hem(with_shadow, Group.UPPER) == pytest.approx(-0.485, abs=0.008)
    without = with_hems_as_shown(figure, _view(figure, plain), _drawn(figure))
    assert _hem(without, Group.UPPER) == _hem(figure, Group.UPPER)


def test_shoes_in_the_color_of_the_trousers_tell_nothing(figure: Figure) -> None:
    view = _view(figure, lambda levels: np.tile(TROUSERS, (len(levels), 1)))
    np.testing.assert_array_equal(with_hems_as_shown(figure, view, _drawn(figure)).vertices, figure.vertices)
