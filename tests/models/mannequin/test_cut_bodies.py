"""Reference pictures that end above the feet: what is not in the picture is no evidence."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.datatypes.appearance import Appearance
from pipeline.datatypes.survey import Person
from pipeline.joints import HIPS, JOINT, NUM_JOINTS, NUM_SKELETON, SHOULDERS
from pipeline.models.mannequin.bodies import load_bodies
from pipeline.models.mannequin.cut_body import measurable, with_guesses_hung
from pipeline.models.mannequin.cut_texture import cut_off, far_beside, with_matching_legs, with_matching_top
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import LANDMARK, Group, load_figure
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES
from pipeline.models.mannequin.outfit import Outfit, outfit_of
from pipeline.models.mannequin.person import make_person
from pipeline.models.mannequin.proportions import Proportions, head_factor, with_proportions
from pipeline.models.mannequin.reference import ReferenceView, make_view
from pipeline.models.weights.folder import weight_path
from tests.models.mannequin.test_mannequin import _reference

BODIES = load_bodies(weight_path("figure.npz"), "auto")

_AT = {"ear": (0.05, 0.07), "shoulder": (0.11, 0.19), "elbow": (0.2, 0.3), "wrist": (0.3, 0.42), "hip": (0.06, 0.46),
       "knee": (0.06, 0.7), "ankle": (0.06, 0.94), "heel": (0.06, 0.97), "toe": (0.08, 0.98), "eye": (0.02, 0.06),
       "hand": (0.33, 0.46)}  # fmt: skip
HEIGHT = 600.0


def body() -> tuple[np.ndarray, np.ndarray]:
    """Return joints (21, 3) and skeleton (23, 3) of somebody who stands, 600 px tall, about x 200."""
    skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
    for part, (x, y) in _AT.items():
        for side, sign in (("left", 1), ("right", -1)):
            skeleton[JOINT[f"{side}_{part}"], :2] = [200 + sign * x * HEIGHT, y * HEIGHT]
    skeleton[JOINT["nose"], :2] = [200, 0.08 * HEIGHT]
    joints = np.ones((NUM_JOINTS, 3), np.float32)
    joints[:, :2] = skeleton[:NUM_JOINTS, :2]
    return joints, skeleton


def drawn_into(end: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the same as a landmark model sees them in a picture that ends at a row: squeezed into it, and unsure."""
    joints, skeleton = body()
    for part in ("hip", "knee", "ankle", "heel", "toe"):
        for side in ("left", "right"):
            row = JOINT[f"{side}_{part}"]
            skeleton[row, 1] = end - 5 if part == "hip" else end + 60
            joints[row] = [*skeleton[row, :2], 0.9 if part == "hip" else 0.05]
    return joints, skeleton


def test_a_portrait_keeps_the_trunk_that_its_head_tells() -> None:
    end = 0.4 * HEIGHT
    joints, skeleton = drawn_into(end)
    hung = with_guesses_hung(skeleton.astype(np.float64), joints.astype(np.float64), end)
    trunk = hung[HIPS, 1].mean() - hung[SHOULDERS, 1].mean()
    assert trunk == pytest.approx(0.27 * HEIGHT, rel=0.05)
    legs = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("knee", "ankle", "toe")]
    assert np.isnan(hung[legs]).all()


def test_hips_that_are_seen_stay() -> None:
    end = 0.6 * HEIGHT
    joints, skeleton = body()
    hung = with_guesses_hung(skeleton.astype(np.float64), joints.astype(np.float64), end)
    assert np.array_equal(hung[HIPS], skeleton[HIPS].astype(np.float64))


def test_lengths_are_measured_inside_the_picture_only() -> None:
    _, skeleton = body()
    known = measurable(skeleton.astype(np.float64), (400, 600), 0.4 * HEIGHT)
    assert np.isfinite(known[SHOULDERS]).all()
    assert np.isnan(known[[JOINT["left_wrist"], *HIPS]]).all()


def picture_until(end: float) -> tuple[np.ndarray, Person]:
    joints, skeleton = drawn_into(end)
    picture = np.full((int(end), 400, 3), 40, np.uint8)
    mask = np.zeros(picture.shape[:2], bool)
    mask[20:, 120:280] = True
    return picture, Person(np.array([120.0, 20, 280, end]), 1.0, joints, skeleton, mask)


def test_a_view_knows_where_its_picture_ends() -> None:
    view = make_view(*picture_until(0.4 * HEIGHT))
    assert view is not None and not view.is_whole
    assert view.cut_row == np.flatnonzero(view.mask.any(1))[-1] + 1
    assert 0.85 * HEIGHT < view.height_px < 1.05 * HEIGHT


def test_a_head_alone_is_not_fitted() -> None:
    picture, person = picture_until(0.4 * HEIGHT)
    unsure = person.joints.copy()
    unsure[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 2] = 0.1
    assert make_view(picture, person) is not None
    assert make_view(picture, replace(person, joints=unsure)) is None


def test_a_picture_says_nothing_far_beside_the_person() -> None:
    view = make_view(*picture_until(0.4 * HEIGHT))
    assert view is not None
    apart = cv2.distanceTransform((~view.mask).astype(np.uint8), cv2.DIST_L2, 5)
    beside = far_beside(view)
    assert beside[apart > 0.015 * HEIGHT].all() and not beside[apart < 0.005 * HEIGHT].any()


