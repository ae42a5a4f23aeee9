"""Skirts: detected where present, not where legs are visible, and the motion of the added cloth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.joints import JOINT
from pipeline.models.mannequin.bodies import load_bodies
from pipeline.models.mannequin.figure import BONE, Figure, Group, load_figure
from pipeline.models.mannequin.hanging import find_hanging, hides_shins
from pipeline.models.mannequin.person import NewPerson, make_person
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.raster import skin
from pipeline.models.mannequin.reference import make_view
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

BODIES = load_bodies(weight_path("figure.npz"), "auto")

HEM = 900


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _in_a_skirt(longer_at_sides: int = 0) -> Appearance:
    """The suit's man in a red tube from the hips to the calves, whose hem may rise to its middle (px)."""
    reference = _reference("suit")
    assert reference.reference is not None and reference.reference_person is not None
    side = HEM + longer_at_sides
    corners = np.array([(250, 520), (390, 520), (430, side), (320, HEM), (210, side)], np.int32)
    cloth = cv2.fillPoly(np.zeros(reference.reference.shape[:2], np.uint8), [corners], 1) > 0
    picture = reference.reference.copy()
    picture[cloth] = (170, 30, 40, 255)
    mask = reference.reference_person.mask | cloth
    return Appearance(reference=picture, reference_person=replace(reference.reference_person, mask=mask))


@pytest.fixture(scope="module")
def skirted() -> NewPerson:
    return make_person(BODIES, _in_a_skirt())


def test_a_skirt_is_detected_and_trousers_are_not() -> None:
    for appearance, expected in ((_in_a_skirt(), True), (_reference("suit"), False), (_reference("sport"), False)):
        assert appearance.reference is not None and appearance.reference_person is not None
        view = make_view(appearance.reference, appearance.reference_person)
        assert view is not None
        cloth = find_hanging(view)
        assert (cloth is not None) == expected
    appearance = _in_a_skirt()
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    cloth = find_hanging(view)
    assert cloth is not None
    rows = np.flatnonzero(appearance.reference_person.mask.any(1))
    hem = (cloth.rows[-1] - 8) / view.height_px * (rows[-1] - rows[0] + 1) + rows[0]
    assert hem == pytest.approx(HEM, abs=10)


def test_a_hem_may_hang_lower_at_the_sides() -> None:
    rises = []
    for longer in (0, 12):
        appearance = _in_a_skirt(longer)
        assert appearance.reference is not None and appearance.reference_person is not None
        view = make_view(appearance.reference, appearance.reference_person)
        assert view is not None
        cloth = find_hanging(view)
        assert cloth is not None and cloth.drops is not None
        rises.append(cloth.drops[[0, -1]].mean() - cloth.drops[7])
        # Trousers under it are shown, unless it reaches the ankles.
        assert not hides_shins(cloth, view)
        assert hides_shins(replace(cloth, rows=cloth.rows + 0.1 * view.height_px), view)
    assert abs(rises[0]) < 0.5 and rises[1] > 1.5


def test_legs_held_together_are_no_skirt() -> None:
    appearance = _in_a_skirt()
    assert appearance.reference is not None and appearance.reference_person is not None
    person = appearance.reference_person
    joints = person.joints.copy()
    skeleton = person.skeleton.copy()
    for part in ("hip", "knee", "ankle"):
        for side, x in (("left", 345), ("right", 295)):
            joints[JOINT[f"{side}_{part}"], 0] = skeleton[JOINT[f"{side}_{part}"], 0] = x
    view = make_view(appearance.reference, replace(person, joints=joints, skeleton=skeleton))
    assert view is not None and find_hanging(view) is None


