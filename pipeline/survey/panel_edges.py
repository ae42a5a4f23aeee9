"""Edges of a translucent panel in single frames: how opaque it is there, and where exactly each of its sides lies.

Just inside an edge the picture is the panel's mixture with what is seen just outside. How strongly the step across
the edge agrees with that tells the opacity without any frame that lacks the panel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask

Luma = NDArray[np.uint8]
BoxF = tuple[float, float, float, float]
_GAP_PX = 2
"""Distance of a pair's pixels from the edge: an edge is scaled and coded."""
_AWAY = 16.0
"""Gray levels from what a pair should be, beyond which it counts little: something of the scene ends there."""
_LEAST_PAIRS = 24
_CORNER = 0.15
"""Share of a side at its ends, where the corner may be round."""
_BORDER_PX = 3
"""A side this close to the picture's edge ends there."""
_NO_SIDE = 0.4
"""Share of lines that show the step at a side which does not lie at the picture's edge."""
_FAR = 0.8
"""How much less a place counts at the end of the reach."""
_CLEAR = 8.0
"""Gray levels of a step that can be told from noise."""
_AGREE = 0.35
_NOISE = 4.0
"""How far a step may be from what the panel causes: relative to it, and gray levels on top."""
_LEAST_OF_PAIRS = 0.1
"""Pairs at a place, relative to where there are most: people hide the others."""
_NEAR_PX = 2
"""Rows on both sides of the sharpest one that belong to the same edge."""
RADII = (0.0, 0.08, 0.16, 0.25, 0.35, 0.5)
"""Of corners, fractions of the shorter side."""
_CORNER_STEPS = 16


def opacity_at_edges(luma: Luma, people: Mask, box: BoxF, panel_gray: float) -> float:
    """Return the opacity that the edges of a panel show in a frame (h, w), 0 where there is no panel; NaN where people
    hide them.

    Least squares over pairs of pixels, of the step across the edge over the step to the panel's own gray; pairs that
    do not fit count less (Cauchy's weight).
    """
    outer, inner = _pairs(luma, people, box)
    if len(outer) < _LEAST_PAIRS:
        return float("nan")
    whole = panel_gray - outer
    step = inner - outer
    opacity = (
        float(np.median(step[np.abs(whole) > 10] / whole[np.abs(whole) > 10])) if np.any(np.abs(whole) > 10) else 0
    )
    for _ in range(4):
        weight = 1 / (1 + ((step - opacity * whole) / _AWAY) ** 2)
        opacity = float(np.sum(weight * whole * step) / max(float(np.sum(weight * whole * whole)), 1e-6))
    return float(np.clip(opacity, 0, 1))


def _pairs(luma: Luma, people: Mask, box: BoxF) -> tuple[Float64Array, Float64Array]:
    """Return the gray levels (N,) just outside and just inside the sides that do not lie at the picture's edge."""
    height, width = luma.shape
    x0, y0, x1, y1 = (round(value) for value in box)
    margin_x, margin_y = round(_CORNER * (x1 - x0)), round(_CORNER * (y1 - y0))
    columns, rows = slice(max(x0, 0) + margin_x, x1 - margin_x), slice(max(y0, 0) + margin_y, y1 - margin_y)
    outer, inner = [], []
    for along, near, far, is_row in (
        (columns, y0 - _GAP_PX, y0 + _GAP_PX - 1, True),
        (columns, y1 + _GAP_PX - 1, y1 - _GAP_PX, True),
        (rows, x0 - _GAP_PX, x0 + _GAP_PX - 1, False),
        (rows, x1 + _GAP_PX - 1, x1 - _GAP_PX, False),
    ):
        end = height if is_row else width
        if not (_BORDER_PX <= near < end - _BORDER_PX and 0 <= far < end):
            continue
        places = (np.s_[near, along], np.s_[far, along]) if is_row else (np.s_[along, near], np.s_[along, far])
        free = ~people[places[0]] & ~people[places[1]]
        outer.append(luma[places[0]][free])
        inner.append(luma[places[1]][free])
    if not outer:
        return np.empty(0), np.empty(0)
    return np.concatenate(outer).astype(np.float64), np.concatenate(inner).astype(np.float64)


