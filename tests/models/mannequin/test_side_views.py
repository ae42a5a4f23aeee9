"""A picture from the side: the depth of the head comes from the outline, and not from landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import Figure, Group, load_figure
from pipeline.models.mannequin.fitting import fit_view, posed
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.raster import rasterize
from pipeline.models.mannequin.reference import ReferenceView, view_of
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

_HEIGHT = 800.0
_SIZE_WH = 480, 860


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _drawn(figure: Figure) -> np.ndarray:
    return ~np.isin(figure.groups, sorted(Outfit().hidden))


def _profile(figure: Figure) -> ReferenceView:
    """Show the figure itself from its left, without landmarks of the face."""
    quarter = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    skeleton = relaxed_skeleton(figure) @ quarter.T * _HEIGHT + [_SIZE_WH[0] / 2, _HEIGHT + 30, 0]
    width, height = _SIZE_WH
    joints = np.concatenate([skeleton[:21, :2], np.zeros((21, 1))], axis=1)
    view = ReferenceView(
        "left",
        np.full((height, width, 3), 0.3, np.float32),
        np.zeros((height, width), np.bool_),
        joints,
        skeleton,
        _HEIGHT,
        is_whole=False,
    )
    _, places, _, _ = posed(figure, view)
    _, nearest = rasterize(places, np.ascontiguousarray(figure.triangles[_drawn(figure)]), width, height)
    return ReferenceView("left", view.colors, nearest >= 0, joints, skeleton, _HEIGHT, is_whole=False)


def _slant(figure: Figure, reference: ReferenceView) -> float:
    """Return by how many degrees the fit to a picture slants the face of the figure's rest shape."""
    fitted, _ = fit_view(figure, reference, _drawn(figure), reshape=True)
    face = np.zeros(len(figure.vertices), np.bool_)
    face[figure.triangles[figure.groups == Group.SKIN]] = True
    face &= part_shares(figure)[:, PARTS.index("head")] > 0.95
    face &= figure.vertices[:, 2] < figure.landmarks[:, 2].mean()
    height = figure.vertices[face, 1].astype(np.float64)
    forward = (fitted.vertices - figure.vertices)[face, 2]
    return float(np.degrees(np.arctan(np.polyfit(height, forward, 1)[0])))


def test_the_figures_own_profile_keeps_its_face(figure: Figure) -> None:
    assert abs(_slant(figure, _profile(figure))) < 1


def test_landmarks_of_a_profile_do_not_slant_the_face(figure: Figure) -> None:
    reference = _profile(figure)
    for name in ("nose", "left_eye", "right_eye"):
        reference.joints[JOINT[name], 2] = 1.0
    reference.joints[JOINT["nose"], :2] += [0.015 * _HEIGHT, 0.015 * _HEIGHT]
    # With the landmarks it was slanted by 5.5 degrees.
    assert abs(_slant(figure, reference)) < 1


@pytest.mark.parametrize(("yaw", "view"), [(0.0, "front"), (np.pi, "back"), (np.pi / 2, "left"), (-np.pi / 2, "right")])
def test_the_view_is_derived_from_the_joints(yaw: float, view: str) -> None:
    reference = _reference("suit")
    assert reference.reference_person is not None
    skeleton = reference.reference_person.skeleton.astype(np.float64)
    # The nose is before the ears.
    skeleton[0, 2] = -60
    centered = skeleton - [320, 0, 0]
    cos, sin = np.cos(yaw), np.sin(yaw)
    assert view_of(centered @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T) == view


@pytest.mark.parametrize(("yaw", "view"), [(1.2, "front"), (-1.2, "front"), (1.9, "left")])
def test_a_face_that_looks_into_the_camera_makes_a_front_view(yaw: float, view: str) -> None:
    """Over a shoulder too, unless it is seen from behind: else the face is the figure's own."""
    person = _reference("suit").reference_person
    assert person is not None
    skeleton = person.skeleton.astype(np.float64)
    skeleton[0, 2] = -60
    skeleton -= [320, 0, 0]
    cos, sin = np.cos(yaw), np.sin(yaw)
    turned = skeleton @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
    head = [JOINT[name] for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear")]
    assert view_of(turned) != "front"
    turned[head] = skeleton[head]
    # A nose beside the ears, as far as it goes with a face.
    turned[0, 0] -= 5
    assert view_of(turned) == view
