"""What a reference picture's person wears or carries beside the body: hats, bags, tied hair.

The body's outline cannot reach them, and would be pulled out of shape: they are left out of the fit, and put on
afterwards as surfaces of their own, each rigid with one bone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter1d

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT
from pipeline.models.mannequin.figure import BONE, Figure, Group, Pose
from pipeline.models.mannequin.fitting import FittedView, posed
from pipeline.models.mannequin.hats import Hat
from pipeline.models.mannequin.posing import Poser
from pipeline.models.mannequin.reference import ReferenceView
from pipeline.models.mannequin.row_tube import RowTube, with_thing
from pipeline.models.mannequin.skeleton import relaxed_skeleton
from pipeline.models.mannequin.unclear_body import is_turned_aside

_THIN = 0.007
"""Half width of what is no thing but an error of the outline, standing heights."""
_LEAST_AREA = 0.0022
"""Squared standing heights: a fist has .003, a ponytail over a shoulder about .004."""
_MOST = 3
"""Things that are grown, the largest first."""
_LARGEST = 0.3
"""Area of all things over the person's, at most."""
_FLATNESS = 0.55
"""Depth of a thing over its width in the picture."""
_DEEPEST = 0.06
"""Half depth at most, standing heights."""
_JOINED = 0.012
"""Distance over which it reaches into the body, standing heights."""
_HAND_NEAR = 0.24
"""Distance from a wrist within which something hangs from the hand, standing heights."""
_FINGERS = 0.08
"""Distance from a hand within which its fingers are, standing heights."""
_HANDLE = 0.006
"""Half width of a bag at the hand that holds it, standing heights."""
_SMOOTH = 0.002
"""Standard deviation over which edges are smoothed, standing heights."""


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """Something beside the body, in a view's pixels."""

    mask: Mask
    """(h, w)."""
    bone: str
    """With which it moves."""


def find_things(fitted: FittedView) -> list[Thing]:
    """Return what the person's outline has beside that of the fitted body, in a view from the front or behind."""
    reference = fitted.reference
    if reference.view not in ("front", "back"):
        return []
    height = reference.height_px
    rest = (reference.mask & (fitted.nearest < 0)).astype(np.uint8)
    rest[_feet_row(reference) :] = 0
    radius = max(1, round(_THIN * height))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    solid = cv2.morphologyEx(rest, cv2.MORPH_OPEN, kernel)
    count, labels, stats, centers = cv2.connectedComponentsWithStats(solid, connectivity=8)
    order = sorted(range(1, count), key=lambda n: -int(stats[n, cv2.CC_STAT_AREA]))
    found = []
    is_aside = is_turned_aside(reference)
    for number in order[:_MOST]:
        if stats[number, cv2.CC_STAT_AREA] < _LEAST_AREA * height**2:
            break
        mask = np.asarray(labels == number)
        bone = _bone_near(reference, centers[number])
        # Beside a body that is turned aside it is rather the body, or a dress, whose shape was missed.
        if bone is not None and (bone == "head" or not is_aside):
            found.append(Thing(mask, bone))
    beside = sum(int(np.count_nonzero(thing.mask)) for thing in found)
    # With more beside it, the body itself has missed the person.
    return found if beside < _LARGEST * np.count_nonzero(reference.mask) else []


