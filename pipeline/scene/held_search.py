"""Look again at what is kept near the subject, frame by frame, and learn where it is relative to the limbs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Float64Array, Mask
from pipeline.scene.held_places import places_in, shares
from pipeline.scene.layers import Label, labels_of
from pipeline.scene.samples import Sample
from pipeline.scene.scene_model import SceneModel, save_held, shafts_path
from pipeline.scene.shaft_to_head import shafts_to_heads
from pipeline.scene.shaft_track import ShaftTracks
from pipeline.scene.shafts import Shaft, shafts_in

_KEPT = (int(Label.CARRIED), int(Label.THING))
_NEAR_ROWS = 2
_FADE = 0.6
"""Weight of a neighboring plate's frames: the subject turns."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldLook:
    """What one frame shows of what is carried."""

    counts: Float64Array
    """See ``place_counts``."""
    shafts: list[Shaft]


class HeldSearch:
    """Takes the frames in order, once their colors are known; holds the counts of one plate."""

    def __init__(
        self, model: SceneModel, anchors: NDArray[np.int64], shot_starts: NDArray[np.int64], rate: float
    ) -> None:
        """``anchors`` (plates,): the middle frame of each plate; ``rate`` in frames per second."""
        self._model = model
        self._shot_starts = shot_starts
        self._shot_of = np.searchsorted(shot_starts, anchors, side="right")
        self._rate = rate
        self._shafts: list[tuple[int, Shaft]] = []
        """The frame of each, and it."""
        self._row = -1
        self._counts: Float64Array | None = None

    def look(self, row: int, sample: Sample, places: tuple[Mask, Mask], *, may_meet: bool) -> HeldLook:
        """Return what a frame of plate ``row`` shows; the other arguments are those of ``labels_of``.

        Any thread may ask.
        """
        known = self._model.row(row)
        labels = labels_of(sample, known, places, is_completed=False, may_meet=may_meet)
        shafts = shafts_in(labels == Label.CARRIED, sample) or shafts_to_heads(np.isin(labels, _KEPT), sample)
        return HeldLook(places_in(labels, _KEPT, sample, known), shafts)

    def push(self, number: int, row: int, look: HeldLook) -> None:
        """Add what the next frame, ``number``, shows."""
        if row != self._row:
            self._store()
            self._row = row
        self._counts = look.counts if self._counts is None else self._counts + look.counts
        self._shafts += [(number, shaft) for shaft in look.shafts]

    def finish(self) -> None:
        """Write the places around all plates, and the shafts."""
        self._store()
        ShaftTracks.of(self._shafts, self._shot_starts, self._rate).save(shafts_path(self._model.folder))
        for row in range(len(self._shot_of)):
            near = range(max(row - _NEAR_ROWS, 0), min(row + _NEAR_ROWS + 1, len(self._shot_of)))
            total = [
                _FADE ** abs(other - row) * np.load(self._path(other)).astype(np.float64)
                for other in near
                if self._shot_of[other] == self._shot_of[row] and self._path(other).exists()
            ]
            if total:
                save_held(self._model.folder, row, shares(np.sum(total, axis=0)))
        for row in range(len(self._shot_of)):
            self._path(row).unlink(missing_ok=True)
        self._model.forget()

    def _store(self) -> None:
        if self._counts is not None:
            np.save(self._path(self._row), self._counts.astype(np.float32))
        self._counts = None

    def _path(self, row: int) -> Path:
        return self._model.folder / f"counts_{row:04d}.npy"
