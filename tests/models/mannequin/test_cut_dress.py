"""Half bodies: a dress is no trousers, arms are bare or not, and a face in a portrait is read in place."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.joints import JOINT
from pipeline.models.mannequin.bare_arms import bares_shoulders, bares_upper_arms
from pipeline.models.mannequin.cut_dress import continues_as_dress
from pipeline.models.mannequin.deformation import PARTS, part_shares
from pipeline.models.mannequin.figure import BONE, LANDMARK, Figure, load_figure
from pipeline.models.mannequin.fitting import fit_view
from pipeline.models.mannequin.hair_region import HairRegion
from pipeline.models.mannequin.long_hair import _half_widths
from pipeline.models.mannequin.outfit import Outfit
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.reference import ReferenceView, make_view
from pipeline.models.mannequin.rotations import exp_rotation, log_rotation
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

_SKIN, _HAIR, _GREEN, _BLUE = (0.55, 0.32, 0.22), (0.02, 0.015, 0.012), (0.1, 0.2, 0.06), (0.05, 0.08, 0.3)
_UNIT = 65


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _half_body(
    legs: tuple[float, ...] = _GREEN, shoulders: tuple[float, ...] = _SKIN, hair_end: int = 330, cut_row: float = 640
) -> ReferenceView:
    """Somebody in green who faces the camera, 1000 px tall, down to the thighs."""
    size = (640, 420)
    body, colors = np.zeros(size, np.uint8), np.zeros((*size, 3), np.float32)
    arms = [((110, 310), (80, 470)), ((310, 310), (340, 470))]
    for low, high, x0, x1, color in ((290, 540, 100, 320, _GREEN), (540, 640, 100, 320, legs)):
        cv2.rectangle(body, (x0, low), (x1, high), 1, -1)
        cv2.rectangle(colors, (x0, low), (x1, high), color, -1)
    for start, stop in arms:
        middle = tuple(np.rint(np.add(start, np.subtract(stop, start) * 0.6)).astype(int).tolist())
        cv2.line(colors, middle, stop, _SKIN, 40)
        cv2.line(colors, start, middle, shoulders, 40)
        cv2.line(body, start, stop, 1, 40)
    for area, paint in ((body, 1), (colors, _HAIR)):
        cv2.rectangle(area, (135, 60), (285, hair_end), paint, -1)
    for area, paint in ((body, 1), (colors, _SKIN)):
        cv2.ellipse(area, (210, 185), (50, 75), 0, 0, 360, paint, -1)
    skeleton = np.full((23, 3), np.nan)
    at = {
        "nose": (210, 185), "left_eye": (228, 150), "right_eye": (192, 150), "left_shoulder": (310, 310),
        "right_shoulder": (110, 310), "left_elbow": (340, 470), "right_elbow": (80, 470), "left_hip": (260, 560),
        "right_hip": (160, 560),
    }  # fmt: skip
    for name, place in at.items():
        skeleton[JOINT[name]] = [*place, 0]
    joints = np.concatenate([skeleton[:21, :2], np.ones((21, 1))], 1)
    return ReferenceView("front", colors, body > 0, joints, skeleton, 1000.0, False, cut_row)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (_half_body(), True),
        (_half_body(legs=_BLUE), False),
        (_half_body(shoulders=_GREEN), False),
        (_half_body(hair_end=150), False),
        (_half_body(cut_row=float("inf")), False),
        (_half_body(cut_row=565), False),
        (replace(_half_body(), view="back"), False),
    ],
)
def test_only_one_cloth_under_bare_shoulders_and_long_hair_is_a_dress(view: ReferenceView, expected: bool) -> None:
    assert continues_as_dress(view) is expected


def test_short_sleeves_bare_the_arms_and_not_the_shoulders() -> None:
    view = _half_body(shoulders=_GREEN)
    assert bares_upper_arms(view) and not bares_shoulders(view)
    # As little in the shade, where a color is as far from the face's as from the cloth's.
    shaded = replace(view, colors=view.colors * np.where(np.arange(640) > 200, 0.4, 1)[:, None, None])
    assert bares_upper_arms(shaded)
    sleeved = view.colors.copy()
    sleeved[300:] = _GREEN
    hidden = replace(view, colors=sleeved)
    assert not bares_upper_arms(hidden) and not bares_upper_arms(replace(view, view="back"))


def test_hair_that_lies_on_the_shoulders_does_not_stand_off_the_head() -> None:
    rows, columns = np.mgrid[:500, :600]
    flaring = np.abs(columns - 300) < 60 + np.maximum(rows - 200, 0)
    hair = HairRegion(flaring, np.zeros(3), np.ones(3), np.array([300.0, 150.0]), _UNIT, (400.0, 400.0))
    widths = _half_widths(hair, np.linspace(100, 400, 26), 300.0)
    assert widths.min() > 55 and widths.max() < 80
    straight = replace(hair, mask=np.abs(columns - 300) < 70)
    assert _half_widths(straight, np.linspace(100, 400, 26), 300.0) == pytest.approx(70, abs=1)


@pytest.mark.parametrize("tilt", [0.4, -0.5])
def test_a_head_is_held_as_a_still_shows_it(figure: Figure, tilt: float) -> None:
    skeleton = relaxed_skeleton(figure) * 1000.0
    names = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    face = [JOINT[name] for name in names]
    turn = exp_rotation(np.array([0.0, 0.0, tilt]))
    marks = np.array([figure.landmarks[LANDMARK[name]] for name in names])
    skeleton[face] = (marks - marks.mean(axis=0)) @ turn.T * 1000 + skeleton[face].mean(axis=0)

    def roll(is_still: bool) -> float:
        head = Poser(figure, is_still=is_still).pose(skeleton.astype(np.float32), 1000.0).linear[BONE["head"]] / 1000
        return float(log_rotation(head)[2])

    assert roll(True) == pytest.approx(tilt, abs=0.03)
    assert abs(roll(False)) < 0.8 * abs(tilt)


@pytest.fixture(scope="module")
def portrait() -> Appearance:
    """The suit's man to the hips, with a wide bob around the face."""
    whole = _reference("suit")
    assert whole.reference is not None and whole.reference_person is not None
    person = whole.reference_person
    rows = np.flatnonzero(person.mask.any(1))
    eyes = person.joints[1:3, :2].mean(0)
    bob = np.zeros(person.mask.shape, np.uint8)
    cv2.rectangle(bob, (round(eyes[0]) - 110, int(rows[0])), (round(eyes[0]) + 95, round(eyes[1]) + 70), 1, -1)
    face = np.zeros_like(bob)
    cv2.ellipse(face, (round(eyes[0]), round(eyes[1]) + 25), (36, 55), 0, 0, 360, 1, -1)
    picture = whole.reference.copy()
    picture[(bob > 0) & (face == 0)] = (150, 40, 30, 255)
    end = 600
    joints = person.joints.copy()
    joints[joints[:, 1] > end, 2] = 0
    cut = replace(person, mask=(person.mask | (bob > 0))[:end], joints=joints)
    return Appearance(reference=picture[:end], reference_person=cut)


