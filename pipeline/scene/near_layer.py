"""What is known about layers that stand in front of the subject and move against the plate, as stored on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import Box, box_of_mask
from pipeline.maths.channels import largest_channel

_CACHED = 4
_MOTION = "near_motion.npy"
_NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
_ALIKE = 18
_MIXED = 40
"""Most that a pixel of the layer differs from what it looks like, gray levels: in the middle of a line, and at its
edges, which are mixed with what is behind."""


@dataclass(frozen=True, slots=True, eq=False)
class NearRow:
    """The part of a layer that stands in front of the subject around one plate."""

    origin_xy: tuple[int, int]
    front: Mask
    """(h, w) work px of the mosaic, from ``origin_xy`` on."""
    steady: Mask
    """(h, w) the part of it that certainly moves with the layer."""
    picture: Picture
    """(h, w, 3)."""


@dataclass(frozen=True, slots=True, eq=False)
class NearLayers:
    """The layers of a clip; most clips have none."""

    folder: Path
    gain: float = 1.0
    """Brightens the pictures before they are compared; 1 in daylight."""
    _motion: list[Transforms | None] = field(default_factory=list, repr=False)
    """Read on first use."""
    _cache: OrderedDict[int, NearRow | None] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def mask(self, frame: int, row: int, box_xyxy: Box, view: Picture) -> tuple[Mask, Mask] | None:
        """Return (h, w) where a layer is seen in front of the subject, and where that is certainly the layer; None
        where there is none.

        ``view`` (h, w, 3) is the frame in the box, reduced. Any thread may ask.
        """
        motion = self._motion_of(frame)
        known = None if motion is None else self._row(row)
        if motion is None or known is None:
            return None
        x0, y0, x1, y1 = box_xyxy
        height, width = view.shape[:2]
        scale_x, scale_y = (x1 - x0) / width, (y1 - y0) / height
        from_view = np.array(
            [[scale_x, 0, x0 + 0.5 * scale_x - 0.5], [0, scale_y, y0 + 0.5 * scale_y - 0.5], [0, 0, 1]], np.float64
        )
        shift = np.array([[1, 0, -known.origin_xy[0]], [0, 1, -known.origin_xy[1]], [0, 0, 1]], np.float64)
        to_row = shift @ motion @ from_view
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        weight = cv2.warpPerspective(known.front.astype(np.float32), to_row, (width, height), flags=flags)
        if not weight.any():
            return None
        picture = cv2.warpPerspective(known.picture, to_row, (width, height), flags=flags)
        apart = largest_channel(cv2.absdiff(picture, cv2.convertScaleAbs(view, alpha=self.gain)))
        beside = cv2.erode(apart, np.ones((3, 3), np.uint8))
        shown = np.asarray((weight > 0.5) & (beside < _ALIKE) & (apart < _MIXED), np.bool_)
        steady = cv2.warpPerspective(known.steady.view(np.uint8), to_row, (width, height), flags=_NEAREST) > 0
        return shown, shown & steady

    def _motion_of(self, frame: int) -> Transforms | None:
        with self._lock:
            if not self._motion:
                path = self.folder / _MOTION
                self._motion.append(np.load(path) if path.exists() else None)
            motions = self._motion[0]
        if motions is None or not np.isfinite(motions[frame]).all():
            return None
        return np.asarray(motions[frame], np.float64)

    def _row(self, row: int) -> NearRow | None:
        with self._lock:
            if row not in self._cache:
                self._cache[row] = _read_row(_path(self.folder, row))
                while len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            return self._cache[row]


def save_motion(folder: Path, mosaic_from_source: Transforms) -> None:
    """Write the motion (T, 3, 3) of the frames' px into the mosaic; NaN where no layer is known."""
    np.save(folder / _MOTION, mosaic_from_source)


def save_near_row(folder: Path, row: int, front: Mask, steady: Mask, picture: NDArray[np.float32]) -> None:
    """Write what stands in front around a plate; nothing where ``front`` (h, w) of the mosaic is empty.

    ``steady`` (h, w) is what certainly moves with the layer.
    """
    x0, y0, x1, y1 = box_of_mask(front)
    if x1 <= x0:
        return
    area = np.s_[y0:y1, x0:x1]
    shown = np.clip(np.rint(picture[area]), 0, 255).astype(np.uint8)
    np.savez(
        _path(folder, row),
        origin=np.array([x0, y0]),
        front=np.packbits(np.stack([front[area], front[area] & steady[area]]), axis=-1),
        picture=shown,
    )


def _read_row(path: Path) -> NearRow | None:
    if not path.exists():
        return None
    with np.load(path) as saved:
        picture = saved["picture"]
        front, steady = np.unpackbits(saved["front"], axis=-1, count=picture.shape[1]).astype(np.bool_)
        x0, y0 = saved["origin"].tolist()
    return NearRow((x0, y0), front, steady, picture)


def _path(folder: Path, row: int) -> Path:
    return folder / f"near_{row:04d}.npz"
