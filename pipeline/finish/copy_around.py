"""The blurred copy around a picture changes with it: an editor makes it from the picture, and the original person would
stay in it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from pipeline.datatypes.arrays import Float32Array, Mask, Plane
from pipeline.datatypes.blurred_copy import BlurredCopy
from pipeline.datatypes.clip import VideoInfo
from pipeline.datatypes.survey import Overlays
from pipeline.finish.chroma_grid import coded_box
from pipeline.finish.composite import EditedFrame
from pipeline.maths.blurred_copy import change_of_copy
from pipeline.maths.boxes import Box
from pipeline.maths.masks import grow
from pipeline.media.pixels import rgb_of, upright_from_coded

_LETTERS = 20
"""Gray levels by which what lies on a copy differs from it."""
_LETTERS_ROOM_PX = 2
"""Of a picture of 360 lines."""
_LINES = 360


def with_copy_around(edited: EditedFrame, overlays: Overlays | None) -> EditedFrame:
    """Return a frame whose blurred copy, where it has one, shows the new person as well; letters on it stay."""
    around = None if overlays is None else overlays.copy_around(edited.source.index)
    if around is None or around[1].gain == 0 or edited.weights is None:
        return edited
    info = edited.source.info
    box = coded_box(around[0], info)
    copy = _coded(around[1], info)
    free = _free(edited.source.planes[0], box, copy, info)
    changed = np.zeros((info.height, info.width), np.bool_)
    planes = list(edited.result.planes)
    for number, plane in enumerate(planes):
        log2 = info.chroma_log2_wh if number in (1, 2) else (0, 0)
        before = edited.source.planes[number]
        planes[number], different = _changed_plane(before, plane, box, copy, log2, free, info.bit_depth)
        whole = np.repeat(np.repeat(different, 1 << log2[1], axis=0), 1 << log2[0], axis=1)
        changed |= whole[: info.height, : info.width]
    if not changed.any():
        return edited
    result = replace(edited.result, planes=tuple(planes))
    return replace(edited, result=result, result_rgb=rgb_of(result), around=upright_from_coded(changed, info))


def _changed_plane(
    before: Plane, after: Plane, box: Box, copy: BlurredCopy, log2: tuple[int, int], free: Mask, bit_depth: int
) -> tuple[Plane, Mask]:
    """Return a plane of a result whose copy has followed its picture, and where that changed it."""
    height, width = before.shape
    factors = 1 / (1 << log2[0]), 1 / (1 << log2[1])
    x0, y0, x1, y1 = box[0] >> log2[0], box[1] >> log2[1], -(-box[2] >> log2[0]), -(-box[3] >> log2[1])
    change = after[y0:y1, x0:x1].astype(np.float32) - before[y0:y1, x0:x1]
    of_copy = change_of_copy(copy.scaled(factors), change, (x0, y0, x1, y1), (width, height))
    small = cv2.resize(free.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST).view(np.bool_)
    small[y0:y1, x0:x1] = False
    new = np.clip(np.rint(before + of_copy), 0, 2**bit_depth - 1).astype(before.dtype)
    different = small & (new != before)
    return np.where(different, new, after), different


def _free(luma: Plane, box: Box, copy: BlurredCopy, info: VideoInfo) -> Mask:
    """Return (H, W) where a coded frame shows its copy and nothing that lies on it."""
    x0, y0, x1, y1 = box
    level = 1 << (info.bit_depth - 8)
    shown: Float32Array = luma.astype(np.float32) / np.float32(level)
    expected = change_of_copy(copy, shown[y0:y1, x0:x1], box, (info.width, info.height))
    outside = np.ones(luma.shape, np.bool_)
    outside[y0:y1, x0:x1] = False
    away = shown - expected
    away -= np.median(away[outside][::16])
    room = max(1, round(_LETTERS_ROOM_PX * min(luma.shape) / _LINES))
    return outside & ~grow(outside & (np.abs(away) > _LETTERS), room)


def _coded(copy: BlurredCopy, info: VideoInfo) -> BlurredCopy:
    """Return a copy in the coded orientation."""
    across, down = copy.scale_xy
    scale = np.diag([across, down, 1.0])
    scale[:2, 2] = np.asarray(copy.offset_xy) + (np.array([across, down]) - 1) / 2
    coded = info.coded_from_source @ scale @ np.linalg.inv(info.coded_from_source)
    across, down = float(coded[0, 0]), float(coded[1, 1])
    return BlurredCopy(
        (across, down),
        (float(coded[0, 2] - (across - 1) / 2), float(coded[1, 2] - (down - 1) / 2)),
        copy.sigma_px,
        copy.gain,
    )
