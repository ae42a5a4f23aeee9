"""A small synthetic scene with known layers: a man of capsules before a textured wall, with occluders and objects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.joints import JOINT, NUM_SKELETON
from pipeline.scene.body import Body, body_of, part_distances
from pipeline.scene.samples import Sample, sample_of
from pipeline.scene.views import view_of

HEIGHT_PX = 200.0
SHAPE = (260, 300)
_COLORS = (
    (120, 80, 60), (60, 70, 120), (62, 72, 124), (130, 90, 70),
    (120, 80, 60), (70, 70, 80), (72, 72, 82), (200, 100, 40),
)  # fmt: skip
"""RGB of the parts: head, torso, upper arm, forearm, hand, thigh, shin, foot."""
_PLACES = {
    "nose": (0, 38), "left_ear": (6, 36), "right_ear": (-6, 36), "left_shoulder": (18, 62), "right_shoulder": (-18, 62),
    "left_elbow": (34, 92), "right_elbow": (-34, 92), "left_wrist": (46, 118), "right_wrist": (-46, 118),
    "left_hand": (49, 126), "right_hand": (-49, 126), "left_hip": (12, 124), "right_hip": (-12, 124),
    "left_knee": (14, 170), "right_knee": (-14, 170), "left_ankle": (15, 214), "right_ankle": (-15, 214),
    "left_heel": (14, 222), "right_heel": (-14, 222), "left_toe": (24, 224), "right_toe": (-24, 224),
}  # fmt: skip

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def wall() -> Picture:
    """Return the place without anything that moves."""
    texture = np.random.default_rng(0).uniform(60, 200, (*SHAPE, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(texture, (0, 0), 2.0)
    blurred[..., 1] += 25
    return np.asarray(blurred.clip(0, 255), np.uint8)


def skeleton_at(x: float) -> NDArray[np.float32]:
    """Return (23, 3): the man standing at ``x``."""
    skeleton = np.full((NUM_SKELETON, 3), np.nan, np.float32)
    for name, (dx, y) in _PLACES.items():
        skeleton[JOINT[name]] = x + dx, y, 0
    return skeleton


def man_at(x: float) -> tuple[Mask, Picture]:
    """Return the true silhouette and the colors."""
    distances = part_distances(_body(x).segments, *SHAPE)
    part = distances.argmin(axis=0)
    noise = np.random.default_rng(int(x)).normal(0, 3, (*SHAPE, 3))
    colors = np.array(_COLORS, np.float64)[part] + noise
    return np.asarray(distances.min(axis=0) <= 0), np.asarray(colors.clip(0, 255), np.uint8)


def _body(x: float) -> Body:
    return body_of(skeleton_at(x), HEIGHT_PX, (0.0, 0.0), 1.0)


@dataclass(frozen=True)
class Shot:
    """One frame: the picture, the people's masks, and the plate."""

    x: float
    picture: Picture
    plate: Picture
    subject_mask: Mask
    others_mask: Mask

    def sample(self, seen: Mask | None = None) -> Sample:
        """Return what the scene pass makes of it."""
        everywhere = np.ones(SHAPE, np.bool_)
        box = (0, 0, SHAPE[1], SHAPE[0])
        view = view_of(box, self.picture, self.plate, everywhere if seen is None else seen, HEIGHT_PX)
        return sample_of(view, _body(self.x), self.subject_mask, self.others_mask, 1.0)


def shot_at(x: float, plate: Picture, before: Mask | None = None) -> Shot:
    """Return the man at ``x``, behind the parts of the plate that are ``before`` them. The mask is exact."""
    silhouette, colors = man_at(x)
    visible = silhouette if before is None else silhouette & ~before
    picture = np.where(visible[..., None], colors, plate)
    return Shot(x, picture, plate, visible, np.zeros(SHAPE, np.bool_))


def disc(x: float, y: float, radius: float) -> Mask:
    """Return a disc of the picture."""
    rows, columns = np.indices(SHAPE)
    return np.asarray((columns - x) ** 2 + (rows - y) ** 2 <= radius**2)
