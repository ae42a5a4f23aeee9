"""The chroma grid of the coded picture: boxes that lie on it, and values over its blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Matte, Picture
from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.maths.boxes import Box
from pipeline.media.pixels import coded_from_upright, coded_rgb, upright_from_coded


def coded_box(box: Box, info: VideoInfo) -> Box:
    """Convert a half-open source box to the coded orientation."""
    corners = np.array([[box[0], box[1], 1], [box[2] - 1, box[3] - 1, 1]], np.float64) @ info.coded_from_source.T
    low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1


def on_chroma_grid(box: Box, info: VideoInfo) -> Box:
    """Expand a source box so that its coded form starts and ends on the chroma grid (or at the picture's edge)."""
    x0, y0, x1, y1 = coded_box(box, info)
    step_x, step_y = (1 << log2 for log2 in info.chroma_log2_wh)
    x0 -= x0 % step_x
    y0 -= y0 % step_y
    x1 = min(x1 + -x1 % step_x, info.width)
    y1 = min(y1 + -y1 % step_y, info.height)
    source_from_coded = np.linalg.inv(info.coded_from_source)
    corners = np.array([[x0, y0, 1], [x1 - 1, y1 - 1, 1]], np.float64) @ source_from_coded.T
    low, high = np.rint(corners[:, :2].min(axis=0)), np.rint(corners[:, :2].max(axis=0))
    return int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1


def rgb_of_edit(result: Frame, box: Box, source_rgb: Picture) -> Picture:
    """Return ``rgb_of(result)`` of a frame that differs from its source, (H, W, 3), inside a source box only.

    Chroma is interpolated between samples, so that pixels up to one sample beside the box change as well.
    """
    info = result.info
    step_x, step_y = (1 << log2 for log2 in info.chroma_log2_wh)
    # One more sample on each side: at the end of a part there is nothing to interpolate with.
    x0, y0, x1, y1 = coded_box(box, info)
    x0, y0 = max(x0 - x0 % step_x - 2 * step_x, 0), max(y0 - y0 % step_y - 2 * step_y, 0)
    x1, y1 = min(x1 + -x1 % step_x + 2 * step_x, info.width), min(y1 + -y1 % step_y + 2 * step_y, info.height)
    parts = []
    for number, plane in enumerate(result.planes):
        across, down = info.chroma_log2_wh if number in (1, 2) else (0, 0)
        parts.append(plane[y0 >> down : -(-y1 >> down), x0 >> across : -(-x1 >> across)])
    rgb = coded_rgb(tuple(parts), info)
    inner = np.s_[
        step_y * (y0 > 0) : y1 - y0 - step_y * (y1 < info.height),
        step_x * (x0 > 0) : x1 - x0 - step_x * (x1 < info.width),
    ]
    view = source_rgb.copy()
    coded = _coded_view(view, info)
    coded[y0:y1, x0:x1][inner] = rgb[inner]
    return view


def _coded_view(picture: Picture, info: VideoInfo) -> Picture:
    """Return a view of an upright picture in the coded orientation."""
    back = np.rot90(picture, info.quarter_turns)
    return np.flip(back, axis=1) if info.mirrored else back


def block_mean(weight: Matte, sub_x: int, sub_y: int) -> Matte:
    """Return the mean weight of each chroma block; 1 only where all its pixels are exactly 1."""
    if sub_x == 0 and sub_y == 0:
        return weight
    height, width = weight.shape
    pad_y, pad_x = -height % (1 << sub_y), -width % (1 << sub_x)
    padded = np.pad(weight, ((0, pad_y), (0, pad_x)), mode="edge") if pad_y or pad_x else weight
    total = np.zeros((padded.shape[0] >> sub_y, padded.shape[1] >> sub_x), np.float32)
    for part in _phases(padded, sub_x, sub_y):
        total += part
    # A power of two: whole blocks of 1 give exactly 1.
    return total * np.float32(1 / (1 << (sub_x + sub_y)))


def whole_chroma_blocks(touched: Mask, box: Box, info: VideoInfo) -> Mask:
    """Dilate a mask to whole chroma blocks of the coded picture, on whose grid the box lies."""
    sub_x, sub_y = info.chroma_log2_wh
    if sub_x == 0 and sub_y == 0:
        return touched
    coded = coded_from_upright(touched, info)
    height, width = coded.shape
    padded = np.pad(coded, ((0, -height % (1 << sub_y)), (0, -width % (1 << sub_x))))
    blocks = np.logical_or.reduce(_phases(padded, sub_x, sub_y))
    whole = np.empty_like(padded)
    for part in _phases(whole, sub_x, sub_y):
        part[...] = blocks
    whole = whole[:height, :width]
    return upright_from_coded(whole, info)


def _phases(picture: NDArray[Any], sub_x: int, sub_y: int) -> list[NDArray[Any]]:
    """Return views of the first, second … sample of all chroma blocks."""
    step_x, step_y = 1 << sub_x, 1 << sub_y
    return [picture[y::step_y, x::step_x] for y in range(step_y) for x in range(step_x)]
