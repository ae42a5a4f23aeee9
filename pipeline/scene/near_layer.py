"""What is known about layers that stand in front of the subject and move against the plate, as stored on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask, Picture, Transforms
from pipeline.maths.boxes import Box, box_of_mask
from pipeline.maths.channels import largest_channel

_CACHED = 8
_MOTIONS = "near_motions.npz"
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
    _motions: list[tuple[int, Transforms]] = field(default_factory=list, repr=False)
    """By layer: the first frame, and (N, 3, 3) the motion of the frames from it on. Read on first use."""
    _cache: OrderedDict[tuple[int, int], NearRow | None] = field(default_factory=OrderedDict, repr=False)
    """By plate and layer."""
    _is_read: threading.Event = field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def mask(self, frame: int, row: int, box_xyxy: Box, view: Picture) -> tuple[Mask, Mask] | None:
        """Return (h, w) where a layer is seen in front of the subject, and where that is certainly the layer; None
        where there is none.

        ``view`` (h, w, 3) is the frame in the box, reduced. Any thread may ask.
        """
        found = None
        for layer, motion in self._motions_of(frame):
            known = self._row(row, layer)
            seen = None if known is None else self._seen(known, motion, box_xyxy, view)
            if seen is not None:
                found = seen if found is None else (found[0] | seen[0], found[1] | seen[1])
        return found

    def _seen(self, known: NearRow, motion: Transforms, box_xyxy: Box, view: Picture) -> tuple[Mask, Mask] | None:
        """Return what ``mask`` does, of one layer."""
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

    def _motions_of(self, frame: int) -> list[tuple[int, Transforms]]:
        """Return the layers that are known in a frame, with its motion (3, 3) into them."""
        with self._lock:
            if not self._is_read.is_set():
                self._motions.extend(_read_motions(self.folder / _MOTIONS))
                self._is_read.set()
        known = enumerate(self._motions)
        return [
            (layer, motions[frame - first]) for layer, (first, motions) in known if 0 <= frame - first < len(motions)
        ]

    def _row(self, row: int, layer: int) -> NearRow | None:
        key = row, layer
        with self._lock:
            if key not in self._cache:
                self._cache[key] = _read_row(_path(self.folder, row, layer))
                while len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            return self._cache[key]


def save_motions(folder: Path, motions: Sequence[tuple[int, Transforms]]) -> None:
    """Write by layer the first frame, and the motion (N, 3, 3) of the frames' px from it on into the mosaic."""
    firsts = np.array([first for first, _ in motions], np.int64)
    ends = np.cumsum([len(each) for _, each in motions])
    np.savez(folder / _MOTIONS, first=firsts, end=ends, motion=np.concatenate([each for _, each in motions]))


def _read_motions(path: Path) -> list[tuple[int, Transforms]]:
    if not path.exists():
        return []
    with np.load(path) as saved:
        return list(zip(saved["first"].tolist(), np.split(saved["motion"], saved["end"][:-1]), strict=True))


def save_near_row(folder: Path, row: int, layer: int, front: Mask, steady: Mask, picture: NDArray[np.float32]) -> None:
    """Write what of a layer stands in front around a plate; nothing where ``front`` (h, w) of the mosaic is empty.

    ``steady`` (h, w) is what certainly moves with the layer.
    """
    x0, y0, x1, y1 = box_of_mask(front)
    if x1 <= x0:
        return
    area = np.s_[y0:y1, x0:x1]
    shown = np.clip(np.rint(picture[area]), 0, 255).astype(np.uint8)
    np.savez(
        _path(folder, row, layer),
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


def _path(folder: Path, row: int, layer: int) -> Path:
    return folder / f"near_{row:04d}_{layer}.npz"
