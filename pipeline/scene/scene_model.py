"""What was learned of the things around the subject, by plate, as it lies on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Mask

_CACHED = 4


@dataclass(frozen=True, slots=True, eq=False)
class SceneRow:
    """What holds around one plate."""

    his: NDArray[np.float32]
    """(parts, NUM_BINS) probabilities of colors on his parts."""
    foreign: NDArray[np.float32]
    """(NUM_BINS,) of things that are neither background nor people nor he."""
    others: NDArray[np.float32]
    """(NUM_BINS,) of other people."""
    front: Mask
    """(h, w) bins of the plate where something static stands in front of him."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneModel:
    """One row for each plate."""

    folder: Path
    bin_px: float
    """Size of a bin of ``front``, plate px."""
    _cache: OrderedDict[int, SceneRow] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def row(self, row: int) -> SceneRow:
        """Return what holds around a plate; the last few are kept. Any thread may ask."""
        with self._lock:
            if row not in self._cache:
                with np.load(self.folder / f"scene_{row:04d}.npz") as saved:
                    front = np.unpackbits(saved["front"], axis=-1, count=int(saved["width"])).astype(np.bool_)
                    self._cache[row] = SceneRow(saved["his"], saved["foreign"], saved["others"], front)
                while len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            return self._cache[row]

    def front_at(self, row: int, positions: NDArray[np.float32]) -> Mask:
        """Return (h, w): whether the plate's positions (h, w, 2) px lie on something in front."""
        front = self.row(row).front
        if not front.any():
            return np.zeros(positions.shape[:2], np.bool_)
        at = positions / np.float32(self.bin_px)
        sampled = cv2.remap(front.astype(np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(sampled > 0.5, np.bool_)


def save_row(folder: Path, number: int, row: SceneRow) -> None:
    """Write one row."""
    np.savez(
        folder / f"scene_{number:04d}.npz",
        his=row.his,
        foreign=row.foreign,
        others=row.others,
        front=np.packbits(row.front, axis=-1),
        width=np.int64(row.front.shape[1]),
    )
