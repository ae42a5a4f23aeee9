"""Cloth goes on around the side of a limb at its own width."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.deformation import part_shares
from pipeline.models.mannequin.figure import BONE, load_figure
from pipeline.models.mannequin.shape import Sections, find_sections
from pipeline.models.mannequin.unrolling import unrolled
from pipeline.models.weights.folder import weight_path


def _read_at(place: np.ndarray, ratio: float) -> np.ndarray:
    """Where samples at ``place`` -1..1 across a limb of half width 100 px are read."""
    count = len(place)
    sections = Sections(
        np.full(count, 100, np.float32),
        np.full(count, ratio, np.float32),
        np.tile(np.array([[1, 0]], np.float32), (count, 1)),
        place.astype(np.float32),
    )
    corner = np.repeat(np.arange(count, dtype=np.int32)[:, None], 3, 1)
    moved = unrolled(sections, corner, np.full((1, 3), 1 / 3, np.float32))
    assert (moved[..., 1] == 0).all()
    return 100 * place + moved[:, 0, 0]


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.6])
def test_what_the_picture_shows_stays_and_the_side_mirrors_it_by_length(ratio: float) -> None:
    angle = np.linspace(0, np.pi / 2, 2000)
    x, z = np.sin(angle), ratio * np.cos(angle)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    read = _read_at(x, ratio) / 100
    # The cosine of the surface to the picture, from its tangent.
    shown = np.cos(angle) / np.hypot(np.cos(angle), ratio * np.sin(angle)) > 0.5
    turn = int(np.count_nonzero(shown))
    np.testing.assert_allclose(read[: turn - 20], x[: turn - 20], atol=2e-3)
    beyond = np.arange(turn + 20, 2000, 50)
    mirrored = np.interp(np.abs(2 * length[turn] - length[beyond]), length, x)
    np.testing.assert_allclose(read[beyond], mirrored, atol=0.02)
    np.testing.assert_allclose(_read_at(-x, ratio), -100 * read, atol=1e-3)


def test_sections_of_the_figure_are_its_limbs() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    places = (figure.vertices * 1000).astype(np.float32)
    sections = find_sections(figure, part_shares(figure), places)
    hands = np.isin(figure.bone_index[:, 0], [BONE["hand.L"], BONE["hand.R"]]) & (figure.bone_weight[:, 0] > 0.9)
    heads = (figure.bone_index[:, 0] == BONE["head"]) & (figure.bone_weight[:, 0] > 0.9)
    assert (sections.half_width[hands | heads] == 0).all()
    shin = figure.heads[BONE["shin1.L"]] * 1000
    calf = (np.abs(places[:, 1] - shin[1] - 60) < 15) & (places[:, 0] > 5)
    assert calf.sum() > 50
    assert 25 < np.median(sections.half_width[calf]) < 60
    assert 0.8 < np.median(sections.depth_ratio[calf]) < 1.5
    right, left = places[calf, 0] > shin[0] + 20, places[calf, 0] < shin[0] - 20
    assert (np.sign(sections.place[calf][right]) == -np.sign(sections.place[calf][left][0])).all()