class SideProfiles:
    """Where the sides of a panel lie, from frames at full size: sums over frames of the steps across rows and columns
    near each side, relative to the steps that the panel must cause."""

    def __init__(self, box: BoxF, reach_px: int, size_wh: tuple[int, int]) -> None:
        self._box = box
        self.size_wh = size_wh
        self.reach_px = reach_px
        self._steps = np.zeros((4, 2 * reach_px + 1))
        self._expected = np.zeros((4, 2 * reach_px + 1))
        self._agree = np.zeros((4, 2 * reach_px + 1))
        self._pairs = np.zeros((4, 2 * reach_px + 1))

    def add(self, luma: Luma, people: Mask, panel_gray: float, opacity: float) -> None:
        """Take a frame (H, W) that shows the panel."""
        x0, y0, x1, y1 = (round(value) for value in self._box)
        inset_x, inset_y = round(_CORNER * (x1 - x0)), round(_CORNER * (y1 - y0))
        columns = slice(max(x0 + inset_x, 0), x1 - inset_x)
        rows = slice(max(y0 + inset_y, 0), y1 - inset_y)
        self._add(0, luma[:, columns].T, people[:, columns].T, x=y0, sign=1, gray=panel_gray, opacity=opacity)
        self._add(1, luma[:, columns].T, people[:, columns].T, x=y1, sign=-1, gray=panel_gray, opacity=opacity)
        self._add(2, luma[rows], people[rows], x=x0, sign=1, gray=panel_gray, opacity=opacity)
        self._add(3, luma[rows], people[rows], x=x1, sign=-1, gray=panel_gray, opacity=opacity)

    def _add(
        self, side: int, lines: NDArray[np.uint8], people: Mask, *, x: int, sign: int, gray: float, opacity: float
    ) -> None:
        """Add lines (N, length) across a side at ``x``; ``sign`` is 1 where the panel lies behind it."""
        for number, place in enumerate(range(x - self.reach_px, x + self.reach_px + 1)):
            near, far = (place - 2, place + 1) if sign > 0 else (place + 1, place - 2)
            if min(near, far) < 0 or max(near, far) >= lines.shape[1]:
                continue
            free = ~people[:, near] & ~people[:, far]
            outer = lines[free, near].astype(np.float64)
            whole = opacity * (gray - outer)
            agree, pairs = _agreement(outer, lines[free, far], whole)
            self._agree[side, number] += agree
            self._pairs[side, number] += pairs
            step = np.clip(lines[free, far] - outer, -1.5 * np.abs(whole), 1.5 * np.abs(whole))
            self._steps[side, number] += float(step @ whole)
            self._expected[side, number] += float(whole @ whole)

    def sides(self) -> tuple[BoxF, list[float]]:
        """Return the box, and the sharpness of its sides: 1 where the whole step lies within a few px, less where it
        is gradual or missing; a side at the picture's edge is sharp."""
        fit = self._steps / np.maximum(self._expected, 1e-6)
        agreement = self._agree / np.maximum(self._pairs, 1)
        agreement[self._pairs < _LEAST_OF_PAIRS * self._pairs.max()] = 0
        places = [self._box[1], self._box[3], self._box[0], self._box[2]]
        ends = [0, self.size_wh[1], 0, self.size_wh[0]]
        sharpness = []
        nearness = 1 - _FAR * np.linspace(-1, 1, agreement.shape[1]) ** 2
        for side in range(4):
            x = round(places[side])
            # The step of most lines, not the mean step: letters near the side cause larger ones.
            best = int(np.argmax(agreement[side] * nearness))
            if abs(x - ends[side]) <= self.reach_px and agreement[side, best] < _NO_SIDE:
                places[side] = ends[side]
                sharpness.append(1.0)
                continue
            around = np.arange(max(best - _NEAR_PX, 0), min(best + _NEAR_PX + 1, fit.shape[1]))
            weights = np.clip(fit[side, around], 0, 1) ** 2
            places[side] = x - self.reach_px + float(weights @ around) / max(float(weights.sum()), 1e-9)
            sharpness.append(float(agreement[side, best]))
        return (places[2], places[0], places[3], places[1]), sharpness


