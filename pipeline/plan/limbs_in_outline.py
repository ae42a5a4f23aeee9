"""Move the joints of arms and legs to the middle of the limbs that the masks show.

A landmark model's error across a limb changes slowly and with the pose: neither smoothing nor a constant removes it.
Where both sides of a limb are outline, their middle is known to a third of that error, though. Along a limb, and where
limbs cover each other or the trunk, the landmarks stay as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array
from pipeline.datatypes.survey import LIMB_PLACES
from pipeline.joints import HIPS, JOINT, LIMBS, NUM_SKELETON, SHOULDERS
from pipeline.maths.smoothing import gaussian_mean
from pipeline.plan.joint_smoothing import DEPTH_SHARE

_SIGMA_SECONDS = 0.045
_WIDTH_QUANTILE = 0.35
"""Of a limb's width over a shot: wider than usual are two limbs side by side."""
_WIDTH_TOLERANCE = 0.18
_LEAST_FRAMES = 8
_MOST_BH = 0.04
"""Farther off is another limb, or no limb of this person."""
_LEAST_CONFIDENCE = 0.3
_FIRMNESS = {"shoulder": 0.8, "elbow": 0.2, "wrist": 0.5, "hip": 0.8, "knee": 0.2, "ankle": 1.0}
"""Weight of a joint's landmark against one sample of a limb's middle. The trunk carries hips and shoulders, and planted
feet must not follow what cloth does over them: with ankles at 0.2 locked feet of walk_a slid by a fifth more."""
_AHEAD = {
    "thigh": (-0.0089, -0.0133, -0.0136, -0.0119, -0.0090, -0.0055),
    "shin": (0.0131, 0.0150, 0.0145, 0.0119, 0.0091, 0.0036),
}
"""How far the line between the joints lies before the middle of the limb, body heights, at ``LIMB_PLACES``: measured on
MakeHuman's average body in trousers. The calf bulges behind the bone, the thigh before it."""
_FROM_TRUNK = 2
"""Places of upper arm and thigh that the trunk covers."""
_CHAINS = ((0, ("shoulder", "elbow", "wrist")), (2, ("hip", "knee", "ankle")))
"""First limb of an arm and of a leg, and its joints."""
_LIMBS_OF_SIDE = 4
_FOLLOWERS = {"wrist": ("hand",), "ankle": ("heel", "toe")}


def limb_shifts(
    skeletons: NDArray[np.float32],
    confidence: NDArray[np.float32],
    edges: NDArray[np.floating],
    body_height_px: NDArray[np.float64],
    pts_seconds: NDArray[np.float64],
) -> Float64Array:
    """Return by how many px (T, 23, 2) to move each joint of one shot's skeletons (T, 23, 3).

    ``confidence`` (T, 21) is that of the joints, ``edges`` (T, limbs, places, 2) as in ``Track``. NaN rows are frames
    without the person; they are not moved.
    """
    points = np.nan_to_num(skeletons.astype(np.float64))
    height = np.where(np.isfinite(body_height_px), body_height_px, 1.0)
    normals, ahead = _across_limbs(points)
    offsets, weights = _offsets(edges.astype(np.float64) / height[:, None, None, None])
    for limb, rows in enumerate(LIMBS.rows):
        least = np.nan_to_num(confidence[:, rows]).min(axis=1, keepdims=True)
        weights[:, limb] *= least > _LEAST_CONFIDENCE
    for limb, kind in enumerate(LIMBS.kinds):
        if kind in _AHEAD:
            offsets[:, limb] += ahead[:, limb, None] * np.array(_AHEAD[kind])
    shifts = np.zeros((len(points), NUM_SKELETON, 2))
    for number, side in enumerate(("left", "right")):
        for first, joints in _CHAINS:
            limbs = slice(number * _LIMBS_OF_SIDE + first, number * _LIMBS_OF_SIDE + first + 2)
            moved = _solve_chain(
                normals[:, limbs],
                offsets[:, limbs],
                weights[:, limbs],
                np.array([_FIRMNESS[joint] for joint in joints]),
                pts_seconds,
            )
            for row, joint in enumerate(joints):
                for part in (joint, *_FOLLOWERS.get(joint, ())):
                    shifts[:, JOINT[f"{side}_{part}"]] = moved[:, row]
    known = np.isfinite(skeletons).all(axis=(1, 2)) & np.isfinite(body_height_px)
    return np.where(known[:, None, None], shifts * height[:, None, None], 0.0)


