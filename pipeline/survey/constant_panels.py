"""Translucent panels that are there in all frames of a shot.

Their sides stand still while the scene goes on beneath them, as a fixed mixture with one color. No picture lacks them;
but what lies just inside of a side is the mixture of what lies just outside, alike on all sides. Where a scene has a
still rectangle of its own, each side of it shows something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask, Picture
from pipeline.maths.boxes import Box
from pipeline.survey.graphic import Seen
from pipeline.survey.inset import still_boxes
from pipeline.survey.panel_search import SLOPES
from pipeline.survey.still_lines import Pictures

_GAP_PX = 2
"""Distance of a pair's pixels from the side: it is scaled and coded."""
_COARSE_PX = 21
"""Along a side, over which gray levels are averaged: fine texture differs from one px of a pair to the other."""
_CORNER = 0.15
"""Share of a side at its ends, where the corner may be round."""
_LEAST_PAIRS = 200
_LEAST_SIDES = 3
_SCALE = 8.0
"""Gray levels from the line, beyond which a pair counts little, and no longer fits."""
_FITS = 0.7
"""Share of the pairs that fit."""
_CORRELATION = 0.9
_EVEN = 0.7
"""Least opacity that a side shows, relative to the largest. It is below 0.6 for rectangles of the scene and boxes that
are partly wrong, and from 0.75 on for panels."""
_LEAST_CONTROL = 0.75
"""Slope between pixels that both lie outside, below which too little is known of what lies beneath a side."""
_GRAY = (-20.0, 275.0)
_LEAST_SPREAD = 8.0
"""Standard deviation, gray levels, of what is seen outside."""
_ITERATIONS = 6


@dataclass(frozen=True, slots=True)
class ConstantPanel:
    """A panel in some pictures of a shot."""

    box_xyxy: Box
    """Px of the pictures."""
    opacity: float
    gray: float


def constant_panels(looks: Sequence[Seen]) -> list[ConstantPanel]:
    """Return the translucent panels that all of some frames of one shot show."""
    pictures = Pictures.of(looks)
    found = (_panel_of(pictures, each.box_xyxy) for each in still_boxes(pictures, Pictures.turned(looks)))
    return [panel for panel in found if panel is not None]


def color_of(picture: Picture, panel: ConstantPanel) -> tuple[float, float, float]:
    """Return the color (RGB, 0..255) of a panel in a picture (h, w, 3) of its size."""
    nobody = np.zeros((1, *picture.shape[:2]), np.bool_)
    channels: list[float] = []
    for channel in range(3):
        sides = list(_sides(picture[None, ..., channel], nobody, panel.box_xyxy))
        outer = np.concatenate([each[1] for each in sides])
        inner = np.concatenate([each[2] for each in sides])
        offset = float(np.median(inner - (1 - panel.opacity) * outer))
        channels.append(float(np.clip(offset / panel.opacity, 0, 255)))
    red, green, blue = channels
    return red, green, blue


def _panel_of(pictures: Pictures, box: Box) -> ConstantPanel | None:
    sides = list(_sides(pictures.luma, pictures.people, box))
    if len(sides) < _LEAST_SIDES:
        return None
    far, outer, inner = (np.concatenate([each[place] for each in sides]) for place in range(3))
    if len(outer) < _LEAST_PAIRS or float(outer.std()) < _LEAST_SPREAD:
        return None
    slope, offset = _line(outer, inner)
    fits = np.abs(inner - slope * outer - offset) < _SCALE
    if not SLOPES[0] <= slope <= SLOPES[1] or float(fits.mean()) < _FITS:
        return None
    if float(np.corrcoef(outer[fits], inner[fits])[0, 1]) < _CORRELATION:
        return None
    # The pixels of a pair lie apart, which lowers every slope: as much as between two outside, where it should be 1.
    control = _line(far, outer)[0]
    if control < _LEAST_CONTROL:
        return None
    slope /= min(control, 1.0)
    gray = float(np.mean(inner[fits] - slope * outer[fits])) / max(1 - slope, 1e-6)
    if slope > SLOPES[1] or not _GRAY[0] <= gray <= _GRAY[1]:
        return None
    opacities = [_opacity(each[1], each[2], gray) for each in sides]
    if min(opacities) < _EVEN * max(opacities):
        return None
    return ConstantPanel(box, 1 - slope, float(np.clip(gray, 0, 255)))


def _sides(
    luma: NDArray[np.uint8], people: Mask, box: Box
) -> Iterator[tuple[Float64Array, Float64Array, Float64Array]]:
    """Yield for each side that does not lie at the picture's edge the gray levels (N,) farther outside, just outside
    and just inside."""
    height, width = luma.shape[1:]
    x0, y0, x1, y1 = box
    room_x, room_y = round(_CORNER * (x1 - x0)), round(_CORNER * (y1 - y0))
    columns, rows = slice(x0 + room_x, x1 - room_x), slice(y0 + room_y, y1 - room_y)
    step = 2 * _GAP_PX + 1
    turned, turned_people = luma.transpose(0, 2, 1), people.transpose(0, 2, 1)
    for lines, hidden, along, outside, sign, end in (
        (luma, people, columns, y0 - _GAP_PX - 1, -1, height),
        (luma, people, columns, y1 + _GAP_PX, 1, height),
        (turned, turned_people, rows, x0 - _GAP_PX - 1, -1, width),
        (turned, turned_people, rows, x1 + _GAP_PX, 1, width),
    ):
        places = outside + sign * step, outside, outside - sign * step
        if not 0 <= min(places) <= max(places) < end:
            continue
        covered = np.logical_or.reduce([hidden[:, place, along] for place in places]).astype(np.uint8)
        free = cv2.dilate(covered, np.ones((1, _COARSE_PX), np.uint8)) == 0
        if free.any():
            far, outer, inner = (
                cv2.blur(lines[:, place, along].astype(np.float64), (_COARSE_PX, 1))[free] for place in places
            )
            yield far, outer, inner


def _line(x: Float64Array, y: Float64Array) -> tuple[float, float]:
    """Return slope and offset of the line that most pairs (N,) agree with (least squares, Cauchy's weights)."""
    weight = np.ones(len(x))
    slope = 0.0
    offset = 0.0
    for _ in range(_ITERATIONS):
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        slope = float(weight @ ((x - mean_x) * (y - mean_y)) / max(float(weight @ (x - mean_x) ** 2), 1e-6))
        offset = float(mean_y - slope * mean_x)
        weight = 1 / (1 + ((y - slope * x - offset) / _SCALE) ** 2)
    return slope, offset


def _opacity(outer: Float64Array, inner: Float64Array, gray: float) -> float:
    """Return the opacity that one side shows for a panel of known gray."""
    whole = gray - outer
    step = inner - outer
    opacity = (
        float(np.median(step[np.abs(whole) > _SCALE] / whole[np.abs(whole) > _SCALE]))
        if np.any(np.abs(whole) > _SCALE)
        else 0.0
    )
    for _ in range(_ITERATIONS):
        weight = 1 / (1 + ((step - opacity * whole) / (2 * _SCALE)) ** 2)
        opacity = float(weight @ (whole * step) / max(float(weight @ whole**2), 1e-6))
    return opacity