def without_things(reference: ReferenceView, things: list[Thing]) -> ReferenceView:
    """Return the view without what is beside the body."""
    radius = max(1, round(_THIN * reference.height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    mask = reference.mask.copy()
    for thing in things:
        mask &= cv2.dilate(thing.mask.astype(np.uint8), kernel) == 0
    return replace(reference, mask=mask)


def with_things(figure: Figure, reference: ReferenceView, things: list[Thing], hat: Hat | None) -> Figure:
    """Return the figure, shaped after ``reference``, with hat and things on.

    Beside somebody whom the picture cuts off are rather other people, and what is behind them.
    """
    if np.isfinite(reference.cut_row):
        things = []
    if not things and hat is None:
        return figure
    pose, _, y_scale, y_shift = posed(figure, reference)
    if hat is not None:
        head = _place(pose, figure, "head")
        figure = with_thing(figure, pose, hat.tube(float(head[2])), "head", y_scale, y_shift)
    for thing in things:
        tube = _tube(thing, float(_place(pose, figure, thing.bone)[2]), reference)
        figure = with_thing(figure, pose, tube, thing.bone, y_scale, y_shift)
    return figure


def with_bags_hanging(figure: Figure, reference: ReferenceView) -> Figure:
    """Return the figure whose bags hang straight from hands that hang, as they seldom do in a reference picture.

    Called when the colors are baked: in the picture's own pose the bags no longer lie where it shows them.
    """
    held = np.unique(figure.triangles[figure.groups == Group.THING])
    hands = {BONE[f"hand{suffix}"] for suffix in (".L", ".R")} & set(figure.bone_index[held, 0].tolist())
    if not hands:
        return figure
    pose, *_ = posed(figure, reference)
    relaxed = Poser(figure).pose(relaxed_skeleton(figure).astype(np.float32), 1.0)
    vertices = figure.vertices.copy()
    for row in hands:
        rows = held[figure.bone_index[held, 0] == row]
        turn = np.linalg.inv(_rotation(relaxed.linear[row])) @ _rotation(pose.linear[row])
        vertices[rows] = (figure.vertices[rows] - figure.heads[row]) @ turn.T + figure.heads[row]
    return replace(figure, vertices=vertices)


def _rotation(linear: Float64Array) -> Float64Array:
    left, _, right = np.linalg.svd(linear)
    return np.asarray(left @ right)


def _place(pose: Pose, figure: Figure, bone: str) -> Float64Array:
    return pose.apply(bone, figure.heads[BONE[bone]])


def _feet_row(reference: ReferenceView) -> int:
    """Return the row below which shoes and their shadows are."""
    ankles = reference.joints[[JOINT["left_ankle"], JOINT["right_ankle"]], 1]
    known = ankles[np.isfinite(ankles)]
    return int(known.min()) if len(known) and reference.is_whole else len(reference.mask)


def _bone_near(reference: ReferenceView, center: Float64Array) -> str | None:
    """Return the bone with which something at a place in the picture moves; None for an arm's own outline."""
    height = reference.height_px
    points = reference.skeleton[:, :2]
    shoulders = points[[JOINT["left_shoulder"], JOINT["right_shoulder"]]]
    if center[1] < shoulders[:, 1].mean() + 0.06 * height and abs(center[0] - points[JOINT["nose"], 0]) < 0.15 * height:
        return "head"
    for side, suffix in (("left", ".L"), ("right", ".R")):
        elbow, wrist, hand, hip = (points[JOINT[f"{side}_{part}"]] for part in ("elbow", "wrist", "hand", "hip"))
        away = float(np.hypot(*(center - hand)))
        if wrist[1] < elbow[1] and away < _FINGERS * height:
            # Of a raised hand it is the outline.
            return None
        # NaN compares as false: an unknown hand holds nothing.
        if center[1] > wrist[1] and away < _HAND_NEAR * height and not away > np.hypot(*(center - hip)):
            return "hand" + suffix
    hips = points[[JOINT["left_hip"], JOINT["right_hip"]]].mean(0)
    if not np.isfinite(hips).all():
        return None
    return "pelvis" if abs(center[1] - hips[1]) < abs(center[1] - shoulders[:, 1].mean()) else "chest"


def _tube(thing: Thing, z: float, reference: ReferenceView) -> RowTube:
    height = reference.height_px
    rows = np.flatnonzero(thing.mask.any(1))
    left = np.array([float(np.flatnonzero(thing.mask[row])[0]) for row in rows])
    right = np.array([float(np.flatnonzero(thing.mask[row])[-1]) for row in rows])
    left, right = (gaussian_filter1d(edge, _SMOOTH * height, mode="nearest") for edge in (left, right))
    half = (right - left) / 2 + 0.5
    deep = float(np.clip(_FLATNESS * half.max(), 0.01 * height, _DEEPEST * height))
    depth = np.minimum(deep, np.maximum(_FLATNESS * half, 0.5 * deep))
    y = rows.astype(np.float64)
    middle = (left + right) / 2
    if thing.bone.startswith("hand"):
        hand = reference.skeleton[JOINT["left_hand" if thing.bone.endswith("L") else "right_hand"]]
        if hand[1] < y[0]:
            # Handles are too thin to be told from the outline's errors: the bag narrows towards the hand instead.
            y, middle = (np.concatenate([[value], values]) for value, values in ((hand[1], y), (hand[0], middle)))
            half, depth = (np.concatenate([[_HANDLE * height], values]) for values in (half, depth))
    elif thing.bone == "head":
        y[0] -= _JOINED * height
    else:
        # Into the body, so that no gap shows beside it.
        inwards = np.sign(reference.skeleton[[JOINT["left_hip"], JOINT["right_hip"]], 0].mean() - middle.mean())
        middle = middle + inwards * _JOINED * height
        half = half + _JOINED * height
    return RowTube(y, middle, half, np.full(len(y), z), depth)
