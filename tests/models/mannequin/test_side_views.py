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
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path

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
