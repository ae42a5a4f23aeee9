"""What a picture hardly shows of a body is plain, and the far side of a turned head is like the near one."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.joints import JOINT
from pipeline.models.mannequin.deformation import PARTS
from pipeline.models.mannequin.figure import Figure, Group, load_figure
from pipeline.models.mannequin.mesh_colors import NUM_SAMPLES, sample_grid
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.turned_head import with_far_side_mirrored
from pipeline.models.mannequin.unclear_body import (
    is_unclear,
    plain_cloth,
    usual_color,
    with_plain_arms,
    with_plain_gaps,
)
from pipeline.models.weights.folder import weight_path

RED, BLUE = np.array([0.5, 0.1, 0.1], np.float32), np.array([0.1, 0.1, 0.5], np.float32)


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def _places(figure: Figure, triangles: np.ndarray) -> np.ndarray:
    return np.einsum("sk,tkd->tsd", sample_grid()[1], figure.vertices[triangles])


def test_the_far_side_of_a_turned_head_is_like_the_near_one(figure: Figure) -> None:
    triangles = figure.triangles[figure.groups == Group.HAIR]
    groups = np.full(len(triangles), Group.HAIR, np.uint8)
    parts = np.full(len(triangles), PARTS.index("head"))
    is_left = _places(figure, triangles)[..., 0] > 0
    fine = np.where(is_left[..., None], RED, BLUE)
    out, shown = with_far_side_mirrored(fine, is_left.astype(np.float32), figure, triangles, groups, parts)
    assert np.mean(np.abs(out - RED).max(axis=2) < 0.01) > 0.97
    assert shown.mean() > 0.97
    # From the front both sides are shown alike, and a parting stays where it is.
    same, _ = with_far_side_mirrored(fine, np.ones_like(shown), figure, triangles, groups, parts)
    assert np.array_equal(same, fine)


@pytest.mark.parametrize(("degrees", "unclear"), [(0, False), (18, False), (25, True), (-45, True)])
def test_a_body_that_is_turned_aside_is_unclear(degrees: float, unclear: bool) -> None:
    skeleton = np.full((23, 3), np.nan)
    for side, sign in (("left", 1), ("right", -1)):
        angle = np.radians(degrees)
        skeleton[JOINT[f"{side}_shoulder"]] = [100 + 50 * sign * np.cos(angle), 50, 50 * sign * np.sin(angle)]
    colors = np.zeros((200, 200, 3), np.float32)
    view = ReferenceView("front", colors, colors[..., 0] == 0, np.ones((21, 3)), skeleton, 200.0, True)
    assert is_unclear(view) is unclear


def test_a_plain_cloth_has_the_usual_color_of_what_is_seen() -> None:
    colors = np.tile(BLUE, (60, NUM_SAMPLES, 1))
    colors[30:] = RED
    groups = np.full(60, Group.UPPER, np.uint8)
    seen = np.zeros((60, NUM_SAMPLES), bool)
    seen[:30] = True
    out = plain_cloth(colors, seen, np.ones(60, bool), groups)
    assert np.allclose(out, BLUE)
    assert np.array_equal(plain_cloth(colors, seen & False, np.ones(60, bool), groups), colors)


def test_gaps_of_a_vague_garment_are_plain_away_from_what_is_seen(figure: Figure) -> None:
    triangles = figure.triangles[figure.groups == Group.UPPER]
    groups = np.full(len(triangles), Group.UPPER, np.uint8)
    place = _places(figure, triangles)
    known = place[..., 0] > 0
    filled = np.where(known[..., None], BLUE, RED)
    vague = np.ones(len(triangles), bool)
    out = with_plain_gaps(filled, known, figure, triangles, groups, vague, ~vague)
    assert np.allclose(out[place[..., 0] < -0.02], BLUE)
    assert np.array_equal(out[known], filled[known])
    assert np.array_equal(with_plain_gaps(filled, known, figure, triangles, groups, ~vague, vague), filled)
    # What is seen of arms is usual for arms, and for nothing else.
    arms = np.abs(place[..., 0]).min(1) > 0.09
    bare = np.where((known & arms[:, None])[..., None], RED, filled)
    out = with_plain_gaps(bare, known, figure, triangles, groups, vague, arms)
    assert np.allclose(out[arms & (place[..., 0].max(1) < -0.02)], RED)
    assert np.allclose(out[~arms & (place[..., 0].max(1) < -0.02)], BLUE)


def test_the_usual_color_of_several_is_one_of_them() -> None:
    """The median of each channel would be a fourth color."""
    green = np.array([0.05, 0.3, 0.1], np.float32)
    colors = np.concatenate([np.tile(color, (n, 1)) for color, n in ((RED, 30), (BLUE, 32), (green, 38))])
    assert np.allclose(usual_color(colors), green)
    shaded = green * np.linspace(0.9, 1.1, 60, dtype=np.float32)[:, None]
    assert np.allclose(usual_color(np.concatenate([shaded, np.tile(RED, (20, 1))])), green, rtol=0.03)


@pytest.mark.parametrize("bare", [False, True])
def test_arms_that_a_portrait_ends_in_are_plain(bare: bool) -> None:
    skin = np.array([0.45, 0.28, 0.2], np.float32)
    parts = np.repeat([PARTS.index(part) for part in ("torso", "arm.L", "arm.R")], 40)
    groups = np.full(120, Group.UPPER, np.uint8)
    groups[100:] = Group.SKIN
    colors = np.tile(BLUE, (120, NUM_SAMPLES, 1))
    # One arm is seen well, the other at a glance, with background.
    colors[40:80] = 0.6 * skin if bare else 1.1 * BLUE
    colors[80:] = [0.1, 0.6, 0.1]
    known = np.ones((120, NUM_SAMPLES), bool)
    known[60:] = False
    well_seen = known.copy()
    well_seen[80:] = False
    arms = [PARTS.index("arm.L"), PARTS.index("arm.R")]
    out, now_known = with_plain_arms(colors, known, well_seen, groups, parts, arms, skin)
    assert np.allclose(out[40:100], 0.6 * skin if bare else BLUE, rtol=0.01)
    # A hand below a bare arm is of its color; below a sleeve it stays.
    assert np.allclose(out[100:], 0.6 * skin if bare else colors[100:], rtol=0.01)
    assert np.array_equal(out[:40], colors[:40]) and now_known[:100].all() and now_known[100:].all() == bare
    assert np.array_equal(with_plain_arms(colors, known, well_seen, groups, parts, [], skin)[0], colors)
