"""Register one frame to another after camera motion: a homography, then the residual parallax.

Parallax is measured at the matched background points. Depth in a picture mostly varies with the row (ground below,
upright walls behind it), so a point occluded by a person takes its parallax from its left and right rather than from
above.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture, Points, Transforms
from pipeline.maths.geometry import apply_transform
from pipeline.maths.robust import cauchy_weights, sigma_of_values
from pipeline.plate.agreement import agreeing_homography
from pipeline.plate.warp import Warp, node_shape, sample_nodes

Gray = NDArray[np.uint8]
"""(h, w)."""

_FEATURES = 1100
"""Parallax is interpolated between them. 900 give a plate 0.7 dB better on one walk than 500; 1,100 in the smaller
window 0.06 and 0.38 dB better on two than 900 in one of 15 px."""
_WINDOW_PX = 11
"""As good as 15 for the plates of two walks (+0.01 and -0.05 dB with the same features), in half of the CPU time."""
_WIDE_SHARE = np.float32(0.01)
"""Weight of the wide kernel of ``fit_nodes``, for where no point is near."""
_NO_SHARE = np.float32(1e-4)
"""Weight of no residual, for where no point is at all."""
_LEAST_POWER = -40.0
_LEVELS_NEAR = 2
_LEVELS_FAR = 3
"""Halvings of the picture from which Lucas-Kanade starts: up to 28 px and 56 px at the size of matching."""
_WORK_SHORT_SIDE = 360
"""Matching at about 360 lines is as accurate as the fit needs (0.05 to 0.1 px) and four times cheaper than at 720."""


def work_factor(size_wh: tuple[int, int]) -> int:
    """Integer factor by which pictures are reduced for matching."""
    return max(1, min(size_wh) // _WORK_SHORT_SIDE)


def work_gray(picture: Picture) -> Gray:
    """Return the reduced luma that ``RegistrationTarget`` matches on. Full px = factor · px + (factor - 1) / 2."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    factor = work_factor((picture.shape[1], picture.shape[0]))
    if factor == 1:
        return gray
    h, w = (side // factor for side in gray.shape)
    return cv2.resize(gray[: h * factor, : w * factor], (w, h), interpolation=cv2.INTER_AREA)


def pre_warped(moving: Gray, moving_from_reference: Transforms, size_wh: tuple[int, int]) -> Gray:
    """Return a frame's ``work_gray`` as a reference of ``size_wh`` would see it by a guess (3, 3) in full px."""
    factor = work_factor(size_wh)
    return _warped(moving, _at_work_size(moving_from_reference, factor), (size_wh[0] // factor, size_wh[1] // factor))


def _at_work_size(transform: Transforms, factor: int) -> Transforms:
    full_from_work = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1.0]])
    return np.linalg.inv(full_from_work) @ transform @ full_from_work


def _warped(moving: Gray, moving_from_reference: Transforms, size_wh: tuple[int, int]) -> Gray:
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(moving, moving_from_reference, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)


