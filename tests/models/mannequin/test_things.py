"""Hats, bags and tied hair are surfaces of their own, and do not pull the body out of shape."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pipeline.joints import JOINT, NUM_JOINTS, NUM_SKELETON
from pipeline.models.mannequin.figure import BONE, Figure, Group, Pose, load_figure
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import find_hair
from pipeline.models.mannequin.hats import below_hat, find_hat, without_hat
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.row_tube import with_thing
from pipeline.models.mannequin.things import Thing, find_things, with_bags_hanging, with_things, without_things
from pipeline.models.weights.folder import weight_path

HEIGHT = 800.0
SIZE = (500, 840)
_AT = {"eye": (0.02, 0.07), "ear": (0.045, 0.075), "shoulder": (0.11, 0.18), "elbow": (0.2, 0.3), "wrist": (0.26, 0.42),
       "hand": (0.28, 0.46), "hip": (0.06, 0.48), "knee": (0.06, 0.71), "ankle": (0.06, 0.95), "heel": (0.06, 0.98),
       "toe": (0.07, 0.99)}  # fmt: skip


def place(part: str, side: int = 1) -> tuple[int, int]:
    x, y = _AT[part]
    return round(250 + side * x * HEIGHT), round(20 + y * HEIGHT)


def body_mask() -> np.ndarray:
    """(h, w) a plain person: head, trunk, limbs."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.ellipse(mask, place("eye", 0), (36, 56), 0, 0, 360, 1, -1)
    cv2.rectangle(mask, (230, 120), (270, 180), 1, -1)
    cv2.fillPoly(mask, [np.array([place("shoulder"), place("hip"), place("hip", -1), place("shoulder", -1)])], 1)
    for side in (1, -1):
        for chain, width in ((("shoulder", "elbow", "hand"), 40), (("hip", "knee", "ankle", "toe"), 60)):
            cv2.polylines(mask, [np.array([place(part, side) for part in chain])], False, 1, width)
    return mask > 0


def view(mask: np.ndarray) -> ReferenceView:
    skeleton = np.zeros((NUM_SKELETON, 3))
    for part in _AT:
        for name, side in (("left", 1), ("right", -1)):
            skeleton[JOINT[f"{name}_{part}"], :2] = place(part, side)
    skeleton[JOINT["nose"], :2] = [250, 90]
    joints = np.ones((NUM_JOINTS, 3))
    joints[:, :2] = skeleton[:NUM_JOINTS, :2]
    colors = np.full((*mask.shape, 3), 0.3, np.float32)
    return ReferenceView("front", colors, mask, joints, skeleton, HEIGHT, True)


def with_brim(mask: np.ndarray) -> np.ndarray:
    out = mask.astype(np.uint8)
    eyes = place("eye", 0)
    cv2.rectangle(out, (eyes[0] - 40, eyes[1] - 90), (eyes[0] + 40, eyes[1] - 30), 1, -1)
    cv2.ellipse(out, (eyes[0], eyes[1] - 30), (85, 10), 0, 0, 360, 1, -1)
    return out > 0


@pytest.fixture(scope="module")
def figure() -> Figure:
    return load_figure(weight_path("figure.npz"), "auto")


def test_a_brim_is_found_and_curls_are_none() -> None:
    hat = find_hat(view(with_brim(body_mask())))
    assert hat is not None
    widest = np.argmax(hat.right - hat.left)
    assert hat.right[widest] - hat.left[widest] == pytest.approx(170, abs=6)
    assert find_hat(view(body_mask())) is None
    curls = body_mask().astype(np.uint8)
    cv2.circle(curls, (place("eye", 0)[0], place("eye", 0)[1] - 20), 75, 1, -1)
    assert find_hat(view(curls > 0)) is None
    tall = body_mask().astype(np.uint8)
    cv2.rectangle(tall, (place("eye", 0)[0] - 36, 0), (place("eye", 0)[0] + 36, 70), 1, -1)
    top_hat = find_hat(view(tall > 0))
    assert top_hat is not None and top_hat.rows[0] == 0 and top_hat.rows[-1] < place("eye", 0)[1] - 20
    # A bowed head is as tall, and what is tall is not known where the feet are not shown.
    bowed = view(tall > 0)
    bowed.joints[[JOINT["left_ear"], JOINT["right_ear"]], 1] -= 12
    assert find_hat(bowed) is None and find_hat(replace(view(tall > 0), is_whole=False)) is None


def test_without_the_hat_a_head_is_left_and_the_person_is_shorter() -> None:
    reference = view(with_brim(body_mask()))
    hat = find_hat(reference)
    assert hat is not None
    bare = without_hat(reference, hat)
    assert (bare.mask & ~body_mask()).sum() < 300
    assert bare.height_px < np.ptp(np.flatnonzero(reference.mask.any(1))) - 15
    assert not below_hat(reference, hat).mask[: int(hat.rows[-1])].any()


def fitted(reference: ReferenceView, own: np.ndarray) -> FittedView:
    nearest = np.where(own, 0, -1).astype(np.int32)
    places = np.zeros((3, 3), np.float32)
    return FittedView(reference, places, nearest, np.zeros(own.shape, np.float32), np.zeros((1, 3), np.int32), 0.9)


def with_bag(mask: np.ndarray, x: int, y: int) -> np.ndarray:
    out = mask.astype(np.uint8)
    cv2.rectangle(out, (x - 40, y), (x + 40, y + 110), 1, -1)
    return out > 0