def test_wide_hair_stretches_and_bends_no_face(figure: Figure, portrait: Appearance) -> None:
    assert portrait.reference is not None and portrait.reference_person is not None
    view = make_view(portrait.reference, portrait.reference_person)
    assert view is not None and np.isfinite(view.cut_row)
    drawn = ~np.isin(figure.groups, sorted(Outfit().hidden))
    _, fitted = fit_view(figure, view, drawn, reshape=False)
    skull = np.flatnonzero(part_shares(figure)[:, PARTS.index("head")] > 0.9)

    def laid(mark: np.ndarray) -> np.ndarray:
        near = np.linalg.norm(figure.vertices[skull] - mark, axis=1).argsort()[:6]
        return np.asarray(fitted.places[skull[near], :2].mean(0))

    ears = [laid(figure.landmarks[LANDMARK[f"{side}_ear"]])[0] for side in ("left", "right")]
    seen = [view.joints[JOINT[f"{side}_ear"], 0] for side in ("left", "right")]
    assert ears == pytest.approx(seen, abs=25)
    eyes = [figure.landmarks[LANDMARK[f"{side}_eye"]] for side in ("left", "right")]
    chin = laid(np.mean(eyes, axis=0) + np.array([0, 0.065, 0]))
    assert chin[0] == pytest.approx(view.joints[JOINT["nose"], 0], abs=8)
