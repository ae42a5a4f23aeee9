"""The shaft between a hand and what is at its end: the handle of a racket, of a sign, of a net.

Before clothes, in the color of skin or of the clothes themselves, such a shaft is in no mask; the head at its end is.
Between the two it is a straight narrow strip of one color that differs from both its sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float32Array, Mask
from pipeline.scene.samples import Sample
from pipeline.scene.shafts import (
    AIMED_DEG,
    OFF_LINE_BH,
    Head,
    Shaft,
    apart_from,
    head_at,
    is_line,
    lies_on_forearm,
    side_px,
    smoothed_px,
    strip_of,
    strip_px,
)
from pipeline.scene.views import Shown

_HALF_WIDTHS_BH = (0.004, 0.008, 0.013)
_TURN_DEG = 1.5
_FIST_BH = 0.04
_LEAST_BH = 0.06
"""Length between fist and head: within less anything is a line."""
_SEEN_SHARE = 0.8
_BACKGROUND_SHARE = 0.3
"""The gap between an arm and the trunk is a strip, too, of background."""
_PER_PX = 9.0
"""Mean by which it stands out, see ``is_line``."""
_OPPOSITE = -0.8
"""Cosine of the directions from a color to those of its two sides."""
_ALMOST = 0.9
"""Share of the best evidence with which a wider strip is taken: its edges are mixed with what is beside it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Strips:
    """The surroundings of one line from a hand to a head."""

    lab: Float32Array
    """(across, along, 3)."""
    background: Float32Array
    """(across, along) 1 where the background is visible."""
    first: int
    """Between fist and head, along."""
    end: int


def shafts_to_heads(kept: Mask, sample: Sample) -> list[Shaft]:
    """Return the clearest shaft between a hand and the largest wide part of what is ``kept`` (h, w) near it: one at
    most, as a thing has one handle."""
    heads = [(side, head) for side in (0, 1) if (head := head_at(side, kept, sample)) is not None]
    if not heads:
        return []
    lab = cv2.cvtColor(sample.view.picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    background = (sample.view.shown == Shown.PLATE).astype(np.float32)
    found = [each for side, head in heads if (each := _shaft_to(head, side, lab, background, sample)) is not None]
    return [max(found, key=lambda each: each[0])[1]] if found else []


def _shaft_to(
    head: Head, side: int, lab: Float32Array, background: Float32Array, sample: Sample
) -> tuple[float, Shaft] | None:
    """Return the evidence for a shaft between a hand (0 left, 1 right) and what it may hold, and the shaft; None where
    there is none. ``lab`` (h, w, 3) is the picture in 8-bit Lab, ``background`` (h, w) 1 where that is visible."""
    height = sample.body.height_px
    hand_xy = sample.body.hands[np.flatnonzero(sample.body.hand_sides == side)[0]].astype(np.float64)
    rows, columns = np.nonzero(head.mask)
    points = np.column_stack([columns, rows]) - hand_xy
    middle = np.rad2deg(np.arctan2(head.away_xy[1], head.away_xy[0]))
    best: tuple[float, Shaft] | None = None
    for turn in np.arange(-AIMED_DEG, AIMED_DEG + 0.1, _TURN_DEG):
        angle = float(np.deg2rad(middle + turn))
        along = np.array([np.cos(angle), np.sin(angle)])
        near = np.abs(points @ [-along[1], along[0]]) <= OFF_LINE_BH * height
        ends = int(_FIST_BH * height), int((points @ along)[near].min()) - 2 if near.any() else 0
        if ends[1] - ends[0] < _LEAST_BH * height or lies_on_forearm(along, along, hand_xy, sample):
            continue
        middle_px = strip_px(height)[0]
        strips = _Strips(
            strip_of(lab, hand_xy, along, height),
            strip_of(background, hand_xy, along, height),
            middle_px + ends[0],
            middle_px + min(ends[1], middle_px),
        )
        found = _clearest(strips, height)
        if found is not None and (best is None or found[0] > best[0]):
            best = found[0], Shaft(side, float(np.rad2deg(angle)) % 180, found[1] / height, found[2])
    return best


def _clearest(strips: _Strips, height_px: float) -> tuple[float, float, Float32Array] | None:
    """Return the evidence, the width in px and the color (3,) in 8-bit Lab of the clearest line in the strips."""
    found = None
    for half in sorted({max(1, round(share * height_px)) for share in _HALF_WIDTHS_BH}):
        line = _line_of_width(strips, half, height_px)
        if line is not None and (found is None or line[0] > _ALMOST * found[0]):
            found = line
    return found


def _line_of_width(strips: _Strips, half_px: int, height_px: float) -> tuple[float, float, Float32Array] | None:
    across, away = strip_px(height_px)[1], side_px(half_px)
    reach = min(int(OFF_LINE_BH * height_px), across - away)
    if reach < 0:
        return None
    smooth = cv2.blur(strips.lab, (smoothed_px(height_px), 2 * half_px - 1))[:, strips.first : strips.end]
    rows = np.arange(across - reach, across + reach + 1)
    colors = np.median(smooth[rows], axis=1, keepdims=True)
    core, one, other = (apart_from(smooth[rows + step], colors) for step in (0, -away, away))
    seen, clarity = is_line(core, np.minimum(one, other))
    seen &= ~_is_between(colors, smooth[rows - away], smooth[rows + away])
    evidence = np.where(seen, clarity, 0.0).sum(axis=1)
    hidden = strips.background[rows, strips.first : strips.end].mean(axis=1)
    evidence[(seen.mean(axis=1) < _SEEN_SHARE) | (hidden > _BACKGROUND_SHARE)] = 0.0
    best = int(evidence.argmax())
    if evidence[best] < _PER_PX * seen.shape[1]:
        return None
    return float(evidence[best]), 2.0 * half_px, colors[best, 0].astype(np.float32)


def _is_between(colors: Float32Array, one: Float32Array, other: Float32Array) -> NDArray[np.bool_]:
    """Return (...) where a color (..., 3) lies between those of its two sides: the blurred edge between them."""
    away, across = one - colors, other - colors
    lengths = np.linalg.norm(away, axis=-1) * np.linalg.norm(across, axis=-1)
    return np.asarray((away * across).sum(axis=-1) < _OPPOSITE * lengths, np.bool_)
