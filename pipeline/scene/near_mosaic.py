"""A near layer in its own space: its appearance, put together from the looks that follow its motion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import Box, clipped
from pipeline.maths.geometry import normalized
from pipeline.scene.narrow import narrow_lines
from pipeline.scene.near_plane import Look

_ROOM = (2.5, 1.5)
"""Size of a mosaic, pictures: what passes while the camera pans."""
_MEMORY = 12
_MOST_CHANGE = 6.0
"""Most that one look changes a pixel, gray levels: a running median needs no stack of looks."""
_ROUNDS = 3
_TOLERANCE = 10.0
_LEAST_LINE_PX = 150
"""Pixels of lines that a look must share with the mosaic."""
_MOST_RESIDUAL = 14.0
_STIFFNESS = 0.02
"""Weight of staying at the prediction, over that of the pixels; turning and stretching more than moving."""
_MOST_STEP_PX = (-2.0, 2.0)
_LEAST_COUNT = 3
_STEADY = 12.0
_STEADY_SHARE = 0.5
_RESTLESS = 8.0
_STEADY_LINE = 20.0
"""Most that the layer's own pixels differ between the looks, gray levels and relative to what is around them, and least
that is around them; thin lines are mixed with what is behind."""
_AROUND_BH = 0.05
_PLAIN = 9.0
"""Most that a surface without a pattern differs between the looks, gray levels."""
_CALM = 6.0
"""Gray levels: what differs more between the looks does not follow the layer's motion, but the background's."""


class NearMosaic:
    """The layer's picture so far; positions are those of the plate in which it was found, reduced to work size."""

    def __init__(self, size_wh: tuple[int, int], body_height: float) -> None:
        """``size_wh`` of the picture and ``body_height``, work px."""
        width, height = (round(room * size) for room, size in zip(_ROOM, size_wh, strict=True))
        self.size_wh = width, height
        self._shift = np.array(
            [[1, 0, (width - size_wh[0]) // 2], [0, 1, (height - size_wh[1]) // 2], [0, 0, 1]], np.float64
        )
        self._body_height = body_height
        self.picture: NDArray[np.float32] = np.zeros((height, width, 3), np.float32)
        self.apart: NDArray[np.float32] = np.zeros((height, width), np.float32)
        """(H, W) how far looks differ from the picture, on average, gray levels."""
        self.count: NDArray[np.uint8] = np.zeros((height, width), np.uint8)

    def placed(self, from_view: Transforms) -> Transforms:
        """Return the motion from a view to the mosaic's pixels, given that to its positions."""
        return self._shift @ from_view

    def lines(self, box: Box) -> Mask:
        """Return the narrow lines in a box of the mosaic, where enough looks show it."""
        x0, y0, x1, y1 = box
        picture = np.clip(np.rint(self.picture[y0:y1, x0:x1]), 0, 255).astype(np.uint8)
        return narrow_lines(picture, self._body_height) & (self.count[y0:y1, x0:x1] >= _LEAST_COUNT)

    def parts(self) -> tuple[Mask, Mask]:
        """Return (H, W) the pixels that are the layer's own: lines, and what differs less between the looks than the
        background around it does; and those of them that do."""
        seen = self.count >= _LEAST_COUNT
        side = 2 * round(_AROUND_BH * self._body_height) + 1
        around = cv2.blur(np.where(seen, self.apart, np.float32(0)), (side, side))
        around /= np.maximum(cv2.blur(seen.astype(np.float32), (side, side)), np.float32(1e-6))
        steady = (self.apart < _STEADY) & (self.apart < _STEADY_SHARE * around) & (around > _RESTLESS)
        lines = self.lines((0, 0, *self.size_wh)) & (self.apart < _STEADY_LINE)
        return np.asarray(seen & (steady | lines), np.bool_), np.asarray(seen & steady, np.bool_)

    def plain(self) -> Mask:
        """Return (H, W) the pixels that look the same in all looks: the layer's surfaces, with a pattern or without,
        and the background's where it is plain."""
        return np.asarray((self.count >= _LEAST_COUNT) & (self.apart < _PLAIN), np.bool_)

    def box_of(self, look: Look, to_mosaic: Transforms) -> Box:
        """Return the box of the mosaic that a look covers."""
        width, height = look.size_wh
        corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float64)
        points = cv2.perspectiveTransform(corners, to_mosaic)[0]
        low, high = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
        return clipped((int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1), self.size_wh)

    def add(self, look: Look, to_mosaic: Transforms) -> None:
        """Add what a look shows beside people."""
        box = self.box_of(look, to_mosaic)
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            return
        seen, free = warped(look.picture, look.free, to_mosaic, box)
        picture, count = self.picture[y0:y1, x0:x1], self.count[y0:y1, x0:x1]
        weight = 1 / np.minimum(count.astype(np.float32) + 1, _MEMORY)
        apart = self.apart[y0:y1, x0:x1]
        apart[free] += ((np.abs(seen - picture).max(axis=-1) - apart) * weight)[free] * (count[free] > 0)
        change = np.clip((seen - picture) * weight[..., None], -_MOST_CHANGE, _MOST_CHANGE)
        first = free & (count == 0)
        picture[first] = seen[first]
        later = free & ~first
        picture[later] += change[later]
        count[free] = np.minimum(count[free], 254) + 1

    def refined(self, look: Look, to_mosaic: Transforms) -> Transforms | None:
        """Return the motion of a look to the mosaic, from a predicted one; None where too little of the lines is seen.

        Gauss-Newton on gray levels along the mosaic's lines with Cauchy weights (Baker and Matthews, "Lucas-Kanade 20
        Years On", IJCV 2004), of an affine correction.
        """
        motion = to_mosaic
        for number in range(_ROUNDS):
            box = self.box_of(look, motion)
            x0, y0, x1, y1 = box
            if x1 <= x0 or y1 <= y0:
                return None
            seen, free = warped(look.picture, look.free, motion, box)
            lines = cv2.dilate(self.lines(box).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
            used = lines & free & (self.count[y0:y1, x0:x1] > 0)
            if np.count_nonzero(used) < _LEAST_LINE_PX:
                return None
            calm = 1 / (1 + (self.apart[y0:y1, x0:x1][used] / _CALM) ** 4)
            step, residual = self._step(self.picture[y0:y1, x0:x1], seen, used, calm, is_first=number == 0)
            if number == _ROUNDS - 1 and residual > _MOST_RESIDUAL:
                return None
            origin = np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]], np.float64)
            motion = normalized(origin @ np.linalg.inv(step) @ np.linalg.inv(origin) @ motion)
        return motion

    def _step(
        self,
        picture: NDArray[np.float32],
        seen: NDArray[np.float32],
        used: Mask,
        calm: NDArray[np.float32],
        *,
        is_first: bool,
    ) -> tuple[Transforms, float]:
        """Return the (3, 3) correction from positions in ``picture`` to those in ``seen``, and the mean residual.

        ``calm`` (N,) are the weights of the ``used`` pixels. The first step moves only.
        """
        now, known = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (seen, picture))
        # The background is blurred in the mosaic, and has little to say.
        slope_x = cv2.Sobel(known, cv2.CV_32F, 1, 0, scale=1 / 8)[used].astype(np.float64)
        slope_y = cv2.Sobel(known, cv2.CV_32F, 0, 1, scale=1 / 8)[used].astype(np.float64)
        rows, columns = np.nonzero(used)
        middle = np.array([columns.mean(), rows.mean()])
        x, y = (columns - middle[0]) / self._body_height, (rows - middle[1]) / self._body_height
        residual = (known - now)[used].astype(np.float64)
        weight = calm / (1 + (residual / _TOLERANCE) ** 2)
        design = np.stack([slope_x, slope_y, slope_x * x, slope_x * y, slope_y * x, slope_y * y])
        if is_first:
            design = design[:2]
        normal = (design * weight) @ design.T
        stiff = _STIFFNESS * np.trace(normal) / len(normal) * np.diag([0.3, 0.3, 1, 1, 1, 1][: len(normal)])
        stiff += 1e-6 * np.eye(len(normal))
        solved = np.zeros(6)
        solved[: len(normal)] = np.clip(np.linalg.solve(normal + stiff, (design * weight) @ residual), *_MOST_STEP_PX)
        moved, turned = solved[:2], solved[2:].reshape(2, 2) / self._body_height
        step = np.eye(3)
        step[:2, :2] += turned
        step[:2, 2] = moved - turned @ middle
        return step, float(np.average(np.minimum(np.abs(residual), 40), weights=calm))


def warped(picture: Picture, mask: Mask, to_mosaic: Transforms, box: Box) -> tuple[NDArray[np.float32], Mask]:
    """Return a view's picture, (h, w, 3) float32, and a mask of it in a box of the mosaic."""
    seen = cv2.warpPerspective(picture, _to_box(to_mosaic, box), (box[2] - box[0], box[3] - box[1]))
    return seen.astype(np.float32), warped_mask(mask, to_mosaic, box)


def warped_mask(mask: Mask, to_mosaic: Transforms, box: Box) -> Mask:
    """Return a view's mask in a box (h, w) of the mosaic."""
    size_wh = box[2] - box[0], box[3] - box[1]
    inside = cv2.warpPerspective(mask.view(np.uint8), _to_box(to_mosaic, box), size_wh, flags=cv2.INTER_NEAREST) > 0
    return np.asarray(inside, np.bool_)


def _to_box(to_mosaic: Transforms, box: Box) -> Transforms:
    return np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1]], np.float64) @ to_mosaic