def _across_limbs(points: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return each limb's normal (T, limbs, 2) in the picture, and how much of the body's forward lies along it."""
    body = points * np.array([1.0, 1.0, DEPTH_SHARE])
    left = (body[:, HIPS[0]] - body[:, HIPS[1]]) + (body[:, SHOULDERS[0]] - body[:, SHOULDERS[1]])
    rows = np.array(LIMBS.rows)
    bones = body[:, rows[:, 1]] - body[:, rows[:, 0]]
    flat = np.linalg.norm(bones[..., :2], axis=-1, keepdims=True)
    normals = np.stack([-bones[..., 1], bones[..., 0]], axis=-1) / np.maximum(flat, 1e-6)
    forward = np.cross(bones, left[:, None])
    forward = forward / np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-6)
    return normals, (forward[..., :2] * normals).sum(axis=-1)


def _offsets(edges: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the middle of the limbs beside the bones (T, limbs, places), body heights, and its weight: 0 or 1.

    A limb counts where it is about as wide as it usually is in the shot, both sides together.
    """
    widths = edges[..., 1] - edges[..., 0]
    usual = np.full(widths.shape[1:], np.nan)
    for limb, place in np.ndindex(*usual.shape):
        seen = widths[np.isfinite(widths[:, limb, place]), limb, place]
        if len(seen) >= _LEAST_FRAMES:
            usual[limb, place] = np.quantile(seen, _WIDTH_QUANTILE)
    left, right = usual[:_LIMBS_OF_SIDE], usual[_LIMBS_OF_SIDE:]
    # Where only one side is ever seen alone, its width is also the other one's.
    both = (np.where(np.isfinite(left), left, right) + np.where(np.isfinite(right), right, left)) / 2
    usual = np.concatenate([both, both])
    middles = edges.mean(axis=-1)
    with np.errstate(invalid="ignore"):
        alone = (np.abs(widths / usual - 1) < _WIDTH_TOLERANCE) & (np.abs(middles) < _MOST_BH)
    for limb, kind in enumerate(LIMBS.kinds):
        if kind in ("upper_arm", "thigh"):
            alone[:, limb, :_FROM_TRUNK] = False
    return np.where(alone, middles, 0.0).astype(np.float64), alone.astype(np.float64)


def _solve_chain(
    normals: Float64Array,
    offsets: Float64Array,
    weights: Float64Array,
    firmness: Float64Array,
    pts_seconds: NDArray[np.float64],
) -> Float64Array:
    """Return how three joints (T, 3, 2) move so that the two limbs between them come to lie in their middles.

    Least squares with the joints' own places as a prior. The equations are averaged over time, not their solutions: a
    frame that shows a limb from both sides counts for the ones beside it that do not.
    """
    total = np.zeros((len(normals), 6, 6))
    right_side = np.zeros((len(normals), 6))
    for limb in range(2):
        for number, place in enumerate(LIMB_PLACES):
            row = np.zeros((len(normals), 6))
            row[:, 2 * limb : 2 * limb + 2] = (1 - place) * normals[:, limb]
            row[:, 2 * limb + 2 : 2 * limb + 4] = place * normals[:, limb]
            weighted = weights[:, limb, number, None] * row
            total += weighted[:, :, None] * row[:, None, :]
            right_side += weighted * offsets[:, limb, number, None]
    total = gaussian_mean(total, pts_seconds, _SIGMA_SECONDS) + np.diag(np.repeat(firmness, 2))
    right_side = gaussian_mean(right_side, pts_seconds, _SIGMA_SECONDS)
    return np.asarray(np.linalg.solve(total, right_side[..., None])[..., 0].reshape(-1, 3, 2))
