"""The texture of a back whose front is known: the same cloth, without features that only a front has.

A shirt and tie between lapels, a neckline, a print: they lie in the middle of the front, and their colors do not occur
at its sides. There the cloth of the sides is continued.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.maths.patch_fill import fill_by_patches
from pipeline.models.mannequin.fitting import FittedView
from pipeline.models.mannequin.hair_region import skin_color
from pipeline.models.mannequin.skin_tone import looks_like_skin

_SIDE = (0.62, 0.94)
"""Range of the sides of a front, as fractions of its half width."""
_BINS_PER_STOP = 2.2
"""Bins of the palette in each channel's log2."""
_LEAST_SHARE = 0.004
"""Fraction of the sides' pixels that a color needs to belong to them."""
_BANDS = 4
"""Bands of rows with a palette each: skin at the belly does not make a neckline's skin part of a back."""
_LEAST_PIXELS = 200
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_DETAIL, _SMOOTH = 0.006, 0.02
"""Standard deviations, standing heights: what counts as detail, and how far a plain cloth is smoothed."""
_NARROW_LINE = 0.024
"""Half of it is the width of what a median removes from a plain cloth, standing heights: plackets, seams, buttons."""
_SAME_CLOTH = 0.9
"""Largest log difference of the same cloth in different light."""
_PLAIN = (0.09, 0.2)
"""Deviation of the detail's log light at a garment's sides: plain below, a pattern above."""
_NARROW = 0.7
"""A row of the torso narrower than this fraction of the usual one has no sides."""
_LOWEST_NECKLINE = 0.13
"""Depth of a neckline below the top of the torso, standing heights; a bare belly is bare behind as well."""
_TOP, _SEAM = 0.015, 0.014
"""Rows at the top where a neckline begins, and the width of the seam around it, standing heights."""
_LEAST_BESIDE = 0.05
"""Fraction of the sides that must look like skin for it to be the garment's color."""
_BORDER = 0.004
"""Depth inside the torso's border to which other parts' colors are mixed in, standing heights."""
_GAMMA = 2.2
"""Display curve in which patches are compared."""
_LEAST_PART = 0.0008
"""Least replaced area, squared standing heights."""


