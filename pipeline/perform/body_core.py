"""Where a person certainly is in a picture: along the bones between the joints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.joints import JOINT

_LEAST_CONFIDENCE = 0.5
_LIMBS = (("shoulder", "elbow", 0.05), ("elbow", "wrist", 0.035), ("hip", "knee", 0.08), ("knee", "ankle", 0.05))
"""Bones, and half the width that even a slim person has around them, in lengths of the trunk."""
_TRUNK = 0.8
"""Fraction of the width between shoulders and between hips that is trunk for certain."""
_PALM, _FINGERS = 0.45, 0.7
"""Lengths of a palm and of a hand over that of the forearm."""
_HAND = 0.06
"""Half width of a palm, in lengths of the trunk."""
_AROUND_HAND = 0.6
"""Radius around the fingers in which a mask may hold background, in forearms."""
_HEAD = 0.16
"""Radius around the middle of the ears that is head for certain, in lengths of the trunk."""


def body_core(joints: NDArray[np.float32], size_hw: tuple[int, int]) -> Mask | None:
    """Return (H, W) what belongs to the body whatever its clothes, from (21, 3) joints: x, y px and confidence.

    None where the trunk is unknown, so that nothing can be said.
    """
    at = joints[:, :2].astype(np.float64)
    sure = np.isfinite(at).all(1) & (joints[:, 2] >= _LEAST_CONFIDENCE)
    rows = {name: [JOINT[f"{side}_{name}"] for side in ("left", "right")] for name in ("shoulder", "hip", "ear")}
    if not sure[rows["shoulder"] + rows["hip"]].all():
        return None
    unit = float(np.linalg.norm(at[rows["shoulder"]].mean(0) - at[rows["hip"]].mean(0)))
    out = np.zeros(size_hw, np.uint8)
    corners = np.concatenate([_narrowed(at[rows["shoulder"]]), _narrowed(at[rows["hip"]])[::-1]])
    cv2.fillPoly(out, [np.rint(corners).astype(np.int32)], 1)
    for start, stop, half in _LIMBS:
        for side in ("left", "right"):
            first, second = JOINT[f"{side}_{start}"], JOINT[f"{side}_{stop}"]
            if sure[first] and sure[second]:
                ends = np.rint(at[[first, second]]).astype(np.int32)
                cv2.line(out, ends[0].tolist(), ends[1].tolist(), 1, max(1, round(2 * half * unit)))
    for side in ("left", "right"):
        elbow, wrist = JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"]
        if sure[elbow] and sure[wrist]:
            ends = np.rint([at[wrist], _tip(at[elbow], at[wrist], _PALM)]).astype(np.int32)
            cv2.line(out, ends[0].tolist(), ends[1].tolist(), 1, max(1, round(2 * _HAND * unit)))
    if sure[rows["ear"]].all():
        middle = np.rint(at[rows["ear"]].mean(0)).astype(np.int32)
        cv2.circle(out, middle.tolist(), max(1, round(_HEAD * unit)), 1, -1)
    return np.asarray(out > 0)


def limb_gaps(joints: NDArray[np.float32], size_hw: tuple[int, int]) -> Mask:
    """Return (H, W) where background may show through: between each arm and the trunk, and between the legs.

    Around the fingers it reaches farther: what a detector adds there would be taken for a bag.
    """
    at = joints[:, :2].astype(np.float64)
    out = np.zeros(size_hw, np.uint8)

    def filled(*names: str) -> None:
        corners = np.array([at[JOINT[name]] for name in names])
        if np.isfinite(corners).all():
            cv2.fillPoly(out, [np.rint(corners).astype(np.int32)], 1)

    for side in ("left", "right"):
        shoulder, elbow, wrist, hip = (at[JOINT[f"{side}_{part}"]] for part in ("shoulder", "elbow", "wrist", "hip"))
        tip = _tip(elbow, wrist, _FINGERS)
        low = np.array([hip[0], max(hip[1], tip[1])])
        outline = np.array([shoulder, elbow, wrist, tip, low, hip])
        if np.isfinite(outline).all():
            # A hull, so that a bent or crossing arm encloses what it encloses.
            hull = cv2.convexHull(np.rint(outline).astype(np.int32))
            cv2.fillPoly(out, [hull], 1)
            reach = _AROUND_HAND * float(np.linalg.norm(wrist - elbow))
            cv2.circle(out, np.rint(tip).astype(np.int32).tolist(), max(1, round(reach)), 1, -1)
    filled("left_hip", "left_knee", "left_ankle", "right_ankle", "right_knee", "right_hip")
    return np.asarray(out > 0)


def _tip(elbow: Float64Array, wrist: Float64Array, length: float) -> Float64Array:
    """Return the point beyond the wrist by a length, in forearms."""
    return np.asarray(wrist + length * (wrist - elbow))


def _narrowed(pair: Float64Array) -> Float64Array:
    return np.asarray(pair.mean(0) + _TRUNK * (pair - pair.mean(0)))
