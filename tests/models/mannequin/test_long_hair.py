"""Hair is told from skin by its hue, and hair over the ears becomes a curtain around the head."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.light import SceneLight
from pipeline.models.mannequin.bodies import load_bodies
from pipeline.models.mannequin.figure import BONES, LANDMARK, Figure, Group, Pose, load_figure
from pipeline.models.mannequin.hair_region import HairRegion, find_hair, looks_like_hair
from pipeline.models.mannequin.hairline import hair_rim
from pipeline.models.mannequin.long_hair import with_long_hair
from pipeline.models.mannequin.mannequin import Mannequin
from pipeline.models.mannequin.person import NewPerson, make_person
from pipeline.models.mannequin.raster import vertex_normals
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.rotations import rotation_about
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

BODIES = load_bodies(weight_path("figure.npz"), "auto")

_HAIR = (150, 40, 30)
HEM = 205


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _with_hair(color: tuple[int, int, int], hem: int) -> Appearance:
    """The suit's man with hair down to a row at both sides of the face."""
    appearance = _reference("suit")
    assert appearance.reference is not None and appearance.reference_person is not None
    eyes = appearance.reference_person.joints[1:3, :2].mean(0)
    rows = np.flatnonzero(appearance.reference_person.mask.any(1))
    bob = np.zeros(appearance.reference.shape[:2], np.uint8)
    cv2.ellipse(bob, (round(eyes[0]), int(rows[0]) + 62), (62, 62), 0, 180, 360, 1, -1)
    cv2.rectangle(bob, (round(eyes[0]) - 62, int(rows[0]) + 60), (round(eyes[0]) + 62, hem), 1, -1)
    cv2.ellipse(bob, (round(eyes[0]), round(eyes[1]) + 25), (36, 55), 0, 0, 360, 0, -1)
    cv2.rectangle(bob, (round(eyes[0]) - 36, round(eyes[1]) + 25), (round(eyes[0]) + 36, hem), 0, -1)
    picture = appearance.reference.copy()
    picture[bob > 0] = (*color, 255)
    mask = appearance.reference_person.mask | (bob > 0)
    return Appearance(reference=picture, reference_person=replace(appearance.reference_person, mask=mask))


@pytest.fixture(scope="module")
def bobbed(figure: Figure) -> NewPerson:
    return make_person(BODIES, _with_hair(_HAIR, HEM))


def test_hair_in_the_shade_and_in_the_light_is_hair() -> None:
    skin = np.array([0.6, 0.35, 0.26], np.float32)
    light = np.array([0.3, 0.7, 1.3], np.float32)[:, None]
    for hair in ([0.9, 0.88, 0.85], [0.19, 0.11, 0.095], [0.5, 0.38, 0.2]):
        color = np.array(hair, np.float32)
        shades = light if color[0] > skin[0] else light[:2]
        assert looks_like_hair(color * shades, color, skin).all()
        assert not looks_like_hair(skin * light[1:], color, skin).any()


def test_only_hair_that_hangs_down_on_both_sides_covers_the_ears() -> None:
    for appearance, expected in (
        (_with_hair(_HAIR, HEM), True),
        (_reference("suit"), False),
        (_reference("sport"), False),
    ):
        assert appearance.reference is not None and appearance.reference_person is not None
        view = make_view(appearance.reference, appearance.reference_person)
        assert view is not None
        hair = find_hair(view)
        assert hair is not None and hair.covers_ears == expected
        nose = view.joints[0, :2].astype(int)
        assert hair.mask[20:40].any() and not hair.mask[nose[1], nose[0]]
        if expected:
            top = np.flatnonzero(appearance.reference_person.mask.any(1))[0]
            assert np.subtract(hair.hems, HEM - top) == pytest.approx([8, 8], abs=6)


def test_a_bob_hangs_around_the_head_and_hides_the_ears(bobbed: NewPerson, figure: Figure) -> None:
    assert bobbed.warnings == () and bobbed.fit.overlap is not None and bobbed.fit.overlap > 0.94
    own = bobbed.figure
    triangles = own.triangles[bobbed.drawn]
    groups = own.groups[bobbed.drawn]
    curtain = own.vertices[np.unique(triangles[groups == Group.LONG_HAIR])]
    skull = own.vertices[np.unique(triangles[groups == Group.HAIR])]
    ear = own.landmarks[LANDMARK["left_ear"]]
    assert curtain[:, 2].max() > skull[:, 2].max() - 0.002
    assert curtain[np.abs(curtain[:, 1] - ear[1]) < 0.01, 0].max() > ear[0] - 0.002
    # Below the mouth, at the sides and behind.
    mouth = own.landmarks[LANDMARK["nose"], 1] + 0.025
    for part in (curtain[np.abs(curtain[:, 0]) > 0.03], curtain[curtain[:, 2] > 0.03]):
        assert part[:, 1].max() > mouth
    tone = np.median(bobbed.colors.fine[groups == Group.LONG_HAIR].reshape(-1, 3), axis=0)
    assert tone[0] > 3 * tone[1]


def test_a_bob_begins_beside_the_face_as_in_the_picture(bobbed: NewPerson) -> None:
    figure = bobbed.figure
    hair = figure.vertices[np.unique(figure.triangles[figure.groups == Group.LONG_HAIR])]
    ear = figure.landmarks[LANDMARK["left_ear"]]
    beside = hair[(np.abs(hair[:, 1] - ear[1]) < 0.015) & (hair[:, 2] < ear[2]) & (hair[:, 0] * ear[0] > 0)]
    # From in front the ears are behind it.
    assert np.abs(beside[:, 0]).min() < 0.75 * np.abs(hair[:, 0]).max()


