"""Orientation and place of the figure's head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.joints import HIPS, JOINT, SHOULDERS
from pipeline.models.mannequin.figure import LANDMARK
from pipeline.models.mannequin.landmark_bias import LandmarkBias
from pipeline.models.mannequin.rest_pose import DOWN, FACE_ROWS, RestPose
from pipeline.models.mannequin.rotations import (
    basis_from,
    exp_rotation,
    log_rotation,
    normalized,
    rotation_about,
)

_EARS = [JOINT["left_ear"], JOINT["right_ear"]]
_FLAT_SHARE = 0.5
"""Weight of the pitch from x and y alone, which is less noisy (2 to 3 degrees on two rendered walks) but smaller for
heads seen from the side, against the pitch of the fit in space."""
_TRUST_PITCH = 0.85
_TRUST_PLACE = 0.8
"""Of where the ears are seen, relative to the shoulders."""
_MOST_BEND = 0.8
"""Radians by which the neck turns aside, at most."""
_NECK_LENGTHS = (0.8, 1.3)
"""Bounds of the neck's length relative to its own."""


def turn_head(
    rest: RestPose, points: Float64Array, chest: Float64Array, bias: LandmarkBias, *, is_still: bool = False
) -> Float64Array:
    """Rotation of the head: Kabsch's fit of the five face points, damped towards where the chest faces, and upright.

    Not so in a still, where nothing can flicker, and whose face must be read in place.
    """
    face = points[FACE_ROWS]
    centered = face - face.mean(0)
    left, _, right = np.linalg.svd(centered.T @ rest.face)
    sign = np.sign(np.linalg.det(left @ right))
    fit = np.asarray(left @ np.diag([1.0, 1.0, sign]) @ right)
    # Where the chest faces says nothing of a still's face.
    upright = np.eye(3) if is_still else basis_from(0.25 * (chest @ DOWN) + 0.75 * DOWN, chest[:, 0])
    pitch, yaw, roll = log_rotation(upright.T @ fit)
    pitch = (1 - _FLAT_SHARE) * pitch + _FLAT_SHARE * _flat_pitch(rest, centered) + bias.face_raised_radians
    if is_still:
        return exp_rotation(np.array([_TRUST_PITCH * pitch, yaw, roll]))
    # tanh: large rotations are mostly noise of a face that is not visible.
    local = np.array(
        [_TRUST_PITCH * np.tanh(pitch / 0.9) * 0.9, 1.1 * np.tanh(0.85 * yaw / 1.1), 0.55 * np.tanh(roll / 0.8)]
    )
    return upright @ exp_rotation(local)


def _flat_pitch(rest: RestPose, centered: Float64Array) -> float:
    """Return the pitch, radians, at which the rest face has the rows of a (5, 3) face; size does not matter.

    Turning left and right changes no row, so that y = y0 cos - z0 sin is linear in cosine and sine.
    """
    columns = np.stack([rest.face[:, 1], -rest.face[:, 2]], axis=1)
    cosine, sine = np.linalg.lstsq(columns, centered[:, 1], rcond=None)[0]
    return float(np.arctan2(sine, max(cosine, 1e-6)))


def place_head(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    places: dict[str, Float64Array],
    seen: NDArray[np.float64],
    bias: LandmarkBias,
) -> float:
    """Turn the neck so that the ears come to lie over the shoulders as they are seen; return its change of length.

    The head keeps its orientation. ``rotations`` and ``places`` (pelvis at the origin) are changed; ``seen`` (23,) is
    the trust in each joint.
    """
    marks = rest.landmarks
    ears = (marks[LANDMARK["left_ear"]] + marks[LANDMARK["right_ear"]]) / 2
    over_head = rotations["head"] @ (ears - rest.heads["head"])
    own = rotations["neck"] @ (rest.heads["head"] - rest.heads["neck"])
    shoulders = (places["upperarm1.L"] + places["upperarm1.R"]) / 2
    seen_at = points[_EARS].mean(axis=0) - points[SHOULDERS].mean(axis=0)
    chest = rotations["chest"]
    seen_at -= bias.shoulders_above * (chest @ DOWN) - bias.shoulders_behind * chest[:, 2]
    aimed = shoulders[:2] + seen_at[:2] - over_head[:2] - places["neck"][:2]
    trust = _TRUST_PLACE * float(min(seen[_EARS].max(), seen[SHOULDERS].min()))
    reach = own + trust * (np.array([aimed[0], aimed[1], own[2]]) - own)
    length = float(np.linalg.norm(own))
    low, high = _NECK_LENGTHS
    stretch = float(np.clip(np.linalg.norm(reach) / length, low, high))
    turn = _limited_turn(normalized(own), normalized(reach, normalized(own)))
    rotations["neck"] = turn @ rotations["neck"]
    places["head"] = places["neck"] + stretch * (turn @ own)
    return stretch


def shift_to_face(
    rest: RestPose,
    points: Float64Array,
    rotations: dict[str, Float64Array],
    places: dict[str, Float64Array],
    root: Float64Array,
    seen: NDArray[np.float64],
) -> Float64Array:
    """Return by how much (3,) to move the pelvis at ``root`` so that the face lies on the one seen.

    Nothing where the hips are seen: there the neck bridges the rest. In a closer picture the face is what the figure is
    placed by: shoulders at the picture's edge are known for one frame and not for the next, and a turned head leaves
    where it is at rest.
    """
    names = [name for name, row in JOINT.items() if row in FACE_ROWS]
    rows = [JOINT[name] for name in names]
    trust = float(seen[rows].mean() * (1 - seen[HIPS].max()))
    marks = rest.landmarks[[LANDMARK[name] for name in names]]
    posed = root + places["head"] + (marks - rest.heads["head"]) @ rotations["head"].T
    shift = trust * (points[rows] - posed).mean(axis=0)
    return np.array([shift[0], shift[1], 0.0])


def _limited_turn(a: Float64Array, b: Float64Array) -> Float64Array:
    """(3, 3): the smallest rotation from unit vector a towards b, of at most ``_MOST_BEND``, smoothly limited."""
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    angle = float(np.arctan2(sine, a @ b))
    return rotation_about(axis / sine, _MOST_BEND * float(np.tanh(angle / _MOST_BEND)))
