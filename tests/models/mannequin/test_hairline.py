"""Hair extends beyond the figure's cap, but neither over the face nor over the ears."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.bodies import load_bodies
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, Group, load_figure
from pipeline.models.mannequin.hairline import hair_share
from pipeline.models.mannequin.mesh_colors import sample_grid
from pipeline.models.mannequin.person import make_person
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

BODIES = load_bodies(weight_path("figure.npz"), "auto")


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def test_hair_reaches_nape_and_temples_and_not_face_ears_or_clothes(figure: Figure) -> None:
    share = hair_share(figure, figure.triangles, figure.groups)
    places = np.einsum("sk,tkd->tsd", sample_grid()[1], figure.vertices[figure.triangles])
    cap = figure.vertices[np.unique(figure.triangles[figure.groups == Group.HAIR])]
    ears = figure.landmarks[LANDMARK["left_ear"]]
    assert share[figure.groups != Group.SKIN].max() == 0
    assert share[places[..., 2] < figure.landmarks[LANDMARK["left_eye"], 2] + 0.015].max() == 0
    at_ear = np.linalg.norm(places * [1, 1, 1] - ears, axis=2) < 0.008
    assert at_ear.any() and share[at_ear].max() < 0.05
    # No sideburns: in front of an ear hair ends at its top.
    before_ear = (places[..., 2] < ears[2] - 0.009) & (places[..., 1] > ears[1] - 0.005)
    assert before_ear.any() and share[before_ear].max() < 0.02
    # Below the cap at the back.
    bottom = cap[cap[:, 2] > 0.01][:, 1].max()
    nape = (places[..., 2] > 0.0) & (places[..., 1] > bottom) & (places[..., 1] < bottom + 0.006)
    nape &= (figure.groups == Group.SKIN)[:, None] & (np.abs(places[..., 0]) < 0.02)
    assert nape.any() and np.median(share[nape]) > 0.6
    low = places[..., 1] > figure.heads[BONE["neck"]][1]
    assert share[low].max() == 0


def test_a_front_view_has_hair_at_the_nape(figure: Figure) -> None:
    person = make_person(BODIES, _reference("suit"))
    triangles = person.figure.triangles[person.drawn]
    groups = person.figure.groups[person.drawn]
    share = hair_share(person.figure, triangles, groups)
    behind = person.figure.vertices[triangles][:, :, 2].mean(1) > -0.005
    full = (share.min(1) > 0.9) & behind
    fine = person.colors.fine
    cap = (groups == Group.HAIR) & behind
    neck = (groups == Group.SKIN) & behind & (share.max(1) == 0)
    neck &= np.abs(person.figure.vertices[triangles][:, :, 1].mean(1) + 0.875) < 0.02
    under, hair, skin = (np.median(fine[chosen].reshape(-1, 3), axis=0) for chosen in (full, cap, neck))
    assert full.sum() > 20 and neck.sum() > 20
    assert np.linalg.norm(np.log(under / hair)) < 0.5 * np.linalg.norm(np.log(skin / hair))
