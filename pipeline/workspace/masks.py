"""Spool files for data that is expensive to compute and too large for memory: masks, layers, values.

Masks and layers are zip files of arrays cropped to their bounding box, compressed at zlib's fastest level: lossless,
with random access by frame, deterministic. A file is written under a temporary name and renamed when it is complete, so
an existing file is a checkpoint.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from pipeline.datatypes.arrays import Mask
from pipeline.maths.boxes import box_of_mask
from pipeline.workspace.archive import new_zip, write_member


class _MasksOfFrame(Mapping[int, Mask]):
    """Reads a track's mask when it is looked up."""

    def __init__(self, names: dict[int, str], read: Callable[[str], Mask]) -> None:
        self._names = names
        self._read = read

    def __getitem__(self, track_id: int) -> Mask:
        return self._read(self._names[track_id])

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class MaskStore:
    """Hard masks by frame and track id, bit-packed on disk.

    Masks are added during SURVEY, in any order of frames; the first ``get`` closes the file for writing.
    """

    def __init__(self, path: Path, size_wh: tuple[int, int]) -> None:
        """Open ``path`` for writing, or for reading where it exists; masks are (H, W) of ``size_wh``."""
        self.path = path
        self._width, self._height = size_wh
        self._part = path.with_suffix(".part")
        self._writer = None if path.exists() else new_zip(self._part)
        self._reader: zipfile.ZipFile | None = None
        self._names: dict[int, list[tuple[int, str]]] = {}
        self._opening = threading.Lock()

    def put(self, frame: int, masks: Mapping[int, Mask]) -> None:
        """Store the masks of one frame, each (H, W), by track id. A track has one mask per frame."""
        if self._writer is None:
            raise ValueError(f"{self.path.name} is complete: no more masks can be added")
        for track_id, mask in masks.items():
            x0, y0, x1, y1 = box_of_mask(mask)
            packed = np.packbits(mask[y0:y1, x0:x1], axis=-1)
            head = np.array([x0, y0, x1, y1], np.int32).tobytes()
            write_member(self._writer, f"{frame}/{track_id}", head + packed.tobytes())

    def clear(self) -> None:
        """Drop the masks added so far."""
        if self._writer is None:
            raise ValueError(f"{self.path.name} is complete: its masks stay")
        self._writer.close()
        self._writer = new_zip(self._part)

    def get(self, frame: int) -> Mapping[int, Mask]:
        """Return the masks of one frame by track id, read when they are looked up; empty where nobody was detected.
        Thread-safe."""
        return _MasksOfFrame(dict(self._index().get(frame, [])), self._read)

    def close(self) -> None:
        """Finish writing and close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part.rename(self.path)
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _index(self) -> dict[int, list[tuple[int, str]]]:
        with self._opening:
            if self._reader is None:
                self.close()
                self._reader = zipfile.ZipFile(self.path)
                self._names = {}
                for name in self._reader.namelist():
                    frame, track_id = name.split("/")
                    self._names.setdefault(int(frame), []).append((int(track_id), name))
            return self._names

    def _read(self, name: str) -> Mask:
        assert self._reader is not None
        data = self._reader.read(name)
        x0, y0, x1, y1 = (int(v) for v in np.frombuffer(data, np.int32, 4))
        mask = np.zeros((self._height, self._width), np.bool_)
        if x1 > x0:
            packed = np.frombuffer(data, np.uint8, offset=16).reshape(y1 - y0, -1)
            mask[y0:y1, x0:x1] = np.unpackbits(packed, axis=-1, count=x1 - x0).astype(np.bool_)
        return mask