class RegistrationTarget:
    """A picture that others are matched to. ``avoid`` (H, W) marks its pixels that are not background."""

    def __init__(self, picture: Picture, avoid: Mask) -> None:
        self._prepare(work_gray(picture), avoid)

    @classmethod
    def of_gray(cls, gray: Gray, avoid: Mask) -> RegistrationTarget:
        """Return the target of a picture that is known by its ``work_gray`` alone."""
        target = cls.__new__(cls)
        target._prepare(gray, avoid)
        return target

    def _prepare(self, gray: Gray, avoid: Mask) -> None:
        self.size_wh = (avoid.shape[1], avoid.shape[0])
        self._factor = work_factor(self.size_wh)
        self._gray = gray
        h, w = self._gray.shape
        clear = cv2.resize((~avoid).astype(np.uint8), (w, h), interpolation=cv2.INTER_AREA)
        # A corner whose window touches a person moves with them.
        clear = cv2.erode(clear, np.ones((7, 7), np.uint8))
        found = cv2.goodFeaturesToTrack(self._gray, _FEATURES, 0.003, 6, mask=clear, blockSize=5)
        corners = np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)
        self._points = _sub_pixel(self._gray, corners)
        self._levels = _levels(self._gray)
        self._detail: NDArray[np.float32] | None = None

    def match(
        self,
        moving: Gray,
        avoid: Mask,
        moving_from_reference: Transforms,
        seen: Gray | None = None,
        expected: Points | None = None,
    ) -> tuple[NDArray[np.int64], Points]:
        """Find the reference's features in another frame by pyramidal Lucas-Kanade on the pre-warped frame.

        ``moving`` is ``work_gray`` of the frame, ``avoid`` its (H, W) people, ``moving_from_reference`` (3, 3) an
        initial guess in full px, accurate to some 10 px, ``seen`` its ``pre_warped`` where that is known, and
        ``expected`` (F, 2) where the features are expected in the frame, full px, where that is known better than by
        the guess. Returns which features were found, (N,), and their positions in the frame, (N, 2) px.
        """
        h, w = self._gray.shape
        guess = _at_work_size(moving_from_reference, self._factor)
        if len(self._points) < 4:
            return np.zeros(0, np.int64), np.zeros((0, 2))
        points = self._points
        start = points
        if expected is not None:
            at_work_size = np.asarray((expected - (self._factor - 1) / 2) / self._factor, np.float64)
            start = apply_transform(np.asarray(np.linalg.inv(guess), np.float64), at_work_size).astype(np.float32)
        # A guess is rarely far off, and the levels in which a step is a pixel cost as much as the others.
        for levels in (_LEVELS_NEAR, _LEVELS_FAR, _LEVELS_FAR):
            if seen is None:
                seen = _warped(moving, guess, (w, h))
            found, status, _ = cv2.calcOpticalFlowPyrLK(
                self._gray, _with_levels(seen, self._levels), points, start.copy(), winSize=(_WINDOW_PX, _WINDOW_PX),
                maxLevel=levels, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
                criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
            )  # fmt: skip
            ok = status.reshape(-1).astype(bool)
            # A corner whose window fell outside the frame was matched against the replicated border.
            place = apply_transform(guess, found)
            ok &= (place[:, 0] > 6) & (place[:, 0] < w - 7) & (place[:, 1] > 6) & (place[:, 1] < h - 7)
            if ok.sum() < 12:
                break
            step = found[ok] - start[ok]
            if np.median(np.hypot(step[:, 0], step[:, 1])) < 2.0:
                break
            if levels == _LEVELS_NEAR:
                continue
            # The guess was far off (drift over a long hold): repeat from the fit, with less displacement left.
            agreed = agreeing_homography(points[ok], found[ok], np.eye(3), (w, h))
            if agreed is None:
                break
            guess = guess @ agreed[0]
            start = points
            seen = None
        full = place * self._factor + (self._factor - 1) / 2
        people = cv2.resize(avoid.astype(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
        near_person = cv2.dilate(people, np.ones((7, 7), np.uint8))
        at = np.clip(np.rint(place), 0, (w - 1, h - 1)).astype(np.int64)
        ok &= near_person[at[:, 1], at[:, 0]] == 0
        rows = np.flatnonzero(ok)
        return rows, np.asarray(full[rows], np.float64)

    def detail_of(self, moving: Gray, rows: NDArray[np.int64], found: Points) -> float:
        """Return the ratio of another frame's fine detail to the reference's, where its features were found.

        ``moving`` is ``work_gray`` of the frame, ``rows`` and ``found`` what ``match`` returned. Around 1; less for a
        motion-blurred frame. 1 where too few were found.
        """
        if len(rows) < 12:
            return 1.0
        if self._detail is None:
            self._detail = _detail(self._gray)
        there = _values_at(_detail(moving), (found - (self._factor - 1) / 2) / self._factor)
        here = _values_at(self._detail, self._points[rows])
        return float(np.median((there + 0.2) / (here + 0.2)))

    def view(self, columns_px: NDArray[np.float64], rows_px: NDArray[np.float64], warp: Warp) -> tuple[Gray, Mask]:
        """Return the reference as seen by a frame at the grid of full px, (h, w), and where it is valid.

        ``warp`` maps the frame's px to the reference's.
        """
        at = (warp.coordinates_at(columns_px, rows_px, self.size_wh) - (self._factor - 1) / 2) / self._factor
        at = np.asarray(at, np.float32)
        x, y = at[..., 0], at[..., 1]
        inside = (x >= 0) & (y >= 0) & (x <= self._gray.shape[1] - 1) & (y <= self._gray.shape[0] - 1)
        return np.asarray(cv2.remap(self._gray, at, None, cv2.INTER_LINEAR), np.uint8), np.asarray(inside, np.bool_)

    def features(self) -> Points:
        """Return the (N, 2) features in full px."""
        return self._points.astype(np.float64) * self._factor + (self._factor - 1) / 2


def _detail(gray: Gray) -> NDArray[np.float32]:
    """Return (h, w): the local mean magnitude of detail finer than 1 px, gray levels."""
    whole = gray.astype(np.float32)
    return cv2.blur(np.abs(whole - cv2.GaussianBlur(whole, (0, 0), 1.0)), (9, 9))


def _values_at(values: NDArray[np.float32], points: Points | NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = values.shape
    at = np.clip(np.rint(points), 0, (width - 1, height - 1)).astype(np.int64)
    return values[at[:, 1], at[:, 0]]


def _levels(gray: Gray) -> NDArray[np.float64]:
    """Return the gray levels of the darkest tenth, the middle and the brightest tenth of a picture."""
    thinned = np.ascontiguousarray(gray[::4, ::4])
    # The level of each rank, from the ranks at which the levels end: bytes are counted faster than sorted.
    ends = np.cumsum(cv2.calcHist([thinned], [0], None, [256], [0, 256]).ravel().astype(np.int64))
    places = np.array([0.1, 0.5, 0.9]) * (thinned.size - 1)
    below, above = (np.searchsorted(ends, rank(places), side="right") for rank in (np.floor, np.ceil))
    return below + (above - below) * (places - np.floor(places))


def _with_levels(gray: Gray, wanted: NDArray[np.float64]) -> Gray:
    """Match a picture's exposure to ``_levels`` of another: Lucas-Kanade mistakes a change of light for motion."""
    low, middle, high = _levels(gray)
    to_low, to_middle, to_high = wanted
    gain = float(np.clip((to_high - to_low + 4) / (high - low + 4), 0.5, 2.0))
    if abs(gain - 1) < 0.03 and abs(to_middle - middle) < 3:
        return gray
    return cv2.addWeighted(gray, gain, gray, 0, float(to_middle - gain * middle))


def _sub_pixel(gray: Gray, points: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(points):
        return points
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 0.03)
    return cv2.cornerSubPix(gray, points.reshape(-1, 1, 2), (3, 3), (-1, -1), criteria).reshape(-1, 2)


class Pattern(Protocol):
    """Parallax per unit of camera movement; see ``hidden_parallax``."""

    def at(self, points: Points) -> NDArray[np.float64]:
        """Return (Q, N, 2) px at points (N, 2)."""
        ...


def fit_warp(
    to: Points,
    source: Points,
    size_wh: tuple[int, int],
    body_height_px: float,
    guess: Transforms,
    pattern: Pattern | None = None,
) -> Warp:
    """Fit the map ``to`` -> ``source`` from matched background points: a robust homography, then parallax by row.

    The residual at a node is the robust mean of the points around it under a kernel of 0.05 by 0.45 body heights
    (height, width), with a faint wider one where no point is near, shrinking to zero where there is none at all. Cauchy
    weights are computed from each point's distance to the fitted mesh. Where the points agree on nothing near the
    guess, the guess is returned.

    Where the parallax ``pattern`` of the ``source`` picture is known, its multiple that fits the points best comes
    first, and only what it leaves is interpolated.
    """
    agreed = agreeing_homography(to, source, guess, size_wh)
    if agreed is None:
        return Warp(guess, np.zeros((*node_shape(size_wh, body_height_px), 2), np.float32), 0)
    homography, agree = agreed
    to = to[agree]
    source = source[agree]
    residual = source - apply_transform(homography, to)
    if pattern is None:
        return Warp(homography, fit_nodes(to, residual, size_wh, body_height_px), len(to))
    of_points = pattern.at(source)
    moved = _multiples(of_points, residual)
    rest = fit_nodes(to, residual - np.tensordot(moved, of_points, 1), size_wh, body_height_px)
    rows, columns = rest.shape[:2]
    x, y = np.meshgrid(np.linspace(0, size_wh[0] - 1, columns), np.linspace(0, size_wh[1] - 1, rows))
    of_nodes = pattern.at(apply_transform(homography, np.stack([x.ravel(), y.ravel()], axis=1)))
    nodes = rest + np.tensordot(moved, of_nodes, 1).reshape(rows, columns, 2)
    return Warp(homography, nodes.astype(np.float32), len(to))


def _multiples(of_points: NDArray[np.float64], residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (Q,): the multiples of a pattern (Q, N, 2) that fit the residual (N, 2), with Cauchy weights."""
    weights = np.ones(len(residual))
    moved = np.zeros(len(of_points))
    # A prior worth one point of unit parallax.
    prior = np.eye(len(of_points))
    for _ in range(5):
        matrix = np.einsum("qnk,n,pnk->qp", of_points, weights, of_points) + prior
        moved = np.linalg.solve(matrix, np.einsum("qnk,n,nk->q", of_points, weights, residual))
        error = np.linalg.norm(residual - np.tensordot(moved, of_points, 1), axis=1)
        weights = cauchy_weights(error, max(sigma_of_values(error), 0.05))
    return moved


def fit_nodes(
    points: Points, residual: NDArray[np.float64], size_wh: tuple[int, int], body_height_px: float
) -> NDArray[np.float32]:
    """Spread the points' (N, 2) residual over the node grid (see ``fit_warp``)."""
    rows, columns = node_shape(size_wh, body_height_px)
    node_y = np.linspace(0, size_wh[1] - 1, rows)[:, None]
    node_x = np.linspace(0, size_wh[0] - 1, columns)[:, None]
    spread_y, spread_x = 0.05 * body_height_px, 0.45 * body_height_px

    def kernel(nodes_px: NDArray[np.float64], points_px: NDArray[np.float64], sigma_px: float) -> Float32Array:
        power = -0.5 * ((nodes_px - points_px) / sigma_px) ** 2
        # Denormal numbers take many times as long, and weigh nothing.
        return np.where(power > _LEAST_POWER, np.exp(power.astype(np.float32)), np.float32(0))

    def kernels(width: float) -> tuple[Float32Array, Float32Array]:
        return kernel(node_y, points[:, 1], width * spread_y), kernel(node_x, points[:, 0], width * spread_x)

    # Both kernels side by side, so that one product sums over both; single precision is a millionth of the residual.
    (near_down, near_across), (wide_down, wide_across) = kernels(1.0), kernels(4.0)
    down = np.concatenate([near_down, _WIDE_SHARE * wide_down], axis=1)
    across = np.concatenate([near_across, wide_across], axis=1).T.copy()
    measured = np.column_stack([np.ones(len(points)), residual]).T.astype(np.float32)
    nodes = np.zeros((rows, columns, 2), np.float32)
    robust = np.ones(len(points), np.float32)
    for _ in range(5):
        weights = np.tile(measured * robust, 2)
        sums = ((weights[:, None] * down).reshape(3 * rows, -1) @ across).reshape(3, rows, columns)
        nodes = np.stack(sums[1:] / (sums[0] + _NO_SHARE), axis=-1)
        error = np.linalg.norm(residual - sample_nodes(nodes, points, size_wh), axis=1)
        robust = cauchy_weights(error, max(sigma_of_values(error), 0.05)).astype(np.float32)
    return nodes
