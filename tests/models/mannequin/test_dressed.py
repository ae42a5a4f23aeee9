"""Surfaces and paint of a figure that a prompt dresses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.models.mannequin.accessories import tube_along
from pipeline.models.mannequin.beards import beard_share, with_beard
from pipeline.models.mannequin.figure import LANDMARK, Figure, Group, load_figure
from pipeline.models.mannequin.hair_region import EYES_TO_CHIN
from pipeline.models.mannequin.person import NewPerson, plain_person
from pipeline.models.mannequin.wardrobe import choose_from_words
from pipeline.models.weights.folder import weight_path


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _dressed(figure: Figure, prompt: str) -> NewPerson:
    return plain_person(figure, choose_from_words(prompt).outfit)


def _places(person: NewPerson, *groups: Group) -> NDArray[np.float32]:
    shown = np.isin(person.figure.groups, groups) & person.drawn
    return person.figure.vertices[np.unique(person.figure.triangles[shown])]


def _colors(person: NewPerson, *groups: Group) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(T, 3) mean color and middle of the drawn triangles of groups."""
    rows = np.isin(person.figure.groups[person.drawn], groups)
    middles = person.figure.vertices[person.figure.triangles[person.drawn][rows]].mean(1)
    return person.colors.fine[rows].mean(1), middles


def test_a_tube_is_closed_and_faces_outwards() -> None:
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros(24)], 1)
    points, triangles = tube_along(ring, np.full(24, 0.2), 8, is_closed=True)
    a, b, c = (points[triangles[:, k]] for k in range(3))
    volume = np.einsum("td,td->t", a, np.cross(b, c)).sum() / 6
    # A torus: 2 pi^2 R r^2, a little less for its corners; positive or negative by the sense of its triangles.
    assert abs(volume) == pytest.approx(2 * np.pi**2 * 0.04, rel=0.15)
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def test_short_trousers_end_at_one_height(figure: Figure) -> None:
    person = _dressed(figure, "a man in shorts")
    shown = (person.figure.groups == Group.LOWER) & person.drawn
    edges = person.figure.triangles[shown][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    edges, counts = np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)
    border = person.figure.vertices[np.unique(edges[counts == 1])]
    hem = border[border[:, 1] > -0.45]
    assert len(hem) > 20 and np.ptp(hem[:, 1]) < 1e-6
    # Skin begins above the hem, all around.
    assert _places(person, Group.SHIN)[:, 1].min() < hem[0, 1] - 0.02


def test_a_top_is_tucked_into_a_skirt(figure: Figure) -> None:
    person = _dressed(figure, "a woman in a blue shirt and a red skirt")
    waist = _places(person, Group.SKIRT)[:, 1].min()
    assert _places(person, Group.UPPER)[:, 1].max() < waist + 0.02
    assert _places(_dressed(figure, "a woman in a blue shirt"), Group.UPPER)[:, 1].max() > waist + 0.03


def test_glasses_are_before_the_eyes_and_reach_the_ears(figure: Figure) -> None:
    glasses = _places(_dressed(figure, "a man with glasses"), Group.GLASSES)
    eye, ear = figure.landmarks[LANDMARK["left_eye"]], figure.landmarks[LANDMARK["left_ear"]]
    assert glasses[:, 2].min() < eye[2] - 0.005
    assert abs(glasses[:, 2].max() - ear[2]) < 0.01
    assert abs(glasses[glasses[:, 2] < eye[2], 1].mean() - eye[1]) < 0.005


@pytest.mark.parametrize(("beard", "covers_cheeks"), [("full", True), ("goatee", False), ("mustache", False)])
def test_beards_grow_below_the_nose_and_not_on_lips(figure: Figure, beard: str, covers_cheeks: bool) -> None:
    share = beard_share(figure, beard)  # type: ignore[arg-type]
    grown = figure.vertices[share > 0.5]
    eyes, nose = figure.landmarks[LANDMARK["left_eye"]], figure.landmarks[LANDMARK["nose"]]
    assert len(grown) > 30 and (grown[:, 1] > nose[1]).all()
    assert (np.abs(grown[:, 0]).max() > 0.6 * EYES_TO_CHIN) == covers_cheeks
    lips = figure.tint[:, 1] < 0.7 * figure.tint[:, 0]
    assert lips.any() and share[lips & (figure.vertices[:, 1] < eyes[1] + EYES_TO_CHIN)].max() < 0.05
    thicker = np.linalg.norm(with_beard(figure, beard, share) - figure.vertices, axis=1)  # type: ignore[arg-type]
    assert thicker[share > 0.9].min() > 0.003 and thicker[share == 0].max() == 0


def test_stripes_alternate_down_the_top_and_nowhere_else(figure: Figure) -> None:
    person = _dressed(figure, "red and white striped shirt")
    colors, middles = _colors(person, Group.UPPER)
    chest = (np.abs(middles[:, 0]) < 0.02) & (middles[:, 2] < 0) & (middles[:, 1] > -0.78)
    order = np.argsort(middles[chest, 1])
    is_red = colors[chest][order, 1] < 0.5 * colors[chest][order, 0]
    assert 0.25 < is_red.mean() < 0.75
    # Eight periods of 0.026 fit between chest and waist: at least ten changes.
    assert np.count_nonzero(np.diff(is_red.astype(int))) >= 10
    trousers, _ = _colors(person, Group.LOWER)
    assert np.ptp(trousers[:, 0] - trousers[:, 1]) < 0.02


def test_gloves_hoods_and_visors_are_painted_where_they_belong(figure: Figure) -> None:
    colors, middles = _colors(_dressed(figure, "an astronaut"), Group.SKIN)
    hands = middles[:, 1] > -0.7
    assert hands.any() and np.ptp(colors[hands], axis=1).max() < 0.05
    helmet, at = _colors(_dressed(figure, "an astronaut"), Group.THING)
    dark = helmet.max(1) < 0.1
    assert dark.any() and (at[dark, 2] < 0).all()
    skin, at = _colors(_dressed(figure, "a ninja"), Group.SKIN)
    face = (at[:, 1] < -0.86) & (at[:, 2] < -0.05)
    eyes = face & (np.abs(at[:, 1] - figure.landmarks[LANDMARK["left_eye"], 1]) < 0.01)
    mouth = face & (at[:, 1] > -0.9)
    assert np.median(skin[eyes, 0]) > 0.2 and skin[mouth].max() < 0.1


def test_a_cape_hangs_behind_the_back(figure: Figure) -> None:
    person = _dressed(figure, "a superhero with a cape")
    cape = _places(person, Group.WRAP)
    seat = _places(person, Group.LOWER)[:, 2].max()
    low = (cape[:, 1] > -0.5) & (np.abs(cape[:, 0]) < 0.05)
    assert cape[low, 2].min() > seat and cape[:, 1].max() < -0.1
