"""Graphics that people walk in front of are part of the background, at the same place of every picture: learned from
frames that show them, and laid over each frame's view of the plates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture
from pipeline.datatypes.clip import FrameSource
from pipeline.datatypes.survey import Overlays
from pipeline.maths.boxes import Box, overlap_slices
from pipeline.media.pixels import rgb_of

FILE = "graphics_behind.npz"
_SAMPLES = (3, 9)
_SAMPLE_BYTES = 64 * 2**20
"""Most that the samples of one graphic have, but for the fewest of them."""
_BAND_ROWS = 32
"""Rows whose samples are averaged at a time: as numbers they take many times as much memory as their bytes."""
_STEADY = 10.0
"""Levels from its median by which a graphic's pixel varies; what varies more shows the scene."""
_INPAINT_PX = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Graphic:
    first: int
    last: int
    box_xyxy: Box
    rgba: NDArray[np.uint8]
    """(h, w, 4)."""


@dataclass(frozen=True, slots=True, eq=False)
class GraphicsBehind:
    """The graphics of a clip that are part of its background."""

    graphics: tuple[_Graphic, ...] = ()

    def lay_over(self, picture: Picture, known: Mask, frame: int, box_xyxy: Box) -> None:
        """Draw the graphics of a frame over the view of a box, (h, w, 3) and where it is known (h, w), of any size."""
        height, width = known.shape
        x_scale = width / (box_xyxy[2] - box_xyxy[0])
        y_scale = height / (box_xyxy[3] - box_xyxy[1])
        for graphic in self.graphics:
            if not graphic.first <= frame <= graphic.last:
                continue
            x0, y0, x1, y1 = graphic.box_xyxy
            left, top = round((x0 - box_xyxy[0]) * x_scale), round((y0 - box_xyxy[1]) * y_scale)
            size_wh = max(1, round((x1 - x0) * x_scale)), max(1, round((y1 - y0) * y_scale))
            own = (left, top, left + size_wh[0], top + size_wh[1])
            if left >= width or top >= height or own[2] <= 0 or own[3] <= 0:
                continue
            rgba = graphic.rgba
            if size_wh != (x1 - x0, y1 - y0):
                rgba = np.asarray(cv2.resize(rgba, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
            of_view, of_graphic = overlap_slices(own, (0, 0, width, height))
            part = rgba[of_graphic]
            weight = part[..., 3:].astype(np.float32) / np.float32(255)
            below = picture[of_view].astype(np.float32)
            picture[of_view] = np.rint(below + weight * (part[..., :3] - below)).astype(np.uint8)
            known[of_view] |= part[..., 3] > 127


@dataclass(slots=True, eq=False)
class _Samples:
    row: int
    box_xyxy: Box
    mask: Mask
    frames: frozenset[int]
    pictures: list[Picture] = field(default_factory=list)
    hidden: list[Mask] = field(default_factory=list)

    def add(self, picture: Picture, people: Mask) -> None:
        x0, y0, x1, y1 = self.box_xyxy
        self.pictures.append(picture[y0:y1, x0:x1].copy())
        self.hidden.append(people[y0:y1, x0:x1].copy())

    @property
    def is_complete(self) -> bool:
        return len(self.pictures) == len(self.frames)

    def take_rgba(self) -> NDArray[np.uint8]:
        """Return (h, w, 4) what the samples tell, and forget them; transparent where people hid all of it in each."""
        pictures, hidden = np.stack(self.pictures), np.stack(self.hidden)
        self.pictures.clear()
        self.hidden.clear()
        unseen = hidden.all(axis=0)
        rgb = np.empty(pictures.shape[1:], np.uint8)
        is_steady = np.empty(unseen.shape, np.bool_)
        for top in range(0, len(rgb), _BAND_ROWS):
            rows = slice(top, top + _BAND_ROWS)
            rgb[rows], is_steady[rows] = _typical(pictures[:, rows], hidden[:, rows])
        is_known = not unseen.all()
        weight = (self.mask & is_steady & is_known).astype(np.uint8) * 255
        if unseen.any() and is_known:
            rgb = np.asarray(cv2.inpaint(rgb, unseen.view(np.uint8), _INPAINT_PX, cv2.INPAINT_TELEA), np.uint8)
        return np.dstack([rgb, np.asarray(cv2.blur(weight, (3, 3)), np.uint8)])


def _typical(pictures: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> tuple[Picture, Mask]:
    """Return the median (h, w, 3) of pictures (K, h, w, 3) where they are not ``hidden`` (K, h, w), and (h, w) whether
    they hardly differ from it; black and steady where all are hidden."""
    levels = pictures.astype(np.float32)
    levels[hidden] = np.nan
    levels[:, hidden.all(axis=0)] = 0
    typical = np.nanmedian(levels, axis=0)
    away = np.nanmean(np.abs(levels - typical).max(axis=-1), axis=0)
    return np.rint(typical).astype(np.uint8), np.asarray(away <= _STEADY, np.bool_)


def write_graphics_behind(
    clip: FrameSource,
    overlays: Overlays | None,
    people_mask: Callable[[int], Mask],
    folder: Path,
    check: Callable[[], None],
) -> None:
    """Learn the graphics from ``clip``, and write them to ``folder``; nothing where there are none.

    ``people_mask`` maps a frame number to (H, W), with some room around people.
    """
    if overlays is None or not overlays.behind:
        return
    every = [_samples(overlays, row) for row in overlays.behind]
    pictures: dict[int, NDArray[np.uint8]] = {}
    for frame in clip.frames_at(sorted(set().union(*(each.frames for each in every)))):
        check()
        picture, people = rgb_of(frame), people_mask(frame.index)
        for each in every:
            if frame.index in each.frames:
                each.add(picture, people)
                if each.is_complete:
                    pictures[each.row] = each.take_rgba()
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / FILE,
        spans=overlays.spans[[each.row for each in every]],
        boxes_xyxy=np.array([each.box_xyxy for each in every], np.int64),
        rgba=np.concatenate([pictures[each.row].ravel() for each in every]),
    )


def load_graphics_behind(folder: Path) -> GraphicsBehind:
    """Read back what ``write_graphics_behind`` wrote, if anything."""
    if not (folder / FILE).exists():
        return GraphicsBehind()
    with np.load(folder / FILE) as saved:
        spans, boxes, levels = saved["spans"].tolist(), saved["boxes_xyxy"].tolist(), saved["rgba"]
    graphics, at = [], 0
    for (first, last), (x0, y0, x1, y1) in zip(spans, boxes, strict=True):
        count = (y1 - y0) * (x1 - x0) * 4
        rgba = levels[at : at + count].reshape(y1 - y0, x1 - x0, 4)
        graphics.append(_Graphic(first, last, (x0, y0, x1, y1), rgba))
        at += count
    return GraphicsBehind(tuple(graphics))


def _samples(overlays: Overlays, row: int) -> _Samples:
    box, mask = overlays.graphic(row)
    count = int(np.clip(_SAMPLE_BYTES // (3 * mask.size), *_SAMPLES))
    first, last = overlays.spans[row].tolist()
    return _Samples(row, box, mask, _spread(first, last, count))


def _spread(first: int, last: int, count: int) -> frozenset[int]:
    """Return up to ``count`` frames between two: on a grid that is the same for all graphics, so that few are read."""
    step = max(1, (last - first) // count)
    step = 1 << (step.bit_length() - 1)
    grid: Sequence[int] = range(-(-first // step) * step, last + 1, step)
    return frozenset(grid[:: max(1, len(grid) // count)][:count] or [first])