def test_the_skirt_is_grown_colored_and_hides_the_legs(skirted: NewPerson) -> None:
    made = skirted
    assert made.fit.overlap is not None and made.fit.overlap > 0.94 and made.warnings == ()
    groups = made.figure.groups[made.drawn]
    assert (groups == Group.SKIRT).sum() > 1000
    tone = made.colors.fine[groups == Group.SKIRT].mean((0, 1))
    assert tone[0] > 5 * tone[1]
    skirt = made.figure.vertices[np.unique(made.figure.triangles[made.figure.groups == Group.SKIRT])]
    ring = skirt[skirt[:, 1] > skirt[:, 1].max() - 0.03]
    lowest = [ring[np.hypot(*(ring[:, [0, 2]] - place).T) < 0.03, 1].max() for place in ring[:, [0, 2]]]
    legs = made.figure.vertices[made.figure.triangles[made.drawn][np.isin(groups, [Group.LOWER, Group.LEG])]]
    # But for the triangles that reach to the hem: cut off above it, legs would end in a zigzag below the cloth.
    assert (legs[:, :, 1].max(1) > min(lowest) - 0.016).all() and (legs[:, :, 1] > min(lowest) - 0.04).all()
    # And they go on beneath it, so that no hole shows between hem and legs.
    assert legs[:, :, 1].max(1).min() < min(lowest) - 0.01


def test_the_skirt_follows_a_step(skirted: NewPerson) -> None:
    made = skirted.figure
    vertices = np.unique(made.triangles[made.groups == Group.SKIRT])
    standing = relaxed_skeleton(made) * 300
    step = standing.copy()
    for part, forward in (("knee", 45), ("ankle", 70), ("heel", 70), ("toe", 70)):
        step[JOINT[f"left_{part}"], 2] -= forward
        step[JOINT[f"left_{part}"], 1] -= 8
    low = made.vertices[vertices, 1] > made.vertices[vertices, 1].max() - 0.05
    places = []
    for skeleton in (standing, step):
        pose = Poser(made).pose(skeleton.astype(np.float32), 300.0)
        linear = pose.linear.astype(np.float32)
        offset = pose.offset.astype(np.float32)
        placed = skin(made.vertices, made.bone_index, made.bone_weight, linear, offset)[vertices]
        places.append(placed - np.float32(pose.apply("pelvis", made.heads[BONE["pelvis"]])))
    moved = places[1] - places[0]
    left = made.vertices[vertices, 0] > 0.03
    right = made.vertices[vertices, 0] < -0.03
    assert moved[low & left, 2].mean() < -15
    assert abs(float(moved[low & right, 2].mean())) < 8
    top = made.vertices[vertices, 1] < made.vertices[vertices, 1].min() + 0.02
    assert np.abs(moved[top]).max() < 4


def test_legs_apart_widen_a_skirt_and_do_not_deepen_it(skirted: NewPerson) -> None:
    appearance = _in_a_skirt()
    assert appearance.reference is not None and appearance.reference_person is not None
    view = make_view(appearance.reference, appearance.reference_person)
    assert view is not None
    cloth = find_hanging(view)
    assert cloth is not None
    assert cloth.spread[0] == 0 and cloth.spread[-1] > 0.03 * view.height_px
    made = skirted
    skirt = made.figure.vertices[np.unique(made.figure.triangles[made.figure.groups == Group.SKIRT])]
    hem = skirt[skirt[:, 1] > skirt[:, 1].max() - 0.03]
    width = (cloth.right[-1] - cloth.left[-1]) / view.height_px
    together = width - cloth.spread[-1] / view.height_px
    assert 0.5 * together < np.ptp(hem[:, 2]) < 0.75 * together
    # It hangs straight: its middle does not follow the knees.
    levels = np.linspace(skirt[:, 1].min() + 0.4 * np.ptp(skirt[:, 1]), skirt[:, 1].max() - 0.02, 8)
    rings = [skirt[np.abs(skirt[:, 1] - level) < 0.012, 2] for level in levels]
    middle = np.array([(ring.max() + ring.min()) / 2 for ring in rings])
    straight = np.polyval(np.polyfit(levels, middle, 1), levels)
    assert np.abs(middle - straight).max() < 0.012
