"""The faint parts of a graphic: dark outlines on dark ground, letters in the background's gray.

A graphic is found by its strong changes. Once its first and last frame are known, weaker ones count beside them: what
stands still for as long as the graphic is shown, and looks different before or after.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.maths.boxes import clipped, grown
from pipeline.maths.masks import grow
from pipeline.survey.graphic import Graphic, Seen
from pipeline.survey.still_background import StillBackground

_REACH_PX = 3
"""Width of outlines and gaps, px of the small picture."""
_LEAST_FRAMES = 5
_MOST_FRAMES = 12
_STILL = 12
"""Largest range of gray levels, over the frames, that codecs cause on sharp letters."""
_DIFFERENT = 9


def complete_graphic(graphic: Graphic, frames: Sequence[Seen], background: StillBackground) -> None:
    """Add to an opaque graphic what belongs to it, as far as ``frames`` show it and one frame before or after it."""
    own = [frame.luma for frame in frames if graphic.first <= frame.index <= graphic.last]
    beside = [frame.luma for frame in frames if frame.index < graphic.first][-1:]
    beside += [frame.luma for frame in frames if frame.index > graphic.last][:1]
    if graphic.is_lasting or len(own) < _LEAST_FRAMES or not beside:
        return
    height, width = own[0].shape
    box = clipped(grown(graphic.box_xyxy, _REACH_PX), (width, height))
    area = np.s_[box[1] : box[3], box[0] : box[2]]
    levels = np.stack([luma[area] for luma in own[:: max(1, len(own) // _MOST_FRAMES)]])
    typical = np.asarray(np.median(levels, axis=0), np.float32)
    stays = np.ptp(levels, axis=0) <= _STILL
    differs = np.logical_or.reduce([np.abs(luma[area] - typical) > _DIFFERENT for luma in beside])
    shown = np.zeros((height, width), np.float32)
    shown[area] = typical
    candidates = stays & differs & ~background.shows(shown)[area]
    left, top = graphic.box_xyxy[0] - box[0], graphic.box_xyxy[1] - box[1]
    mask = _placed(graphic.mask, candidates.shape, (left, top))
    edges = _placed(graphic.edges, candidates.shape, (left, top))
    for _ in range(_REACH_PX):
        mask |= grow(mask, 1) & candidates
    graphic.box_xyxy = box
    graphic.mask = mask
    graphic.edges = edges
    graphic.gray = typical[mask]


def _placed(mask: NDArray[np.bool_], shape: tuple[int, ...], left_top: tuple[int, int]) -> NDArray[np.bool_]:
    larger = np.zeros(shape, np.bool_)
    left, top = left_top
    larger[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return larger
