"""Where the picture's upper edge cuts somebody off: legs whose upper body nobody sees.

A landmark model that is shown legs alone presses the whole body into the picture: shoulders and head lie, with full
confidence, at its upper edge, and the new person would be a dwarf. There the upper body follows from hips and legs, by
usual proportions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.joints import FACE, HIPS, JOINT, NUM_JOINTS, SHOULDERS, WRISTS

HEIGHT_OF_LEG = 2.2
"""Standing height over hip-to-knee + knee-to-ankle, on walk_a."""
TRUNK_OF_HEIGHT = 0.303
NECK_OF_HEIGHT = 0.14
"""Shoulders to eyes."""
SHOULDERS_OF_HIPS = 1.7
"""Breadth of the shoulders over that of the hips' joints."""
_LEAST_NECK = 0.3
"""Height of the eyes above the shoulders over the trunk's length: 0.43 upright, 0 and less where the model presses head
and shoulders together."""
_EDGE_PX = 2.0
_CONFIDENT = 0.5
_AROUND_SECONDS = 0.5
_QUANTILE = 0.8
"""Legs are longest when they lie in the image plane."""
_EYES = [JOINT["left_eye"], JOINT["right_eye"]]
_EARS = [JOINT["left_ear"], JOINT["right_ear"]]
_ELBOWS = [JOINT["left_elbow"], JOINT["right_elbow"]]
_HANDS = [NUM_JOINTS, NUM_JOINTS + 1]
_PRESSED = 0.08
"""Body heights below the upper edge within which elbows and wrists are pressed there, too."""


def legs_alone(joints: NDArray[np.float32], boxes_xyxy: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return (T,): frames that show hips and legs, while head and shoulders are pressed to the upper edge.

    ``joints`` (T, 21, 3), ``boxes_xyxy`` (T, 4) of the masks; NaN rows are frames without the person.
    """
    xy = joints[..., :2].astype(np.float64)
    neck = xy[:, SHOULDERS, 1].mean(axis=1) - xy[:, _EYES, 1].mean(axis=1)
    trunk = np.linalg.norm(xy[:, SHOULDERS].mean(axis=1) - xy[:, HIPS].mean(axis=1), axis=1)
    leg = leg_lengths(joints)
    with np.errstate(invalid="ignore"):
        is_cut = boxes_xyxy[:, 1] < _EDGE_PX
        is_upright = xy[:, HIPS, 1].mean(axis=1) < xy[:, [JOINT["left_knee"], JOINT["right_knee"]], 1].mean(axis=1)
        is_pressed = (neck < _LEAST_NECK * trunk) & (trunk < TRUNK_OF_HEIGHT * HEIGHT_OF_LEG * leg)
    return np.asarray(is_cut & is_upright & is_pressed & np.isfinite(leg))


def leg_lengths(joints: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (T,) px the mean length of the legs whose joints are confident, NaN where none is."""
    lengths = []
    for side in ("left", "right"):
        rows = [JOINT[f"{side}_{part}"] for part in ("hip", "knee", "ankle")]
        steps = np.linalg.norm(np.diff(joints[:, rows, :2].astype(np.float64), axis=1), axis=-1).sum(axis=1)
        lengths.append(np.where((joints[:, rows, 2] >= _CONFIDENT).all(axis=1), steps, np.nan))
    both = np.stack(lengths)
    count = np.isfinite(both).sum(axis=0)
    return np.where(count > 0, np.nansum(both, axis=0) / np.maximum(count, 1), np.nan)


def legs_in_picture(joints: NDArray[np.float32], size_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Return (T,) px as ``leg_lengths``, NaN where a joint of it lies outside the picture."""
    inside = ((joints[..., :2] >= 0) & (joints[..., :2] <= np.array(size_wh) - 1)).all(axis=-1)
    seen = joints.copy()
    seen[..., 2] *= inside
    return leg_lengths(seen)


def with_upper_bodies(
    joints: NDArray[np.float32],
    skeletons: NDArray[np.float32],
    frames: NDArray[np.bool_],
    pts_seconds: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return joints (T, 21, 3) and skeletons (T, 23, 3) of one shot with a usual upper body above the hips in the
    ``frames`` (T,) of ``legs_alone``; elbows and wrists that are seen well below the edge stay."""
    if not frames.any():
        return joints, skeletons
    leg = np.where(frames, leg_lengths(joints), np.nan)
    joints = joints.copy()
    skeletons = skeletons.copy()
    for frame in np.flatnonzero(frames):
        near = np.abs(pts_seconds - pts_seconds[frame]) <= _AROUND_SECONDS
        height = HEIGHT_OF_LEG * float(np.nanquantile(leg[near], _QUANTILE))
        arms = [*_ELBOWS, *WRISTS]
        is_guess = (joints[frame, arms, 2] < _CONFIDENT) | (joints[frame, arms, 1] < _PRESSED * height)
        guessed = [row for row, guess in zip(arms, is_guess, strict=True) if guess]
        _raise(skeletons[frame], height, guessed)
        upper = [*FACE, *SHOULDERS, *guessed]
        joints[frame, upper, :2] = skeletons[frame, upper, :2]
    return joints, skeletons


def _raise(skeleton: NDArray[np.float32], height: float, guessed: list[int]) -> None:
    """Put a usual upper body on the hips of a skeleton (23, 3), in place; ``guessed`` are the elbows and wrists
    that are not seen."""
    middle = skeleton[HIPS].mean(axis=0)
    across = SHOULDERS_OF_HIPS * (skeleton[HIPS] - middle)
    shoulders = middle - np.array([0.0, TRUNK_OF_HEIGHT * height, 0.0], np.float32) + across
    head = shoulders.mean(axis=0) - np.array([0.0, NECK_OF_HEIGHT * height, 0.0], np.float32)
    skeleton[SHOULDERS] = shoulders
    # Outside the picture in every case: only the neck's direction matters.
    skeleton[FACE] = head
    skeleton[_EYES] = head + 0.1 * across
    skeleton[_EARS] = head + 0.2 * across
    for shoulder, elbow, wrist, hand in zip(SHOULDERS, _ELBOWS, WRISTS, _HANDS, strict=True):
        if wrist in guessed:
            skeleton[wrist] = skeleton[shoulder] + np.array([0.0, 0.3 * height, 0.0], np.float32)
            skeleton[hand] = skeleton[wrist] + np.array([0.0, 0.05 * height, 0.0], np.float32)
        if elbow in guessed:
            skeleton[elbow] = (skeleton[shoulder] + skeleton[wrist]) / 2