def _agreement(outer: Float64Array, inner: NDArray[np.uint8], whole: Float64Array) -> tuple[int, int]:
    """Return how many of the pairs (N,) show the step ``whole`` that a panel causes, and how many could."""
    clear = np.abs(whole) > _CLEAR
    agrees = np.abs(inner - outer - whole) < _AGREE * np.abs(whole) + _NOISE
    return int(np.count_nonzero(clear & agrees)), int(np.count_nonzero(clear))


class CornerRadius:
    """How round a panel's corners are, from some frames: the radius along whose outline the step agrees best."""

    def __init__(self) -> None:
        self._agree = np.zeros(len(RADII))
        self._pairs = np.zeros(len(RADII))

    def add(self, luma: Luma, people: Mask, box: BoxF, panel_gray: float, opacity: float) -> None:
        """Take a frame (h, w) that shows the panel in a box of its px."""
        height, width = luma.shape
        for number, share in enumerate(RADII):
            points, normals = _corner_outline(box, share)
            outer = np.floor(points + _GAP_PX * normals).astype(int)
            inner = np.floor(points - _GAP_PX * normals).astype(int)
            both = np.concatenate([outer, inner], axis=1)
            inside = (both >= 0).all(axis=1) & (both[:, ::2] < width).all(axis=1) & (both[:, 1::2] < height).all(axis=1)
            ox, oy, ix, iy = both[inside].T
            free = ~people[oy, ox] & ~people[iy, ix]
            levels = luma[oy, ox][free].astype(np.float64)
            agree, pairs = _agreement(levels, luma[iy, ix][free], opacity * (panel_gray - levels))
            self._agree[number] += agree
            self._pairs[number] += pairs

    def share(self) -> float:
        """Return the radius as a fraction of the shorter side."""
        return RADII[int(np.argmax(self._agree / np.maximum(self._pairs, 1)))]


def _corner_outline(box: BoxF, share: float) -> tuple[Float64Array, Float64Array]:
    """Return points (N, 2) along the four corners of a rounded box, as far as the roundest would reach, and the unit
    normals (N, 2) that lead out."""
    x0, y0, x1, y1 = box
    short = min(x1 - x0, y1 - y0)
    radius = share * short
    reach = RADII[-2] * short
    angles = np.linspace(0, np.pi / 2, _CORNER_STEPS)
    arc = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    straight = np.linspace(0, max(reach - radius, 0), _CORNER_STEPS)
    points: list[Float64Array] = []
    normals: list[Float64Array] = []
    for sign_x, corner_x in ((-1, x0), (1, x1)):
        for sign_y, corner_y in ((-1, y0), (1, y1)):
            signs = np.array([sign_x, sign_y], np.float64)
            middle = np.array([corner_x, corner_y]) - radius * signs
            points.append(middle + radius * arc * signs)
            normals.append(arc * signs)
            points.append(np.stack([middle[0] - sign_x * straight, np.full(_CORNER_STEPS, corner_y)], axis=-1))
            normals.append(np.tile([0, sign_y], (_CORNER_STEPS, 1)).astype(np.float64))
            points.append(np.stack([np.full(_CORNER_STEPS, corner_x), middle[1] - sign_y * straight], axis=-1))
            normals.append(np.tile([sign_x, 0], (_CORNER_STEPS, 1)).astype(np.float64))
    return np.concatenate(points), np.concatenate(normals)
