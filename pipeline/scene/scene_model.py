"""What was learned about the objects around the subject, per plate, as stored on disk."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Mask
from pipeline.scene.balls import Balls
from pipeline.scene.colors import NUM_BINS
from pipeline.scene.near_layer import NearLayers
from pipeline.scene.shaft_track import ShaftTracks
from pipeline.shaped import Shaped, Shapes

_CACHED = 4
_MEETINGS = "meetings.npy"
_LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SceneRow(Shaped):
    """What was learned around one plate."""

    SHAPES: ClassVar[Shapes] = {
        "subject": ("parts", "bins"), "foreign": ("bins",), "others": ("bins",),
        "front": ("h", "w"), "wrong": ("h", "w"), "in_hand": ("bins",), "is_held": ("bins",),
        "worn": ("cells", "cells"), "held": ("anchors", "squares", "squares"),
    }  # fmt: skip

    subject: NDArray[np.float32]
    """(parts, NUM_BINS) probabilities of colors on the parts of the subject."""
    foreign: NDArray[np.float32]
    """(NUM_BINS,) of objects that are neither background nor people."""
    others: NDArray[np.float32]
    """(NUM_BINS,) of other people."""
    breadth_bh: float
    """Radius of the largest disc inside the foreign objects, body heights; 0 where none was seen."""
    front: Mask
    """(h, w) bins of the plate where something static stands in front of the subject."""
    wrong: Mask
    """(h, w) bins in which the plate is not to be trusted."""
    in_hand: NDArray[np.float32] = field(default_factory=lambda: np.zeros(NUM_BINS, np.float32))
    """(NUM_BINS,) probabilities of colors on a small thing in one of the hands."""
    is_held: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(NUM_BINS, np.bool_))
    """(NUM_BINS,) the colors that over time are those of a held object."""
    worn: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((1, 1), np.bool_))
    """Cells around the head in which something moves with it, see ``hair.worn_cells``."""
    held: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 1, 1), np.float32))
    """In what share of the frames an object covers a cell at the trunk and the hands, see ``held_places.shares``."""


@dataclass(frozen=True, slots=True, eq=False)
class SceneModel:
    """One row for each plate."""

    folder: Path
    bin_px: float
    """Size of a bin of ``front``, plate px."""
    gain: float
    """Brightens the pictures before their colors are binned; 1 in daylight."""
    near: NearLayers
    """What stands in front of the subject and moves against the plates."""
    is_fast: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(T,) the frames in which the camera moves so fast that motion blur is likely."""
    _meetings: list[NDArray[np.bool_]] = field(default_factory=list, repr=False)
    """Read on first use."""
    _balls: list[Balls] = field(default_factory=list, repr=False)
    """Read when first asked for."""
    _shafts: list[ShaftTracks] = field(default_factory=list, repr=False)
    """Read when first asked for."""
    _cache: OrderedDict[int, SceneRow] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def row(self, row: int) -> SceneRow:
        """Return what was learned around a plate; the last few are cached. Thread-safe."""
        with self._lock:
            if row not in self._cache:
                with np.load(self.folder / f"scene_{row:04d}.npz") as saved:
                    places = np.unpackbits(saved["places"], axis=-1, count=int(saved["width"])).astype(np.bool_)
                    colors = saved["subject"], saved["foreign"], saved["others"]
                    front, wrong = places
                    over_time = saved["in_hand"], saved["is_held"], saved["worn"]
                    held = load_held(self.folder, row)
                    self._cache[row] = SceneRow(*colors, float(saved["breadth_bh"]), front, wrong, *over_time, held)
                while len(self._cache) > _CACHED:
                    self._cache.popitem(last=False)
            return self._cache[row]

    def forget(self) -> None:
        """Read all rows anew: more was learned."""
        with self._lock:
            self._cache.clear()

    @property
    def balls(self) -> Balls:
        """The balls near the subject. Thread-safe."""
        with self._lock:
            if not self._balls:
                self._balls.append(Balls.load(balls_path(self.folder)))
            return self._balls[0]

    @property
    def shafts(self) -> ShaftTracks:
        """The shafts in the subject's hands; for the passes after SCENE. Thread-safe."""
        with self._lock:
            if not self._shafts:
                self._shafts.append(ShaftTracks.load(shafts_path(self.folder)))
            return self._shafts[0]

    def may_meet(self, frame: int) -> bool:
        """Whether somebody was close to the subject shortly before or after: a passer-by's mask is lost now and then.

        Any thread may ask.
        """
        with self._lock:
            if not self._meetings:
                self._meetings.append(np.load(self.folder / _MEETINGS))
            return bool(self._meetings[0][frame : frame + 1].any())

    def places_at(self, row: int, positions: NDArray[np.float32]) -> tuple[Mask, Mask]:
        """Return two (h, w) masks at plate positions (h, w, 2) px: something static in front, and the plate wrong."""
        known = self.row(row)
        return bins_at(known.front, positions, self.bin_px), bins_at(known.wrong, positions, self.bin_px)


def bins_at(bins: Mask, positions: NDArray[np.float32], bin_px: float) -> Mask:
    """Return (h, w): the bins' value at positions (h, w, 2) px; False outside of them."""
    if not bins.any():
        return np.zeros(positions.shape[:2], np.bool_)
    at = positions / np.float32(bin_px)
    sampled = cv2.remap(bins.astype(np.float32), at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return sampled > 0.5


def balls_path(folder: Path) -> Path:
    """Return the balls' path; the file is absent where there are none."""
    return folder / "balls.npz"


def shafts_path(folder: Path) -> Path:
    """Return the shafts' path; the file is absent where there are none."""
    return folder / "shafts.npz"


def save_held(folder: Path, number: int, shares: NDArray[np.float32]) -> None:
    """Write the places of what is carried around one plate, where there are any."""
    if shares.any():
        np.save(folder / f"held_{number:04d}.npy", np.rint(_LEVELS * shares).astype(np.uint8))


def load_held(folder: Path, number: int) -> NDArray[np.float32]:
    """Read what ``save_held`` wrote, to a 255th; nothing is there where there is no file."""
    path = folder / f"held_{number:04d}.npy"
    if not path.exists():
        return np.zeros((1, 1, 1), np.float32)
    return np.load(path).astype(np.float32) / np.float32(_LEVELS)


def save_meetings(folder: Path, close_frames: list[int], reach: int, most_gap: int = 0) -> None:
    """Write the frames in which somebody may be close to the subject: all within ``reach`` of ``close_frames``, which
    ascend, and all between two of them no more than ``most_gap`` apart: nobody leaves and returns unseen."""
    meetings = np.zeros(max(close_frames, default=0) + reach + 1, np.bool_)
    for frame in close_frames:
        meetings[max(0, frame - reach) : frame + reach + 1] = True
    for frame, following in pairwise(close_frames):
        if following - frame <= most_gap:
            meetings[frame:following] = True
    np.save(folder / _MEETINGS, meetings)


def save_row(folder: Path, number: int, row: SceneRow) -> None:
    """Write one row."""
    np.savez(
        folder / f"scene_{number:04d}.npz",
        subject=row.subject,
        foreign=row.foreign,
        others=row.others,
        breadth_bh=np.float64(row.breadth_bh),
        places=np.packbits(np.stack([row.front, row.wrong]), axis=-1),
        width=np.int64(row.front.shape[1]),
        in_hand=row.in_hand,
        is_held=row.is_held,
        worn=row.worn,
    )
