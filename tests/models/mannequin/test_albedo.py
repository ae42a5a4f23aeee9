"""The light in a reference picture is not applied to the figure a second time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.datatypes.light import SceneLight
from pipeline.models.mannequin.albedo import BRIGHTEST_SKIN, flattened, shared_exposure
from pipeline.models.mannequin.deformation import part_shares
from pipeline.models.mannequin.figure import Figure, load_figure
from pipeline.models.mannequin.fitting import FittedView, fit_view
from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.raster import vertex_normals
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.shading import light_vertices, unshadowed_light
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


@pytest.fixture(scope="module")
def view(figure: Figure) -> FittedView:
    appearance = _reference("suit")
    assert appearance.reference is not None and appearance.reference_person is not None
    reference = make_view(appearance.reference, appearance.reference_person)
    assert reference is not None
    drawn = ~np.isin(figure.groups, sorted(Outfit().hidden))
    return fit_view(figure, reference, drawn, reshape=False)[1]


def test_a_gray_person_in_soft_light_from_above_is_gray_all_over(figure: Figure, view: FittedView) -> None:
    normals = vertex_normals(view.places, view.triangles)
    light = unshadowed_light(normals * [0, 1, 1], figure.occlusion, SceneLight.daylight(1))
    _, corners = sample_grid()
    seen = np.einsum("sk,tkc->tsc", corners, light[view.triangles]).astype(np.float32) * np.float32(0.2)
    parts = part_shares(figure)[view.triangles].sum(1).argmax(1)
    front = normals[view.triangles][:, :, 2].mean(1) < -0.6
    flat = flattened(seen, front, view, figure, parts, np.zeros(seen.shape[:2], bool))
    spread, before = (np.std(np.log(values[front].mean((1, 2)))) for values in (flat, seen))
    assert spread < 0.75 * before


def test_a_back_that_is_not_seen_has_no_patches_of_light(figure: Figure, view: FittedView) -> None:
    seen = np.full((len(view.triangles), len(sample_grid()[0]), 3), 0.2, np.float32)
    parts = part_shares(figure)[view.triangles].sum(1).argmax(1)
    flat = flattened(seen, np.zeros(len(seen), bool), view, figure, parts, np.zeros(seen.shape[:2], bool))
    away = vertex_normals(view.places, view.triangles)[view.triangles][:, :, 2].mean(1) > 0.95
    # A slight tilt of the back is none of the front's, whose color it takes.
    assert away.sum() > 500
    assert np.ptp(np.log(flat[away])) < 0.5


def test_cast_shadows_only_take_light_away(figure: Figure, view: FittedView) -> None:
    normals = vertex_normals(view.places, view.triangles)
    light = SceneLight.daylight(1)
    whole = unshadowed_light(normals, figure.occlusion, light)
    shadowed = light_vertices(view.places, normals, view.triangles, figure.occlusion, view.reference.height_px, light)
    assert (shadowed <= whole + 1e-6).all() and (shadowed < 0.9 * whole).any()


def test_the_ground_in_the_sun_lights_what_faces_down() -> None:
    ways = np.array([[0, 1, 0], [0, -1, 0]], np.float32)
    above = np.array([[0, -1, 0]], np.float32)
    sky = np.full((1, 3), 0.4, np.float32)
    sunny, dull = (SceneLight(above, np.full((1, 3), sun, np.float32), sky, np.zeros_like(sky)) for sun in (1.0, 0.0))
    under, over = unshadowed_light(ways, np.ones(2, np.float32), sunny).mean(1)
    assert over > 2 * under
    assert under > 2 * unshadowed_light(ways, np.ones(2, np.float32), dull).mean(1)[0]


def test_what_shines_keeps_the_exposure_that_is_too_bright_for_skin(figure: Figure, view: FittedView) -> None:
    bright = replace(view, reference=replace(view.reference, colors=np.full_like(view.reference.colors, 0.9)))
    seen = np.full((len(view.triangles), len(sample_grid()[0]), 3), 0.1, np.float32)
    parts = part_shares(figure)[view.triangles].sum(1).argmax(1)
    none = np.zeros(len(seen), bool)
    dull, shiny = (
        flattened(seen, none, bright, figure, parts, np.full(seen.shape[:2], value)) for value in (False, True)
    )
    np.testing.assert_allclose(dull, shiny * np.float32(BRIGHTEST_SKIN / 0.9), rtol=1e-4)


def test_a_picture_from_behind_has_the_exposure_of_the_face(view: FittedView) -> None:
    reference = replace(view.reference, colors=np.full_like(view.reference.colors, 1.0))
    front = replace(view, reference=reference)
    behind = replace(view, reference=replace(reference, view="back"))
    assert shared_exposure([front]) == pytest.approx(BRIGHTEST_SKIN)
    assert shared_exposure([behind]) == 1.0
    assert shared_exposure([front, behind]) == pytest.approx(BRIGHTEST_SKIN)
