"""Samples of frames that are looked at again once more is known, kept on disk so that they are not made twice."""

from __future__ import annotations

import os
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.maths.boxes import Box
from pipeline.scene.body import Body
from pipeline.scene.colors import bins_of
from pipeline.scene.samples import Sample, body_distances
from pipeline.scene.views import View

ROOM_BYTES = 2**28
"""Some twenty seconds of looks: 7.5 bytes for each pixel of a view."""


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """What a sample has besides its pictures, and where in the file these are."""

    offset: int
    size_wh: tuple[int, int]
    box_xyxy: Box
    factor: float
    body: Body
    is_unsure: bool
    is_veiled: bool


class KeptSamples:
    """The first samples of a clip, as many as there is room for, in an unlinked file: it disappears with its owner.

    What follows from the pictures (bins and distances) is computed again, since it is four times as large. One thread
    puts samples; any may get them.
    """

    def __init__(self, folder: Path, gain: float, room_bytes: int = ROOM_BYTES) -> None:
        """``gain`` is that of ``sample_of``."""
        self._file, name = tempfile.mkstemp(dir=folder)
        Path(name).unlink()
        weakref.finalize(self, os.close, self._file)
        self._gain = gain
        self._room_bytes = room_bytes
        self._used = 0
        self._places: dict[int, _Place] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def put(self, number: int, sample: Sample) -> None:
        """Keep the sample of a frame, as ``look_at`` gives it; from the first one that has no room on, none is kept."""
        view = sample.view
        masks = np.packbits(np.stack([view.darker, view.known, sample.subject_mask, sample.others_mask]))
        data = b"".join(part.tobytes() for part in (view.picture, view.plate, view.shown, masks))
        written = 0
        if self._used + len(data) <= self._room_bytes:
            try:
                written = os.pwrite(self._file, data, self._used)
            except OSError:
                # The disk is full: samples are made again instead.
                written = 0
        if written < len(data):
            self._room_bytes = 0
            return
        self._places[number] = _Place(
            self._used, view.size_wh, view.box_xyxy, view.factor, sample.body, sample.is_unsure, sample.is_veiled
        )
        self._used += len(data)

    def get(self, number: int) -> Sample:
        """Return a sample that is kept, as it was."""
        place = self._places[number]
        width, height = place.size_wh
        pixels = width * height
        length = 7 * pixels + (4 * pixels + 7) // 8
        # A copy, which can be written to: code is compiled once more for read-only arrays.
        data = np.frombuffer(bytearray(os.pread(self._file, length, place.offset)), np.uint8)
        picture, plate = data[: 6 * pixels].reshape(2, height, width, 3)
        shown = data[6 * pixels : 7 * pixels].reshape(height, width)
        masks = np.unpackbits(data[7 * pixels :], count=4 * pixels).view(np.bool_).reshape(4, height, width)
        darker, known, subject_mask, others_mask = masks
        view = View(place.box_xyxy, place.factor, picture, plate, shown, darker, known)
        distances, outside = body_distances(place.body, height, width)
        bins = bins_of(picture, self._gain)
        return Sample(
            view,
            place.body,
            distances,
            outside,
            bins,
            subject_mask,
            others_mask,
            None,
            place.is_unsure,
            place.is_veiled,
        )