@pytest.mark.parametrize("end", [0.4, 0.43])
def test_hands_and_trousers_below_the_border_are_not_colored_by_sleeve_and_top(end: float) -> None:
    # With the second end the wrist is just above the border, and its hand is not.
    view = make_view(*picture_until(end * HEIGHT))
    assert isinstance(view, ReferenceView)
    groups = np.array([Group.SKIN, Group.SKIN, Group.LOWER, Group.LEG, Group.UPPER], np.uint8)
    parts = np.array([PARTS.index(name) for name in ("arm.L", "head", "leg.L", "leg.L", "torso")])
    assert cut_off(view, parts, groups).tolist() == [True, False, True, True, False]


def test_visible_trousers_continue_in_their_mean_color() -> None:
    groups = np.array([Group.LOWER, Group.LOWER, Group.LEG, Group.UPPER], np.uint8)
    corners = np.zeros((4, 3, 3), np.float32)
    corners[:, :, 1] = np.array([-0.5, -0.45, -0.2, -0.7])[:, None]
    fine = np.zeros((4, NUM_SAMPLES, 3), np.float32)
    fine[:2] = [[0.2, 0.4, 0.1]]
    known = np.zeros((4, NUM_SAMPLES), bool)
    known[:2] = True
    out, done = with_matching_legs(fine, known, corners, groups)
    assert np.allclose(out[2], [0.2, 0.4, 0.1])
    assert done[:3].all() and not done[3].any()


def test_a_top_below_the_border_turns_into_the_cloth_of_its_sides() -> None:
    groups = np.array([Group.UPPER] * 4 + [Group.LOWER], np.uint8)
    parts = np.full(5, PARTS.index("torso"))
    corners = np.zeros((5, 3, 3), np.float32)
    # A tie in the middle, cloth at the side, and what would be filled from the tie: just below the border, and the hem.
    corners[:, :, 0] = np.array([0, 0.09, 0, 0, 0])[:, None]
    corners[:, :, 1] = np.array([-0.75, -0.74, -0.735, -0.6, -0.5])[:, None]
    fine = np.full((5, NUM_SAMPLES, 3), 0.5, np.float32)
    fine[1] = 0.1
    known = np.zeros((5, NUM_SAMPLES), bool)
    known[:2] = True
    out = with_matching_top(fine, known, corners, groups, parts)
    np.testing.assert_array_equal(out[[0, 1, 4]], fine[[0, 1, 4]])
    assert (out[2] > 0.4).all()
    np.testing.assert_allclose(out[3], 0.1, atol=1e-6)


def test_without_visible_trousers_the_figure_keeps_its_own_or_the_suits() -> None:
    picture, person = picture_until(0.4 * HEIGHT)
    assert outfit_of(Appearance(reference=picture, reference_person=person)).colors["lower"] == (40.0, 40.0, 40.0)
    picture[:] = [200, 40, 40]
    assert outfit_of(Appearance(reference=picture, reference_person=person)).colors["lower"] == Outfit().colors["lower"]


def test_a_small_childs_head_is_as_large_as_its_eyes_say() -> None:
    figure = load_figure(weight_path("figure.npz"), "auto")
    large = with_proportions(figure, Proportions(head=head_factor(figure, 1.6)))
    eyes = [LANDMARK["left_eye"], LANDMARK["right_eye"]]
    grown, own = (float(np.ptp(each.landmarks[eyes, 0])) for each in (large, figure))
    assert grown == pytest.approx(1.6 * own, rel=0.03)
    assert np.ptp(large.vertices[:, 1]) == pytest.approx(1, abs=1e-5)
    assert head_factor(figure, 1.0) == 1.0


def test_a_half_body_is_fitted_and_the_result_says_what_is_the_figures_own() -> None:
    whole = _reference("suit")
    assert whole.reference is not None and whole.reference_person is not None
    end = int(whole.reference_person.joints[HIPS, 1].mean()) + 40
    person = replace(whole.reference_person, mask=whole.reference_person.mask[:end])
    person.joints[[JOINT["left_knee"], JOINT["right_knee"]], 2] = 0.1
    made = make_person(BODIES, replace(whole, reference=whole.reference[:end], reference_person=person))
    assert made.fit.overlap is not None and made.fit.overlap > 0.93
    (warning,) = made.warnings
    assert "above the feet" in warning
    # Trousers below the border are as dark as those above it.
    groups = made.figure.groups[made.drawn]
    upper, lower = (made.colors.fine[groups == group].mean() for group in (Group.UPPER, Group.LEG))
    assert 0.3 < lower / upper < 3


def test_thin_hair_of_a_half_body_is_not_taken_for_the_masks_border() -> None:
    """What a mask misses is a fraction of what is shown, not of the whole person."""
    picture, person = picture_until(0.4 * HEIGHT)
    picture[:26] = 250
    picture[26:] = (160, 110, 90)
    view = make_view(picture[..., :3], person)
    assert view is not None
    assert view.colors[:12, view.colors.shape[1] // 2, 2].max() > 0.9
