"""The figure's builder: mesh operations on known shapes, and the contents of the built file."""

from __future__ import annotations

import numpy as np
import pytest

from builder.figure.makehuman import merge_weights, read_obj
from builder.figure.mesh import even_rims, laplacian, normals_of, subdivide
from pipeline.models.mannequin.figure import BONE, BONES, LANDMARK, VARIANTS, Figure, Group, load_figure
from pipeline.models.weights.folder import weight_path

CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
CUBE_QUADS = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


@pytest.fixture(scope="module", params=VARIANTS)
def figure(request: pytest.FixtureRequest) -> Figure:
    return load_figure(weight_path("figure.npz"), request.param)


def _grid(n: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:n, :n]
    at = np.arange(n * n).reshape(n, n)
    quads = np.stack([at[:-1, :-1], at[:-1, 1:], at[1:, 1:], at[1:, :-1]], -1).reshape(-1, 4)
    return np.stack([x.ravel(), y.ravel(), np.zeros(n * n)], 1).astype(float), quads


def test_subdivision_counts_and_means() -> None:
    stencil, fine = subdivide(CUBE_QUADS, 8)
    assert stencil.shape == (8 + 12 + 6, 8) and len(fine) == 24
    np.testing.assert_allclose(np.asarray(stencil.sum(1)).ravel(), 1)
    points = stencil @ CUBE
    np.testing.assert_allclose(points.mean(0), 0, atol=1e-12)
    # Catmull and Clark: a cube's corner (1, 1, 1) goes to 5/9 of it, a face's middle stays, an edge's goes to 3/4.
    np.testing.assert_allclose(np.abs(points[:8]), 5 / 9)
    np.testing.assert_allclose(np.abs(points[-6:]).sum(1), 1)
    assert (np.einsum("fi,fi->f", normals_of(points, fine), points) > 0).all()


def test_subdivision_keeps_a_flat_open_sheet_flat_and_its_rim_a_line() -> None:
    places, quads = _grid(5)
    stencil, fine = subdivide(quads, len(places))
    points = stencil @ places
    np.testing.assert_allclose(points[:, 2], 0)
    assert points[:, 0].min() == 0 and points[:, 0].max() == 4
    assert len(fine) == 4 * len(quads)


def test_a_zigzag_hem_becomes_a_plane() -> None:
    turns = 24
    rows = 6
    angle = np.arange(turns) * 2 * np.pi / turns
    zigzag = 0.3 * (np.arange(turns) % 2)
    places = np.concatenate(
        [
            np.stack([np.cos(angle), np.full(turns, float(row)) + (zigzag if row == 0 else 0), np.sin(angle)], 1)
            for row in range(rows)
        ]
    )
    ring = np.arange(turns)
    quads = np.concatenate(
        [
            np.stack([ring, np.roll(ring, -1), np.roll(ring, -1) + turns, ring + turns], 1) + row * turns
            for row in range(rows - 1)
        ]
    )
    out = even_rims(places, quads, laplacian(quads, len(places)))
    assert np.ptp(places[:turns, 1]) == pytest.approx(0.3)
    assert np.ptp(out[:turns, 1]) < 1e-9


def test_obj_and_weights_are_read() -> None:
    vertices, groups = read_obj("# c\nv 1 2 3\nv 4 5 6\nv 0 0 1\nv 7 7 7\ng body\nf 1/1 2/2 3/3 4/4\ng tri\nf 1 2 3\n")
    assert vertices.shape == (4, 3) and groups == {"body": [[0, 1, 2, 3]], "tri": [[0, 1, 2, 2]]}
    names = {"upperarm01.L": [[0, 0.5]], "finger2-1.L": [[1, 1.0]], "oris05": [[2, 0.4]], "pelvis.R": [[0, 0.5]]}
    weights = merge_weights(names, 4)
    assert weights[0, BONE["upperarm1.L"]] == weights[0, BONE["pelvis"]] == 0.5
    assert weights[1, BONE["hand.L"]] == 1 and weights[2, BONE["head"]] == 1 and weights[3].sum() == 0


def test_the_figure_has_height_one_and_faces_the_camera(figure: Figure) -> None:
    assert figure.vertices[:, 1].max() == pytest.approx(0, abs=1e-4)
    assert figure.vertices[:, 1].min() == pytest.approx(-1, abs=1e-4)
    heads = figure.heads
    marks = figure.landmarks
    assert heads[BONE["hand.L"], 0] > 0 > heads[BONE["hand.R"], 0]
    assert marks[LANDMARK["nose"], 2] < marks[LANDMARK["left_ear"], 2]
    assert marks[LANDMARK["left_toe"], 2] < marks[LANDMARK["left_heel"], 2]
    order = [heads[BONE[b], 1] for b in ("head", "neck", "chest", "pelvis", "shin1.L", "foot.L")]
    assert order == sorted(order)
    sides = [BONE[b.replace(".L", ".R")] for b in BONES if b.endswith(".L")]
    np.testing.assert_allclose(heads[[b.endswith(".L") for b in BONES]] * [-1, 1, 1], heads[sides], atol=2e-3)


def test_every_vertex_hangs_on_bones_and_every_group_is_there(figure: Figure) -> None:
    np.testing.assert_allclose(figure.bone_weight.sum(1), 1, atol=1e-3)
    assert figure.bone_index.max() < len(BONES) and figure.triangles.max() < len(figure.vertices)
    # Skirts, long hair, hats, bags, scarves and glasses are made for a picture or a prompt; the file has none.
    made = {Group.SKIRT, Group.LONG_HAIR, Group.THING, Group.WRAP, Group.GLASSES}
    assert set(np.unique(figure.groups)) == {int(group) for group in Group if group not in made}
    assert np.isfinite(figure.vertices).all() and figure.occlusion.min() >= 0 and figure.occlusion.max() <= 1
    # The sole is more occluded than the crown of the head, and the chin's underside more than the forehead.
    hair = np.unique(figure.triangles[figure.groups == Group.HAIR])
    shoes = np.unique(figure.triangles[figure.groups == Group.SHOES])
    top = hair[figure.vertices[hair, 1] < -0.98]
    sole = shoes[figure.vertices[shoes, 1] > -0.004]
    assert figure.occlusion[top].mean() > 0.9
    assert figure.occlusion[sole].mean() > 0.5 > 0
    inner = figure.occlusion[shoes].min()
    assert inner < 0.6


def test_normals_point_outwards(figure: Figure) -> None:
    a, b, c = (figure.vertices[figure.triangles[:, k]].astype(np.float64) for k in range(3))
    for group in (Group.HAIR, Group.UPPER, Group.LOWER, Group.SHOES):
        chosen = figure.groups == group
        middle = (a[chosen] + b[chosen] + c[chosen]) / 3
        facing = np.cross(b[chosen] - a[chosen], c[chosen] - a[chosen])
        # The divergence theorem: six times the volume, also of an open shell seen from its own middle.
        volume = np.einsum("fi,fi->", middle - middle.mean(0), facing)
        assert volume > 0, group.name
