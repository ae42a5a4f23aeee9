"""What the frames of a cross-fade are made of: the clear pictures before and after it, each as the camera moves on.

A frame shows ``(1 - weight) * earlier + weight * later``. Nothing can be tracked in such a mixture, but both pictures
are known, so that their motion and the weight follow from the frame by least squares (Gauss-Newton on gray levels, as
Lucas and Kanade, "An Iterative Image Registration Technique", 1981, with two pictures at once). A picture of little
weight hardly shows: then the motion of the camera outside the cross-fade decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Float64Array, Mask

SHORT_SIDE_PX = 180
"""Of the pictures in which the motion is measured."""
_BLURS_PX = (4.0, 1.5)
"""Coarse to fine."""
_STEPS = 5
_NOISE = 4.0
"""Gray levels that the pictures differ by apart from motion; larger differences count less."""
_TELLING_SHARE = 0.02
"""Neighboring pixels err alike: as so many independent ones do they count against what is expected."""
_EXPECTED_PX, _EXPECTED_PX_PER_FRAME = 0.3, 0.4
"""How well the motion is known from the frame beside, and how much less so in each frame farther away."""
_EXPECTED_WEIGHT = 0.08


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """What one frame shows. Motions (4,) lead from the frame to a clear picture, as in ``matrix_of``."""

    earlier: Float64Array
    later: Float64Array
    weight: float
    """Of the later picture."""


def matrix_of(motion: Float64Array, size_wh: tuple[int, int]) -> Float64Array:
    """Return (2, 3) the similarity of a motion: how far (x, y) the middle of the picture moves, and how far its zoom
    and its rotation move the ends of its short side. All are relative to the short side."""
    width, height = size_wh
    side = float(min(size_wh))
    x, y, zoom, turn = motion
    linear = np.array([[1 + 2 * zoom, -2 * turn], [2 * turn, 1 + 2 * zoom]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    return np.column_stack([linear, middle + side * np.array([x, y]) - linear @ middle])


def motion_of(homography: Float64Array, size_wh: tuple[int, int]) -> Float64Array:
    """Return (4,) the motion nearest to a homography (3, 3) of source px: the inverse of ``matrix_of``."""
    width, height = size_wh
    side = float(min(size_wh))
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    away = side / 2 * np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
    moved = np.column_stack([middle + away, np.ones(5)]) @ homography.T
    shift = (moved[:, :2] / moved[:, 2:] - middle - away) / side
    zoom = ((shift[1, 0] - shift[2, 0]) + (shift[3, 1] - shift[4, 1])) / 4
    turn = ((shift[1, 1] - shift[2, 1]) - (shift[3, 0] - shift[4, 0])) / 4
    return np.array([*shift[0], zoom, turn])


def fit_mixtures(
    frames: Sequence[NDArray[np.uint8]],
    ends: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    free: Sequence[Mask],
    steps: tuple[Float64Array, Float64Array],
    weights: Sequence[float],
) -> list[Mixture]:
    """Return the mixture of each gray frame (h, w) of a cross-fade; ``ends`` are the clear pictures beside it.

    ``free`` (h, w) of each frame is where nothing moves but the camera. ``steps`` (4,) are the camera's motions from a
    frame to the one before it, in the earlier shot, and to the one after it, in the later one. ``weights`` of the
    later picture are first estimates.
    """
    count = len(frames)
    fitter = _Fitter(frames, ends, free)
    found = [
        Mixture((t + 1) * steps[0], (count - t) * steps[1], float(np.clip(weights[t], 0.02, 0.98)))
        for t in range(count)
    ]
    # From both ends to the middle, where each picture's motion is followed while it prevails; then on to the other end.
    inward = sorted(range(count), key=lambda t: min(t, count - 1 - t))
    for t in (*inward, *reversed(inward)):
        earlier = found[t - 1].earlier + steps[0] if t else steps[0]
        later = found[t + 1].later + steps[1] if t + 1 < count else steps[1]
        found[t] = fitter.fit(t, Mixture(earlier, later, found[t].weight))
    return found


class _Fitter:
    def __init__(
        self,
        frames: Sequence[NDArray[np.uint8]],
        ends: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        free: Sequence[Mask],
    ) -> None:
        height, width = ends[0].shape
        self._size_wh = (width, height)
        self._frames = [[_blurred(each, blur) for blur in _BLURS_PX] for each in frames]
        self._ends = [[_with_gradients(_blurred(each, blur)) for blur in _BLURS_PX] for each in ends]
        self._free = free
        y, x = np.mgrid[:height, :width].astype(np.float32)
        self._x = 2 * (x - np.float32((width - 1) / 2))
        self._y = 2 * (y - np.float32((height - 1) / 2))
        self._side = np.float32(min(self._size_wh))

    def fit(self, t: int, expected: Mixture) -> Mixture:
        """Return the mixture of a frame that is most likely near the ``expected`` one."""
        count = len(self._frames)
        far = np.array([t + 1.0, count - t])
        spread = (_EXPECTED_PX + _EXPECTED_PX_PER_FRAME * np.minimum(far - 1, 3)) / float(self._side)
        certainty = np.concatenate([np.repeat(1 / spread**2, 4), [1 / _EXPECTED_WEIGHT**2]])
        start = np.concatenate([expected.earlier, expected.later, [expected.weight]])
        values = start.copy()
        for level in range(len(_BLURS_PX)):
            for _ in range(_STEPS):
                slopes, errors = self._linear(t, level, values)
                telling = np.float32(_TELLING_SHARE / _NOISE**2) / (1 + (errors / np.float32(_NOISE)) ** 2)
                weighted = slopes * telling
                matrix = weighted @ slopes.T + np.diag(certainty)
                step = np.linalg.solve(matrix, weighted @ errors - certainty * (values - start))
                values = values + step
                values[8] = np.clip(values[8], 0.01, 0.99)
                if np.abs(step[:8]).max() * float(self._side) < 0.02:
                    break
        return Mixture(values[:4], values[4:8], float(values[8]))

    def _linear(self, t: int, level: int, values: Float64Array) -> tuple[Float32Array, Float32Array]:
        """Return (9, N) how the mixture changes with its values, and (N,) what the frame differs from it by."""
        weight = np.float32(values[8])
        free = self._free[t].copy()
        warped = []
        for end, motion in zip(self._ends, (values[:4], values[4:8]), strict=True):
            moved, inside = _moved(end[level], matrix_of(motion, self._size_wh))
            free &= inside
            warped.append(moved)
        rows = []
        x, y = self._x[free], self._y[free]
        for moved, share in zip(warped, (1 - weight, weight), strict=True):
            gx, gy = share * self._side * moved[..., 1][free], share * self._side * moved[..., 2][free]
            across, down = x / self._side, y / self._side
            rows += [gx, gy, gx * across + gy * down, gy * across - gx * down]
        earlier, later = (moved[..., 0][free] for moved in warped)
        rows.append(later - earlier)
        errors = self._frames[t][level][free] - ((1 - weight) * earlier + weight * later)
        return np.stack(rows), np.asarray(errors, np.float32)


def _blurred(picture: NDArray[np.uint8], blur_px: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), blur_px), np.float32)


def _with_gradients(picture: Float32Array) -> Float32Array:
    """Return (h, w, 3): a picture and its slopes across and down."""
    slopes = [cv2.Sobel(picture, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1))]
    return np.dstack([picture, *slopes])


def _moved(end: Float32Array, matrix: Float64Array) -> tuple[Float32Array, Mask]:
    """Return (h, w, 3) an end as a frame shows it, and where (h, w) it does."""
    height, width = end.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(end, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones((height, width), np.uint8), matrix, (width, height), flags=flags)
    return np.asarray(moved, np.float32), inside > 0
