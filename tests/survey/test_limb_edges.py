"""The sides of limbs are found in a mask whose limbs are drawn with known widths."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.datatypes.survey import LIMB_PLACES, Person
from pipeline.joints import LIMBS, NUM_SKELETON
from pipeline.maths.boxes import box_of_mask
from pipeline.survey.limb_edges import limb_edges
from tests.plan.test_height import body

WIDTH_PX = 15


def drawn(joints: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The pixels (360, 640) within half of ``WIDTH_PX`` of a limb's bone."""
    pixels = np.stack(np.meshgrid(np.arange(640.0), np.arange(360.0)), axis=-1)
    mask = np.zeros((360, 640), np.bool_)
    for first, last in LIMBS.rows:
        start, bone = joints[first, :2], joints[last, :2] - joints[first, :2]
        along = np.clip((pixels - start) @ bone / (bone @ bone), 0, 1)
        mask |= np.linalg.norm(pixels - start - along[..., None] * bone, axis=-1) <= WIDTH_PX / 2
    return mask


def person(joints: NDArray[np.float32], mask: NDArray[np.bool_]) -> Person:
    skeleton = np.zeros((NUM_SKELETON, 3), np.float32)
    return Person(np.array(box_of_mask(mask), np.float64), 1.0, joints, skeleton, mask)


def spread_body() -> NDArray[np.float32]:
    """Joints (21, 3) whose limbs touch neither each other nor the trunk."""
    _, joints = body(np.full(1, 250.0))
    out: NDArray[np.float32] = joints[0].copy()
    for (first, last), kind, side in zip(LIMBS.rows, LIMBS.kinds, [1] * 4 + [-1] * 4, strict=True):
        lengths = {"upper_arm": (40, 20), "forearm": (35, 20), "thigh": (12, 60), "shin": (4, 60)}
        out[last, :2] = out[first, :2] + np.array(lengths[kind]) * [side, 1]
    return out


@pytest.mark.parametrize("aside_px", [0.0, 4.0, -5.0])
def test_both_sides_are_where_they_were_drawn(aside_px: float) -> None:
    joints = spread_body()
    mask = drawn(joints)
    moved = joints.copy()
    moved[:, 0] += aside_px
    edges = limb_edges(person(moved, mask))
    assert edges.shape == (8, len(LIMB_PLACES), 2)
    for limb, (first, last) in enumerate(LIMBS.rows):
        bone = joints[last, :2] - joints[first, :2]
        normal = np.array([-bone[1], bone[0]]) / np.hypot(*bone)
        inner = edges[limb, 2:4]
        np.testing.assert_allclose(inner.mean(axis=1), -aside_px * normal[0], atol=1.0)
        np.testing.assert_allclose(inner[:, 1] - inner[:, 0], WIDTH_PX, atol=1.6)


def test_where_there_is_no_outline_nothing_is_found() -> None:
    joints = spread_body()
    everywhere = np.ones((360, 640), np.bool_)
    assert np.isnan(limb_edges(person(joints, everywhere))).all()
    elsewhere = np.zeros((360, 640), np.bool_)
    elsewhere[100:300, 20:60] = True
    assert np.isnan(limb_edges(person(joints, elsewhere))).all()
    unknown = np.full_like(joints, np.nan)
    assert np.isnan(limb_edges(person(unknown, drawn(joints)))).all()


def test_the_pictures_edge_is_no_side_of_a_limb() -> None:
    joints = spread_body()
    mask = drawn(joints)
    left_shin = LIMBS.rows[3]
    cut = int(joints[left_shin[1], 0]) + 2
    # The picture ends inside the shin of the person's left, which is on the picture's right.
    edges = limb_edges(person(joints, mask[:, :cut]))
    assert np.isnan(edges[3, -1]).any()
    assert np.isfinite(edges[7, 2:4]).all()
