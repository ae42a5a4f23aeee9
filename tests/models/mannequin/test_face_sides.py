"""The sides of a head continue the face as far as a front view shows it well."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.models.mannequin.face_sides import is_foreign, read_within_face
from pipeline.models.mannequin.figure import LANDMARK, Figure, load_figure
from pipeline.models.mannequin.hair_region import HairRegion
from pipeline.models.weights.folder import weight_path

HEIGHT = 1000.0


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def round_head(figure: Figure) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Samples (n, S) of a cylinder of 60 px about x = 200: places in the picture, cosine, and places at rest."""
    angle, y = np.meshgrid(np.linspace(-np.pi, np.pi, 181), np.arange(100.0, 160.0, 0.5))
    x = 200 + 60 * np.sin(angle)
    at_rest = np.stack([0.06 * np.sin(angle), np.full_like(y, 5.0), -0.06 * np.cos(angle)], axis=-1)
    return (np.float32(x), np.float32(y), np.float32(np.cos(angle)), np.float32(at_rest))


def test_what_is_shown_well_stays_and_the_rest_is_read_from_there(figure: Figure) -> None:
    x, y, facing, at_rest = round_head(figure)
    read = read_within_face(x, y, facing, at_rest, figure, HEIGHT)
    well = facing > 0.5
    assert np.array_equal(read[well], x[well])
    limit = 60 * np.sin(np.arccos(0.5))
    glancing = facing < 0.2
    assert np.abs(read[glancing] - 200).max() < limit + 1
    # Each side reads its own.
    assert (np.sign(read[glancing] - 200) == np.sign(x[glancing] - 200))[np.abs(x[glancing] - 200) > 1].all()


def test_an_ear_that_faces_the_camera_is_no_part_of_the_face(figure: Figure) -> None:
    x, y, facing, at_rest = round_head(figure)
    ear = np.abs(x - 258) < 2
    facing = np.where(ear, np.float32(0.9), facing)
    at_rest = np.where(ear[..., None], figure.landmarks[LANDMARK["left_ear"]], at_rest).astype(np.float32)
    read = read_within_face(x, y, facing, at_rest, figure, HEIGHT)
    glancing = (facing < 0.2) & (x > 200)
    assert read[glancing].max() < 255


def test_nothing_changes_where_nothing_is_shown_well(figure: Figure) -> None:
    x, y, facing, at_rest = round_head(figure)
    assert np.array_equal(read_within_face(x, y, facing * 0 - 1, at_rest, figure, HEIGHT), x)


def test_background_on_the_sides_of_a_head_is_neither_skin_nor_hair(figure: Figure) -> None:
    skin = np.array([0.4, 0.22, 0.15], np.float32)
    hair = HairRegion(np.ones((1, 1), bool), 0.1 * skin, skin, np.zeros(2), 10.0, (0.0, 0.0))
    eyes = float(figure.landmarks[LANDMARK["left_eye"], 2])
    colors = np.array([skin, 0.6 * skin, 0.1 * skin, [0.15, 0.5, 0.15], [0.7, 0.7, 0.7]], np.float32)[:, None]
    foreign = is_foreign(colors, np.full((5, 1), eyes + 0.05), figure, skin, hair)
    assert foreign[:, 0].tolist() == [False, False, False, True, True]
    # Paint and glasses are in front.
    assert not is_foreign(colors, np.full((5, 1), eyes), figure, skin, hair).any()
