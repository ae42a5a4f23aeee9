"""The other end of a long object: what leaves a fist on one side continues along the same line on the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask

_LONG = 2.5
"""Length over width of an elongated object."""
_LINE_REACH_BH = 0.05
"""Largest distance of the holding hand from the line."""
_HALF_WIDTH_BH = 0.011
_FLANK_BH = 0.03
_FIST_BH = 0.1
_LONGEST_BH = 0.4
_STEP_BH = 0.015
_SHAFTS_BH = (0.12, 0.2)
_TURNS_DEG = (0, -3, 3, -6, 6, -9, 9)
_CONTRAST = 1.0
"""Log odds by which it must stand out from both sides: colors shared with the subject count by position alone."""
_LEAST_ODDS = -2.0
_LEAST_PX = 30


def other_end(held: Mask, odds: Float32Array, differs: Mask, hand_xy: NDArray[np.float32], height_px: float) -> Mask:
    """Return the (h, w) continuation of the ``held`` object beyond the hand; empty where it is not elongated.

    ``odds`` are log odds that a pixel is not the subject's, ``differs`` where the background is not visible. Its line
    is the principal axis of its pixels (Hotelling 1933), rotated slightly to where the other end stands out
    most.
    """
    found = np.zeros(held.shape, np.bool_)
    rows, columns = np.nonzero(held)
    if len(rows) < _LEAST_PX:
        return found
    points = np.column_stack([columns, rows]).astype(np.float64) - hand_xy
    shaft = _shaft(points / height_px) * height_px
    away, is_long = _axis(shaft)
    if not is_long:
        return found
    start = shaft.mean(axis=0)
    angle = np.arctan2(-away[1], -away[0])
    clearest = 0.0
    for turn in np.deg2rad(_TURNS_DEG):
        along = np.array([np.cos(angle + turn), np.sin(angle + turn)])
        part, clarity = _continuation(start, along, odds, differs, hand_xy, height_px)
        if clarity > clearest:
            found = part
            clearest = clarity
    return found


def _shaft(points_bh: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points (N, 2) nearest to the hand that are elongated: there it is a stick, whatever is at its end."""
    distance = np.hypot(*points_bh.T)
    for reach in _SHAFTS_BH:
        shaft = points_bh[distance < reach]
        if len(shaft) >= _LEAST_PX and _axis(shaft)[1]:
            return shaft
    return points_bh


def _axis(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return the direction (2,) of the principal axis of points (N, 2), away from the origin, and whether they are
    elongated."""
    middle = points.mean(axis=0)
    lengths, axes = np.linalg.eigh(np.cov((points - middle).T))
    axis = axes[:, 1] if axes[:, 1] @ middle >= 0 else -axes[:, 1]
    return axis, bool(lengths[1] >= _LONG**2 * max(float(lengths[0]), 1e-6))


def _continuation(
    start: NDArray[np.float64],
    along: NDArray[np.float64],
    odds: Float32Array,
    differs: Mask,
    hand_xy: NDArray[np.float32],
    height_px: float,
) -> tuple[Mask, float]:
    """Return what stands out on the line through ``start`` (from the hand, px) beyond the hand, and how clearly.

    Clarity is the difference of log odds from both sides, summed over the length.
    """
    nothing = np.zeros(odds.shape, np.bool_)
    across = np.array([-along[1], along[0]])
    if abs(float(across @ start)) > _LINE_REACH_BH * height_px:
        return nothing, 0.0
    x = np.arange(odds.shape[1]) - float(hand_xy[0])
    y = (np.arange(odds.shape[0]) - float(hand_xy[1]))[:, None]
    ahead = (x * along[0] + y * along[1]) / height_px
    aside = np.abs((x - start[0]) * across[0] + (y - start[1]) * across[1]) / height_px
    within = (ahead > 0) & (ahead < _LONGEST_BH)
    strip = within & (aside <= max(_HALF_WIDTH_BH, 1.2 / height_px))
    flank = within & (aside > 2 * _HALF_WIDTH_BH) & (aside < _FLANK_BH)
    count = int(_LONGEST_BH / _STEP_BH) + 1
    bins = np.clip(ahead / _STEP_BH, 0, count - 1).astype(np.int64)
    on_line = _means(odds, strip, bins, count)
    beside = _means(odds, flank, bins, count)
    is_known = np.isfinite(on_line) & np.isfinite(beside)
    contrast = np.where(is_known, on_line, 0.0) - np.where(is_known, beside, 0.0)
    is_there = (contrast > _CONTRAST) & (on_line > _LEAST_ODDS)
    is_there &= _means(differs.astype(np.float32), strip, bins, count) > 0.5
    last = _last_of_run(is_there, int(_FIST_BH / _STEP_BH))
    is_there[last + 1 :] = False
    return strip & is_there[bins] & differs, float(contrast[is_there].sum())


def _means(values: Float32Array, where: Mask, bins: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    number = np.bincount(bins[where], minlength=count)
    total = np.bincount(bins[where], values[where], minlength=count)
    return np.where(number > 0, total / np.maximum(number, 1), -np.inf)


def _last_of_run(is_there: NDArray[np.bool_], gap: int) -> int:
    """Return the last index of the run that starts within ``gap`` positions; one may be missing. -1 for none."""
    last = -1
    for place in np.flatnonzero(is_there):
        if place - last > (gap if last < 0 else 2):
            break
        last = int(place)
    return last