def back_picture(view: FittedView, torso: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return (h, w, 3) the picture's colors with features of the front replaced; ``torso`` (h, w) is its mask.

    They are filled with patches of the cloth around them, so that stripes and checks continue.
    """
    colors = view.reference.colors
    place = _places_across(torso)
    known = np.isfinite(place)
    side = known & (np.abs(place) > _SIDE[0]) & (np.abs(place) < _SIDE[1])
    if np.count_nonzero(side) < _LEAST_PIXELS:
        return colors
    foreign = known & (np.abs(place) <= _SIDE[0]) & ~_in_palette(colors, side)
    unit = max(1, round(0.004 * view.reference.height_px))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * unit + 1, 2 * unit + 1))
    # Threads and grain are not a tie, but gaps within a tie belong to it.
    parts = cv2.morphologyEx(foreign.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    parts = _large_parts(cv2.morphologyEx(parts, cv2.MORPH_CLOSE, kernel, iterations=2), view.reference.height_px)
    parts = cv2.dilate(parts, kernel, iterations=2)
    parts = np.maximum(parts, _neckline(view, torso, side))
    out = _continued(colors, parts > 0, torso, view.reference.height_px)
    weight = cv2.GaussianBlur(parts.astype(np.float32), (0, 0), max(0.5 * unit, 0.5))[..., None]
    back = np.asarray(colors * (1 - weight) + out * weight, np.float32)
    return _without_seams(back, torso, side, view.reference.height_px)


def _continued(
    colors: NDArray[np.float32], hole: NDArray[np.bool_], torso: NDArray[np.bool_], height_px: float
) -> NDArray[np.float32]:
    """Return linear colors (h, w, 3) with the ``hole`` (h, w) filled from the rest of the torso."""
    if not hole.any():
        return colors
    border = 2 * round(_BORDER * height_px) + 1
    inner = cv2.erode(torso.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (border, border))) > 0
    picture = np.rint(255 * np.clip(colors, 0, 1) ** (1 / _GAMMA)).astype(np.uint8)
    filled = fill_by_patches(picture, hole, np.asarray(inner & ~hole))
    lit = (filled.astype(np.float32) / 255) ** np.float32(_GAMMA)
    return np.where(hole[..., None], lit, colors).astype(np.float32)


def _neckline(view: FittedView, torso: NDArray[np.bool_], side: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(h, w) the skin that a garment leaves bare below the neck, with the seam around it; a back is closed there.

    Where the same colors occur at the ``side`` (h, w) of these rows, they are the garment's.
    """
    none = np.zeros(torso.shape, np.uint8)
    skin = skin_color(view.reference)
    rows = np.flatnonzero(torso.any(1))
    if skin is None or not len(rows):
        return none
    height_px = view.reference.height_px
    alike = torso & looks_like_skin(view.reference.colors, skin)
    alike[rows[0] + round(_LOWEST_NECKLINE * height_px) :] = False
    count, labels = cv2.connectedComponents(alike.astype(np.uint8), connectivity=8)
    top = labels[rows[0] : rows[0] + max(2, round(_TOP * height_px))]
    begun = np.zeros(count, bool)
    begun[np.unique(top)] = True
    begun[0] = False
    beside = side & begun[labels].any(axis=1, keepdims=True)
    if (alike & beside).sum() > _LEAST_BESIDE * beside.sum():
        return none
    size = 2 * round(_SEAM * height_px) + 1
    grown = cv2.dilate(begun[labels].astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return np.where(torso, grown, none)


def _deviation(values: NDArray[np.float32]) -> float:
    """Return the standard deviation estimated from the median: pockets and hems are not a pattern."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _without_seams(
    colors: NDArray[np.float32], torso: NDArray[np.bool_], side: NDArray[np.bool_], height_px: float
) -> NDArray[np.float32]:
    """Smooth a plain cloth, on which lapels, buttons and pockets are mere lines; leave a pattern unchanged."""
    fine = _DETAIL * height_px
    level = np.log(np.maximum(colors @ _LUMA, 1e-3)).astype(np.float32)
    inside = torso.astype(np.float32)
    detail = level - cv2.GaussianBlur(level * inside, (0, 0), fine) / np.maximum(
        cv2.GaussianBlur(inside, (0, 0), fine), 1e-3
    )
    plainness = 1 - np.clip((_deviation(detail[side]) - _PLAIN[0]) / (_PLAIN[1] - _PLAIN[0]), 0, 1)
    if plainness == 0:
        return colors
    # Where two garments, or cloth and skin, meet, edges are preserved (bilateral filter, Tomasi and Manduchi, ICCV
    # 1998); at half the size, which is invisible on plain cloth. A row of buttons is as sharp an edge: the median
    # before it removes what is narrow.
    half = cv2.resize(colors, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    levels = np.rint(255 * np.clip(half, 0, 1) ** (1 / _GAMMA)).astype(np.uint8)
    broad = cv2.medianBlur(levels, 2 * max(1, round(0.25 * _NARROW_LINE * height_px)) + 1)
    logs = _GAMMA * np.log(np.maximum(broad.astype(np.float32), 1) / np.float32(255))
    broad = cv2.bilateralFilter(logs, -1, _SAME_CLOTH, 0.5 * _SMOOTH * height_px)
    smooth = np.exp(cv2.resize(broad, colors.shape[1::-1], interpolation=cv2.INTER_LINEAR))
    share = np.where(torso, np.float32(plainness), np.float32(0))[..., None]
    return np.asarray(colors * (1 - share) + smooth * share, np.float32)


def _large_parts(foreign: NDArray[np.uint8], height_px: float) -> NDArray[np.uint8]:
    """Keep components of a shirt's or a print's size; a button or a navel does no harm on a back."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(foreign, connectivity=8)
    large = np.zeros(count, np.uint8)
    large[1:] = stats[1:, cv2.CC_STAT_AREA] > _LEAST_PART * height_px**2
    return large[labels]


def _middle_and_half(torso: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(h,) middle column and half width of each row, NaN where there is none."""
    middle = np.full(len(torso), np.nan)
    half = np.full(len(torso), np.nan)
    for y in np.flatnonzero(torso.sum(1) > 8):
        columns = np.flatnonzero(torso[y])
        middle[y] = (columns[0] + columns[-1]) / 2
        half[y] = (columns[-1] - columns[0]) / 2
    # Around the neck the torso is narrow, and its sides there are a collar, not the garment.
    return middle, np.maximum(half, _NARROW * np.nanmedian(half))


def _places_across(torso: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(h, w) -1 at the left border of each row to 1 at the right, NaN outside the torso."""
    middle, half = _middle_and_half(torso)
    place = (np.arange(torso.shape[1]) - middle[:, None]) / half[:, None]
    return np.where(torso, place, np.nan)


def _bands(side: NDArray[np.bool_]) -> list[tuple[int, int, slice]]:
    """Return start and stop of each band of rows, and the rows around it that tell which colors are usual there."""
    rows = np.flatnonzero(side.any(1))
    edges = np.linspace(rows[0], rows[-1] + 1, _BANDS + 1).astype(int)
    reach = (edges[1] - edges[0]) // 2
    borders = pairwise([0, *edges[1:-1].tolist(), len(side)])
    return [(start, stop, slice(max(start - reach, 0), stop + reach)) for start, stop in borders]


def _in_palette(colors: NDArray[np.float32], side: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(h, w) whether a color, or one a bin beside it, occurs at the sides at about the same height."""
    bins = np.clip(np.rint((np.log2(np.maximum(colors, 2e-3)) + 9) * _BINS_PER_STOP), 1, 23).astype(np.int64)
    out = np.zeros(side.shape, bool)
    for start, stop, near in _bands(side):
        if side[near].any():
            out[start:stop] = _table(bins[near], side[near])[tuple(np.moveaxis(bins[start:stop], 2, 0))]
    return out


def _table(bins: NDArray[np.int64], side: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(25, 25, 25) which bins of colors belong to the sides of a band."""
    table = np.zeros((25, 25, 25), np.float32)
    np.add.at(table, tuple(bins[side].T), 1.0)
    near = np.zeros_like(table)
    for shift in np.ndindex(3, 3, 3):
        near += np.roll(table, np.array(shift) - 1, (0, 1, 2))
    return np.asarray(near > _LEAST_SHARE * np.count_nonzero(side))