def test_a_bag_in_a_hand_and_one_at_the_hip_move_with_them() -> None:
    own = body_mask()
    hand = place("hand")
    (held,) = find_things(fitted(view(with_bag(own, hand[0] + 10, hand[1] + 40)), own))
    assert held.bone == "hand.L"
    hip = place("hip", -1)
    (worn,) = find_things(fitted(view(with_bag(own, hip[0] - 90, hip[1] - 20)), own))
    assert worn.bone == "pelvis"
    assert find_things(fitted(view(own), own)) == []
    # An outline that is wide of the mark by a few px all around carries nothing.
    wide = cv2.dilate(own.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert find_things(fitted(view(wide), own)) == []


def test_the_fit_does_not_see_the_bag() -> None:
    own = body_mask()
    reference = view(with_bag(own, place("hand")[0] + 10, place("hand")[1] + 40))
    things = find_things(fitted(reference, own))
    assert (without_things(reference, things).mask & ~own).sum() < 0.1 * (reference.mask & ~own).sum()


def test_a_thing_is_a_closed_surface_that_is_rigid_with_its_bone(figure: Figure) -> None:
    pose = Pose(np.repeat(np.eye(3)[None] * HEIGHT, len(BONE), 0), np.tile([250.0, 820.0, 0.0], (len(BONE), 1)))
    reference = view(with_brim(body_mask()))
    hat = find_hat(reference)
    assert hat is not None
    dressed = with_thing(figure, pose, hat.tube(0.0), "head", 1.0, 0.0)
    own = dressed.groups == Group.THING
    edges = np.sort(np.concatenate([dressed.triangles[own][:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))]), 1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    # Every edge but those of the two tiny ends belongs to two triangles.
    assert (uses == 2).sum() > 0.97 * len(uses) and uses.max() == 2
    new = np.arange(len(figure.vertices), len(dressed.vertices))
    assert (dressed.bone_index[new] == BONE["head"]).all() and np.allclose(dressed.bone_weight[new].sum(1), 1)
    placed = dressed.vertices[new] * HEIGHT + [250, 820, 0]
    assert placed[:, 0].max() == pytest.approx(hat.right.max(), abs=2)
    # Normals outwards: the signed volume is positive.
    a, b, c = (dressed.vertices[dressed.triangles[own][:, k]].astype(np.float64) for k in range(3))
    mean = dressed.vertices[new].mean(0)
    first = figure.groups == Group.HAIR
    x, y, z = (figure.vertices[figure.triangles[first][:, k]].astype(np.float64) for k in range(3))
    middle = figure.vertices[np.unique(figure.triangles[first])].mean(0)
    sign = np.sign(np.einsum("ij,ij->i", x - middle, np.cross(y - middle, z - middle)).sum())
    assert np.sign(np.einsum("ij,ij->i", a - mean, np.cross(b - mean, c - mean)).sum()) == sign


def test_bags_hang_from_hanging_hands(figure: Figure) -> None:
    own = body_mask()
    hand = place("hand")
    thing = Thing(with_bag(np.zeros_like(own), hand[0] + 10, hand[1] + 40), "hand.L")
    reference = view(own)
    held = with_things(figure, reference, [thing], None)
    hung = with_bags_hanging(held, reference)
    # Beside somebody whom the picture cuts off it is rather somebody else's.
    assert with_things(figure, replace(reference, cut_row=700.0), [thing], None) is figure
    rows = np.arange(len(figure.vertices), len(hung.vertices))
    assert not np.allclose(held.vertices[rows], hung.vertices[rows])
    assert np.array_equal(held.vertices[: rows[0]], hung.vertices[: rows[0]])
    joint = hung.heads[BONE["hand.L"]]
    reach = [np.linalg.norm(each.vertices[rows] - joint, axis=1) for each in (held, hung)]
    np.testing.assert_allclose(*reach, rtol=1e-4)


def test_hair_wider_than_any_head_is_hair_whatever_its_color() -> None:
    mask = body_mask().astype(np.uint8)
    x, y = place("eye", 0)
    for side in (1, -1):
        cv2.rectangle(mask, (x + side * 30, y - 30), (x + side * 66, y + 110), 1, -1)
    reference = view(mask > 0)
    hair = find_hair(reference)
    assert hair is not None and hair.covers_ears
    bald = find_hair(view(body_mask()))
    assert bald is None or not bald.covers_ears


def test_a_small_childs_large_head_is_neither_hat_nor_long_hair() -> None:
    mask = body_mask().astype(np.uint8)
    eyes = place("eye", 0)
    cv2.ellipse(mask, (eyes[0], eyes[1] + 40), (78, 110), 0, 0, 360, 1, -1)
    reference = view(mask > 0)
    # A grown-up's eyes in such a head would be under a tall hat and between long hair.
    assert find_hat(reference) is not None or find_hair(reference) is not None
    for name, side in (("left", 1), ("right", -1)):
        reference.joints[JOINT[f"{name}_eye"], :2] = [eyes[0] + side * 0.03 * HEIGHT, eyes[1] + 35]
    assert find_hat(reference) is None
    hair = find_hair(reference)
    assert hair is None or not hair.covers_ears


def test_fingers_of_a_raised_hand_and_a_dress_from_aside_are_no_bags() -> None:
    own = body_mask()
    raised = view(with_bag(own, 420, 20))
    for part, at in (("elbow", (380, 140)), ("wrist", (405, 100)), ("hand", (410, 90))):
        raised.skeleton[JOINT[f"left_{part}"], :2] = at
    assert find_things(fitted(raised, own)) == []
    hip = place("hip", -1)
    aside = view(with_bag(own, hip[0] - 90, hip[1] - 20))
    assert len(find_things(fitted(aside, own))) == 1
    aside.skeleton[JOINT["left_shoulder"], 2] = 0.2 * HEIGHT
    assert find_things(fitted(aside, own)) == []
