"""Frames that the first decoding of a clip leaves on disk, so that the passes need not decode them again.

Planes are stored frame after frame, as in the decoder's shared memory, in an unlinked file: it disappears with its
owner. It holds the first half gigabyte; later frames are decoded each time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datatypes.arrays import Plane
from pipeline.media import wire

SPOOL_BYTES = 2**29
"""Ten seconds of 720p, four of 1080p."""
_SHARE_OF_DISK = 0.05
"""Fraction of the free space, so that the job's other disk needs are not at risk."""


class SpoolWriter:
    """Stores the frames of the first decoding, in the decoder process; stops silently when the space is used up."""

    def __init__(self, path: Path, room_bytes: int) -> None:
        self._path = path
        self._room_bytes = room_bytes
        self._shapes: list[tuple[int, int, int]] = []
        self._buffer = bytearray()
        self._file = -1
        self._is_full = False
        self.count = 0

    @property
    def has_room(self) -> bool:
        """Whether the next frame may still be stored."""
        return not self._is_full

    def put(self, index: int, planes: Sequence[Plane]) -> None:
        """Store frame ``index``; 0 starts anew."""
        if index == 0:
            self._begin(planes)
        if self._is_full or index != self.count:
            return
        if (index + 1) * len(self._buffer) > self._room_bytes:
            self._is_full = True
            return
        shapes = wire.put_planes(planes, memoryview(self._buffer))
        if shapes != self._shapes:
            self._is_full = True
            return
        try:
            written = os.pwrite(self._file, self._buffer, index * len(self._buffer))
        except OSError:
            written = 0
        self._is_full = written < len(self._buffer)
        self.count += not self._is_full

    def finish(self, first: int) -> dict[str, Any]:
        """Return what ``SpoolReader`` needs. ``first`` is the stored frame that is the clip's first one."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        return {"count": max(self.count - first, 0), "first": first, "planes": self._shapes}

    def _begin(self, planes: Sequence[Plane]) -> None:
        self.count = 0
        self._shapes = [(plane.shape[0], plane.shape[1], plane.itemsize) for plane in planes]
        self._buffer = bytearray(wire.slot_bytes(planes))
        try:
            self._file = os.open(self._path, os.O_WRONLY) if self._file < 0 else self._file
            self._is_full = False
        except OSError:
            self._is_full = True


class SpoolFile:
    """The file, created by the parent: it has a name until the writer has opened it and finished."""

    def __init__(self, folder: Path) -> None:
        """Raises ``OSError`` where the folder cannot be written."""
        free = shutil.disk_usage(folder).free
        self.room_bytes = min(SPOOL_BYTES, int(_SHARE_OF_DISK * free))
        self._file, name = tempfile.mkstemp(prefix="frames-", dir=folder)
        self.path = Path(name)
        self._end = weakref.finalize(self, os.close, self._file)

    def forget_name(self) -> None:
        """Unlink the file; open handles stay valid."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        self._end()

    def reader(self, told: dict[str, Any]) -> SpoolReader:
        """Return the frames described by the writer. Raises ``ValueError`` where they do not exist."""
        return SpoolReader(self, self._file, told)


class SpoolReader:
    """Provides the planes of frames 0 to ``count`` (exclusive). Thread-safe."""

    def __init__(self, owner: SpoolFile, file: int, told: dict[str, Any]) -> None:
        self._owner = owner
        self._file = file
        self._shapes = [(int(height), int(width), int(itemsize)) for height, width, itemsize in told["planes"]]
        self._first = int(told["first"])
        self.count = int(told["count"])
        self._size = wire.planes_bytes(self._shapes) if self._shapes else 0
        if min(self._first, self.count) < 0 or os.fstat(file).st_size < (self._first + self.count) * self._size:
            raise ValueError("the decoder tells of frames that are not there")

    def planes(self, index: int) -> tuple[Plane, ...]:
        """Return the planes of a frame, read-only. Raises ``OSError`` and ``ValueError`` where they cannot be read."""
        held = np.empty(self._size, np.uint8)
        if os.preadv(self._file, [held.data], (self._first + index) * self._size) != self._size:
            raise ValueError(f"frame {index} is cut off")
        return wire.planes_in(held, self._shapes)

    def close(self) -> None:
        self._owner.close()
