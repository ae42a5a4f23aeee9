"""Tracked points on a person's trunk during encounters: landmarks that slide onto another body move away from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.joints import HIPS, SHOULDERS
from pipeline.maths.boxes import Box, clipped
from pipeline.shaped import Shaped, Shapes

MAX_POINTS = 40
MIN_POINTS = 8
MIN_LEFT = 0.3
"""Fraction of the initial points: with fewer left, the rest may lie on the occluding person."""
MIN_QUALITY = 0.01
SPACING = 0.05
"""Spacing of the points, relative to the trunk's length."""
WINDOW_PX = 15
MAX_RETURN_PX = 1.0
"""A point whose backward track does not return this near was occluded."""
TRUNK_MARGIN = 0.2
"""Margin around shoulders and hips, relative to the trunk's length."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Anchors(Shaped):
    """Points of one person, px of the source."""

    SHAPES: ClassVar[Shapes] = {"hips": (2,), "first": ("N", 2), "now": ("N", 2)}

    hips: NDArray[np.float64]
    """(2,) initial position of the hips."""
    first: NDArray[np.float64]
    """(N, 2) initial positions of the points."""
    now: NDArray[np.float64]
    """(N, 2)."""
    count: int
    """Initial number of points."""

    @property
    def are_sure(self) -> bool:
        return len(self.now) >= max(MIN_POINTS, MIN_LEFT * self.count)

    def expected_hips(self) -> NDArray[np.float64]:
        """Return the (2,) position of the hips if they moved like the points (median)."""
        return self.hips + np.median(self.now - self.first, axis=0)


def anchor(
    picture: Picture,
    mask: Mask,
    joints: NDArray[np.float32],
    hips: NDArray[np.float64],
    size_wh: tuple[int, int],
) -> Anchors:
    """Choose points on the trunk of a person with ``joints`` (21, 3) and ``mask`` (H, W), px of the source.

    ``picture`` is RGB, perhaps smaller than the source of ``size_wh``. The result may be empty.
    """
    nothing = np.empty((0, 2))
    trunk = joints[[*SHOULDERS, *HIPS], :2].astype(np.float64)
    length = float(np.linalg.norm(trunk[:2].mean(axis=0) - trunk[2:].mean(axis=0)))
    if not np.isfinite(length):
        return Anchors(hips, nothing, nothing, 0)
    scale = _scale(picture, size_wh)
    low = trunk.min(axis=0) - TRUNK_MARGIN * length
    high = trunk.max(axis=0) + TRUNK_MARGIN * length
    area = _area(np.concatenate([low, high]) * np.tile(scale, 2), picture)
    x0, y0, x1, y1 = area
    corner = np.array([x0, y0])
    if x1 - x0 < WINDOW_PX or y1 - y0 < WINDOW_PX:
        return Anchors(hips, nothing, nothing, 0)
    small = cv2.resize(mask.view(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    # Points at the mask's border may move with the background.
    inside = cv2.erode(np.ascontiguousarray(small[y0:y1, x0:x1]), np.ones((5, 5), np.uint8))
    gray = cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    spacing = max(2.0, SPACING * length * float(scale[1]))
    found = cv2.goodFeaturesToTrack(gray, MAX_POINTS, MIN_QUALITY, spacing, mask=inside)
    if found is None:
        return Anchors(hips, nothing, nothing, 0)
    points = (found.reshape(-1, 2).astype(np.float64) + corner) / scale
    return Anchors(hips, points, points, len(points))


def follow_anchors(anchors: Anchors, before: Picture, now: Picture, size_wh: tuple[int, int]) -> Anchors:
    """Track the points from one picture to the next (pyramidal Lucas-Kanade, forward and backward); occluded ones are
    dropped."""
    if not len(anchors.now):
        return anchors
    scale = _scale(now, size_wh)
    points = anchors.now * scale
    reach = 3 * WINDOW_PX
    area = _area(np.concatenate([points.min(axis=0) - reach, points.max(axis=0) + reach]), now)
    x0, y0, x1, y1 = area
    corner = np.array([x0, y0])
    grays = [cv2.cvtColor(picture[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY) for picture in (before, now)]
    start = (points - corner).astype(np.float32)
    window = (WINDOW_PX, WINDOW_PX)
    there, found, _ = cv2.calcOpticalFlowPyrLK(grays[0], grays[1], start, None, winSize=window, maxLevel=2)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(grays[1], grays[0], there, None, winSize=window, maxLevel=2)
    kept = (found.ravel() > 0) & (found_back.ravel() > 0)
    kept &= np.linalg.norm(back - start, axis=1) < MAX_RETURN_PX
    moved = (there.astype(np.float64) + corner) / scale
    return Anchors(anchors.hips, anchors.first[kept], moved[kept], anchors.count)


def _scale(picture: Picture, size_wh: tuple[int, int]) -> NDArray[np.float64]:
    return np.array([picture.shape[1] / size_wh[0], picture.shape[0] / size_wh[1]])


def _area(box_xyxy: NDArray[np.float64], picture: Picture) -> Box:
    x0, y0, x1, y1 = np.concatenate([np.floor(box_xyxy[:2]), np.ceil(box_xyxy[2:]) + 1]).astype(int).tolist()
    return clipped((x0, y0, x1, y1), (picture.shape[1], picture.shape[0]))
