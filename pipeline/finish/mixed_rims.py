"""Rims between the old person and what stays beside them: their pixels are mixed from the colors of both.

A pixel of a racket's edge that is kept whole leaves a line of the old person's colors around the racket, one that is
replaced whole leaves it jagged. Here the color of what stays is taken out of the mixture, to be laid over the new
person.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask, Picture
from pipeline.finish.reshake import PlacedLayer
from pipeline.maths.boxes import box_of_mask, clipped, grown
from pipeline.runtime.compiled import njit
from pipeline.scene.color_edges import axis_between
from pipeline.scene.views import WORK_BODY_PX

_WINDOW_PX = 4
"""Distance within which both colors are looked for, at ``WORK_BODY_PX``."""
_LEAST_APART = 4.0
"""Squared distance of the two colors, in deviations: colors that are alike cannot be told apart in a mixture."""
_STEEPNESS = 1.5
"""Lens and codec spread an edge over more pixels than it mixes."""
_WHOLE = 0.95
"""A greater share is grain: such a pixel stays as it is."""


@dataclass(frozen=True, slots=True, eq=False)
class MixedRims:
    """The mixed pixels of a frame."""

    layer: PlacedLayer
    """What stays, without the old person's share."""
    opened: Mask
    """(H, W) pixels of what stays that this layer replaces."""


def mixed_rims(source: Picture, subject: Mask, kept: Mask, body_height_px: float) -> MixedRims | None:
    """Separate the colors along the edges between the ``subject`` and what is ``kept``, (H, W) of ``source`` (H, W, 3).

    A pixel's share is its place between the mean colors of the two sides, of which the nearest pixels count most, along
    the line on which they differ most against their spread. What the means do not explain of its color is divided by
    the squared shares, as if both sides varied alike (Bayesian matting, Chuang et al. 2001). None where there are no
    such edges.
    """
    reach_px = max(1, round(body_height_px / WORK_BODY_PX))
    window_px = _WINDOW_PX * reach_px
    box = clipped(grown(box_of_mask(subject), window_px), (kept.shape[1], kept.shape[0]))
    x0, y0, x1, y1 = box
    area = np.s_[y0:y1, x0:x1]
    own = np.ascontiguousarray(subject[area])
    stays = np.ascontiguousarray(kept[area])
    by_stays = _near(stays, reach_px)
    if not (own & by_stays).any():
        return None
    by_own = _near(own, reach_px)
    cores = np.zeros(own.shape, np.uint8)
    cores[own & ~_near(stays, reach_px + 1)] = 1
    cores[stays & ~by_own] = 2
    colors = np.ascontiguousarray(source[area], dtype=np.float32)
    alpha, premultiplied = _separated(colors, cores, (own & by_stays) | (stays & by_own), reach_px)
    alpha[(alpha >= _WHOLE) & stays] = np.nan
    mixed = np.isfinite(alpha)
    opened = np.zeros_like(kept)
    opened[area] = mixed & stays
    alpha[~mixed] = 0.0
    premultiplied[~mixed] = 0.0
    return MixedRims(PlacedLayer(box, premultiplied, alpha), opened)


def _near(mask: Mask, distance_px: int) -> Mask:
    kernel = np.ones((2 * distance_px + 1, 2 * distance_px + 1), np.uint8)
    return cv2.dilate(mask.view(np.uint8), kernel) > 0


@njit(cache=True, nogil=True)
def _separated(
    colors: Float32Array, cores: NDArray[np.uint8], rims: Mask, step_px: int
) -> tuple[Float32Array, Float32Array]:
    """Return the share (h, w) of what stays in the ``rims``, NaN where it is unknown, and its color times the share
    (h, w, 3); ``cores`` (h, w) is 1 where the subject is certain, 2 where what stays is. Every
    ``step_px``-th pixel of a window is looked at."""
    height, width = rims.shape
    reach_px = _WINDOW_PX * step_px
    alpha = np.full((height, width), np.nan, np.float32)
    premultiplied = np.zeros((height, width, 3), np.float32)
    sums = np.zeros((2, 7), np.float64)
    axis = np.zeros(3, np.float64)
    for r in range(height):
        for c in range(width):
            if not rims[r, c]:
                continue
            sums[:] = 0.0
            for y in range(r - reach_px, r + reach_px + 1, step_px):
                for x in range(c - reach_px, c + reach_px + 1, step_px):
                    if not (0 <= y < height and 0 <= x < width) or cores[y, x] == 0:
                        continue
                    side = cores[y, x] - 1
                    # A racket's red rim is nearer than its yellow face.
                    weight = 1.0 / float((y - r) ** 2 + (x - c) ** 2) ** 2
                    sums[side, 0] += weight
                    for k in range(3):
                        value = weight * colors[y, x, k]
                        sums[side, 1 + k] += value
                        sums[side, 4 + k] += value * colors[y, x, k]
            if sums[0, 0] == 0.0 or sums[1, 0] == 0.0:
                continue
            apart, middle = axis_between(sums, axis)
            if apart < _LEAST_APART:
                continue
            place = -middle
            for k in range(3):
                place += axis[k] * colors[r, c, k]
            share = min(max(0.5 + _STEEPNESS * place, 0.0), 1.0)
            own = share**2 / (share**2 + (1.0 - share) ** 2)
            alpha[r, c] = share
            for k in range(3):
                stays = share * sums[1, 1 + k] / sums[1, 0]
                gone = (1.0 - share) * sums[0, 1 + k] / sums[0, 0]
                color = stays + own * (colors[r, c, k] - stays - gone)
                premultiplied[r, c, k] = min(max(color, 0.0), 255.0 * share)
    return alpha, premultiplied
