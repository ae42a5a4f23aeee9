"""Find points on the background of a frame, and follow them into another one.

Good features at a reduced size, people and graphics masked out, and more of them on the ground around the feet. They
are followed by pyramidal Lucas-Kanade (forward only: a backward pass costs as much and changes nothing) and refined on
the full-size picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.maths.masks import grow

Luma = NDArray[np.uint8]
Points32 = NDArray[np.float32]

_LEAST_SIDE_PX = 64
"""Of the small picture: below it there is nothing left to track."""
_GROUND_FEATURES = 40
_WINDOW_PX = 15
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.01)
_START_PX = 11
_START_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.1)
"""On the small picture, from whose result the full one starts: a tenth of a pixel is near enough."""
_MASK_MARGIN = 0.02
"""Fraction of the picture's diagonal: a point's window must not contain the person."""
_OVERLAY_MARGIN_PX = 4
"""In px of the small picture: half a point's window would leave nothing between the lines of a caption."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A frame from which points are followed."""

    index: int
    luma: Luma
    small: Luma
    points: Points32
    """(N, 2) full-size px."""


@dataclass(frozen=True, slots=True)
class BackgroundPoints:
    """Finds and follows points in pictures of one size; points are in px of the full picture, at pixel centers."""

    size_wh: tuple[int, int]
    scale: float
    """Size of the small picture, in which points are found, relative to the full one."""
    wanted: int
    """How many points are found at most, without those on the ground around the feet."""

    @classmethod
    def of_size(cls, size_wh: tuple[int, int], scale: float, wanted: int) -> BackgroundPoints:
        """Return the one for pictures of a size, at a larger ``scale`` where the small picture would be too small."""
        short = min(size_wh)
        # Small pictures are tracked at full size.
        used = min(1.0, max(scale, _LEAST_SIDE_PX / short)) if short > _LEAST_SIDE_PX else 1.0
        return cls(size_wh, used, wanted)

    @property
    def small_wh(self) -> tuple[int, int]:
        """The size of the small picture."""
        w, h = self.size_wh
        return round(w * self.scale), round(h * self.scale)

    @property
    def overlay_margin_px(self) -> int:
        """Distance from static graphics within which no point lies, px of the full picture."""
        return round(_OVERLAY_MARGIN_PX / self.scale)

    def small(self, luma: Luma) -> Luma:
        """Return the small picture of ``luma`` (H, W)."""
        if self.scale == 1.0:
            return luma
        return np.asarray(cv2.resize(luma, self.small_wh, interpolation=cv2.INTER_AREA), np.uint8)

    def blocked(self, people_mask: Mask, overlays: Mask | None) -> NDArray[np.uint8]:
        """Return, at the small size, 255 where no point may lie: near people (H, W), and near graphics at any size."""
        people = cv2.resize(people_mask.astype(np.uint8) * 255, self.small_wh, interpolation=cv2.INTER_AREA)
        reach = max(1, round(_MASK_MARGIN * float(np.hypot(*self.size_wh)) * self.scale))
        blocked = grow(people > 0, reach)
        if overlays is not None:
            near = cv2.resize(overlays.view(np.uint8), self.small_wh, interpolation=cv2.INTER_NEAREST)
            blocked = blocked | grow(near.astype(np.bool_), _OVERLAY_MARGIN_PX)
        return blocked * np.uint8(255)

    def features(
        self, small: Luma, luma: Luma, blocked: NDArray[np.uint8], people_mask: Mask, feet_px: NDArray[np.float64]
    ) -> Points32:
        """Return full-size points (N, 2): spread over the background, and more on the ground around the feet."""
        w, h = self.small_wh
        free = cv2.bitwise_not(blocked)
        # A third of the even spacing: corners cluster, and far corners (small motion, true direction) are worth having.
        spacing = max(3.0, 0.35 * float(np.sqrt(w * h / self.wanted)))
        corners = cv2.goodFeaturesToTrack(small, self.wanted, 0.005, spacing, mask=free, blockSize=5)
        points = [] if corners is None else [self._full(corners.reshape(-1, 2))]
        points.extend(self._ground_features(luma, free, people_mask, feet_px))
        return np.concatenate(points) if points else np.empty((0, 2), np.float32)

    def _ground_features(
        self, luma: Luma, free: NDArray[np.uint8], people_mask: Mask, feet_px: NDArray[np.float64]
    ) -> Iterator[Points32]:
        feet_px = feet_px[np.isfinite(feet_px).all(-1)]
        rows = np.flatnonzero(people_mask.any(1))
        if not len(feet_px) or not len(rows):
            return
        body = float(rows[-1] - rows[0] + 1)
        w, h = self.size_wh
        # Half a body height to both sides; more below the foot than above, where the ground runs far away.
        x0, y0 = np.maximum(np.floor(feet_px.min(0) - np.array([0.5, 0.12]) * body), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(feet_px.max(0) + np.array([0.5, 0.3]) * body), [w, h]).astype(int)
        if x1 - x0 < 16 or y1 - y0 < 16:
            return
        (sx0, sy0), (sx1, sy1) = np.floor(self._to_small(np.array([[x0, y0], [x1, y1]]))).astype(int).clip(0)
        part = free[sy0 : sy1 + 1, sx0 : sx1 + 1]
        mask = cv2.resize(part, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
        spacing = max(4.0, 0.03 * body)
        corners = cv2.goodFeaturesToTrack(luma[y0:y1, x0:x1], _GROUND_FEATURES, 0.01, spacing, mask=mask, blockSize=5)
        if corners is not None:
            yield np.asarray(corners.reshape(-1, 2) + np.array([x0, y0]), np.float32)

    def follow(self, seen: Seen, small: Luma, luma: Luma, blocked: NDArray[np.uint8]) -> Points32:
        """Return the points that could be tracked and lie on the background: (N, 4), in the frame ``seen`` and in the
        current one, full size."""
        before = seen.points
        if not len(before):
            return np.empty((0, 4), np.float32)
        is_refined = self.scale < 1.0
        window, stop = (_START_PX, _START_STOP) if is_refined else (_WINDOW_PX, _STOP)
        now, good, _ = cv2.calcOpticalFlowPyrLK(
            seen.small, small, self._to_small(before), None, winSize=(window, window), maxLevel=3, criteria=stop
        )
        keep = good.ravel() == 1
        if is_refined and keep.any():
            # One more level: the full picture, starting from the small one's result; a third more accurate on walk_a.
            now, good, _ = cv2.calcOpticalFlowPyrLK(
                seen.luma,
                luma,
                before,
                self._full(now),
                winSize=(_WINDOW_PX, _WINDOW_PX),
                maxLevel=0,
                criteria=_STOP,
                flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            )
            keep &= good.ravel() == 1
        w, h = self.size_wh
        keep &= np.isfinite(now).all(1) & (now >= 0).all(1) & (now <= [w - 1, h - 1]).all(1)
        both = np.column_stack([before, now])[keep]
        at = np.round(self._to_small(both[:, 2:])).astype(int)
        at = np.clip(at, 0, np.array(self.small_wh) - 1)
        return both[blocked[at[:, 1], at[:, 0]] == 0]

    def _full(self, small_points: NDArray[np.floating]) -> Points32:
        """Pixel centers of the small picture in the full one: (p + 0.5) / scale - 0.5, which is 2 p + 0.5 at half
        size."""
        ratio = np.array(self.size_wh, np.float64) / self.small_wh
        return np.asarray((small_points + 0.5) * ratio - 0.5, np.float32)

    def _to_small(self, full_points: NDArray[np.floating]) -> Points32:
        ratio = np.array(self.size_wh, np.float64) / self.small_wh
        return np.asarray((full_points + 0.5) / ratio - 0.5, np.float32)