def test_a_bob_turns_with_the_head_and_its_inside_is_drawn(bobbed: NewPerson) -> None:
    rows = np.unique(bobbed.figure.triangles[bobbed.figure.groups == Group.LONG_HAIR])
    head = BONES.index("head")
    weights = np.where(bobbed.figure.bone_index[rows] == head, bobbed.figure.bone_weight[rows], 0).sum(1)
    assert weights.min() > 0.5 and (weights > 0.99).mean() > 0.5
    mannequin = Mannequin(weight_path("figure.npz"))
    mannequin.become(bobbed)
    offset = np.tile(np.array([150.0, 1020.0, 0.0]), (len(BONES), 1))
    for yaw in (0.0, np.pi):
        cos, sin = np.cos(yaw), np.sin(yaw)
        turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) * 1000
        pose = Pose(np.repeat(turn[None], len(BONES), 0), offset)
        layer = mannequin._draw(pose, 1000, (300, 300), 0.0, SceneLight.daylight(1))
        assert layer.alpha is not None
        red = (layer.alpha > 250) & (layer.picture[..., 0] > 2 * layer.picture[..., 1].astype(int))
        # Beside the neck, below the ears: seen from the front it is its outside or its inside.
        band = red[int(1020 + 1000 * bobbed.figure.landmarks[LANDMARK["nose"], 1]) + 20]
        assert band[105:150].any() and band[150:195].any()


@pytest.mark.parametrize(("color", "lowest"), [(_HAIR, 300), ((40, 38, 37), 250)])
def test_hair_ends_at_the_neck_where_the_jacket_looks_like_it(color: tuple[int, int, int], lowest: int) -> None:
    appearance = _with_hair(color, 300)
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    hair = find_hair(view)
    assert hair is not None and hair.covers_ears
    top = np.flatnonzero(appearance.reference_person.mask.any(1))[0]
    assert np.subtract(hair.hems, lowest - top) == pytest.approx([8, 8], abs=14)


def test_long_hair_lies_on_the_back(figure: Figure) -> None:
    made = make_person(BODIES, _with_hair(_HAIR, 300))
    triangles, groups = made.figure.triangles[made.drawn], made.figure.groups[made.drawn]
    curtain = made.figure.vertices[np.unique(triangles[groups == Group.LONG_HAIR])]
    jacket = made.figure.vertices[np.unique(triangles[groups == Group.UPPER])]
    hem = curtain[curtain[:, 1] > curtain[:, 1].max() - 0.02]
    hem = hem[(hem[:, 2] > 0.03) & (np.abs(hem[:, 0]) < 0.03)]
    below = jacket[(np.abs(jacket[:, 1] - hem[:, 1].mean()) < 0.02) & (np.abs(jacket[:, 0]) < 0.03)]
    assert len(hem) > 3 and len(below) > 3
    assert np.median(hem[:, 2]) > below[:, 2].max() - 0.002


def test_the_rim_of_short_hair_is_lit_like_the_skin_below(figure: Figure) -> None:
    rim = hair_rim(figure)
    normals = vertex_normals(figure.vertices, figure.triangles)
    shaded = rim.shaded_as_skin(normals)
    assert len(rim.rows) > 200 and set(figure.groups[np.isin(figure.triangles, rim.rows).any(1)]) == {Group.HAIR}
    full = rim.rows[rim.share[:, 0] > 0.999]
    under = rim.under[rim.share[:, 0] > 0.999]
    assert len(full) > 100
    np.testing.assert_allclose(shaded[full], normals[under], atol=2e-3)
    others = np.setdiff1d(np.arange(len(normals)), rim.rows)
    np.testing.assert_array_equal(shaded[others], normals[others])


@pytest.mark.parametrize("tilt", [0.0, 0.35, -0.35])
def test_hair_of_a_tilted_head_hangs_along_it(figure: Figure, tilt: float) -> None:
    """The curtain at rest is symmetric, whatever the head's tilt in the picture."""
    scale, ground = 1000.0, [450.0, 1100.0]
    head = rotation_about(np.array([0.0, 0.0, 1.0]), tilt)
    linear = np.tile(head * scale, (len(BONES), 1, 1))
    offset = np.tile([*ground, 0.0], (len(BONES), 1))
    pose = Pose(linear, offset)
    places = (figure.vertices @ (head * scale).T + [*ground, 0.0]).astype(np.float32)
    eyes = np.mean([pose.apply("head", figure.landmarks[LANDMARK[f"{side}_eye"]])[:2] for side in ("left", "right")], 0)
    rows, columns = np.mgrid[:700, :900]
    along = np.stack([columns - eyes[0], rows - eyes[1]], -1) @ head[:2, :2]
    mask = (np.abs(along[..., 0]) < 75) & (np.abs(along[..., 1] - 40) < 110)
    hair = HairRegion(mask, np.zeros(3), np.ones(3), eyes, 65.0, (eyes[1] + 150, eyes[1] + 150))
    made = with_long_hair(figure, pose, places, 1.0, 0.0, hair, scale)
    curtain = made.vertices[np.unique(made.triangles[made.groups == Group.LONG_HAIR])]
    assert curtain[:, 0].min() == pytest.approx(-curtain[:, 0].max(), abs=0.004)
    assert np.ptp(curtain[:, 0]) == pytest.approx(0.15, abs=0.01)
    # Both sides are as long: the whole hem, and the whole upper edge, are level.
    assert [curtain[:, 1].min(), curtain[:, 1].max()] == pytest.approx([-0.99, -0.7815], abs=0.004)
