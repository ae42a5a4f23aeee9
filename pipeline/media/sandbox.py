"""Untrusted files are opened and decoded in a separate process; a crash there fails only one job.

FFmpeg trusts a file's content, and a few bytes can make it allocate all memory, loop forever, or crash. The process
(``decoder_main``) has limits on memory and CPU time, none of our environment variables, and passes frames through
shared memory: two copies, about a millisecond per frame of 1080p. Frames decoded while a clip is opened are left on
disk (``spool``), where the passes read them directly.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from pipeline.datatypes.arrays import Plane
from pipeline.datatypes.clip import Frame
from pipeline.errors import UnsupportedMedia
from pipeline.media.clip import Clip
from pipeline.media.decoder_process import DecoderNotStarted, DecoderProcess, SpareProcess
from pipeline.media.spool import SpoolFile, SpoolReader
from pipeline.runtime.callbacks import Check
from pipeline.settings import LimitSettings


def open_untrusted(
    path: Path,
    limits: LimitSettings,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    check: Check = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    spool_folder: Path | None = None,
    processes: SpareProcess | None = None,
) -> SandboxedClip:
    """As ``decode.open_clip``, in a separate process, which the clip keeps until it is closed.

    With ``spool_folder`` the first frames are kept there on disk, in an unlinked file, and are not decoded again.
    ``check`` is called several times a second and may raise. A crash of the process raises ``UnsupportedMedia``, or
    ``TooLarge`` where memory was the cause. ``processes`` starts the process; by default the one that waits is used.
    """
    request = {
        "do": "open",
        # The process has a different working directory.
        "path": str(path.absolute()),
        "limits": json.loads(limits.model_dump_json()),
        "start_s": start_s,
        "end_s": end_s,
    }
    spool = _new_spool(spool_folder)
    request |= {"spool": str(spool.path) if spool else None, "spool_bytes": spool.room_bytes if spool else 0}
    processes = processes or _spare
    process = processes.take()
    try:
        try:
            reply = process.ask(request, check, progress)
        except DecoderNotStarted:
            # The waiting process may have been the first one killed when memory ran low.
            process.close()
            process = processes.start()
            reply = process.ask(request, check, progress)
        return SandboxedClip(process, reply, path, limits.max_side_px, spool)
    except BaseException:
        process.close()
        if spool is not None:
            spool.close()
        raise
    finally:
        if spool is not None:
            spool.forget_name()


def _new_spool(folder: Path | None) -> SpoolFile | None:
    if folder is None:
        return None
    try:
        return SpoolFile(folder.absolute())
    except OSError:
        # Without a spool every pass decodes.
        return None


def keep_ready() -> None:
    """Start a process for the next clip where none is waiting: start-up takes a third of a second."""
    _spare.fill()


class SandboxedClip(Clip):
    """A clip whose frames come from a separate process. Close it, or leave that to the garbage collector."""

    def __init__(
        self,
        process: DecoderProcess,
        opened: dict[str, Any],
        path: Path,
        max_side_px: int,
        spool: SpoolFile | None = None,
    ) -> None:
        info = replace(opened["info"], path=path)
        super().__init__(info, max_side_px, opened["reading"], opened["first_pts"], trimmed=opened["trimmed"])
        self._process = process
        process.map_memory(opened["slot"])
        self._reads = count(1)
        self._spool: SpoolReader | None = None
        if spool is not None:
            try:
                self._spool = spool.reader(opened["spool"])
            except (ValueError, KeyError, TypeError) as error:
                raise UnsupportedMedia("The file could not be opened.", field="video_url") from error

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start`` to ``stop`` (exclusive), as ``Clip.frames``, with copies of the planes."""
        stop = self.info.num_frames if stop is None else min(stop, self.info.num_frames)
        spooled = min(self._num_spooled, stop)
        for index in range(start, spooled):
            yield self._spooled_frame(index)
        yield from self._decoded(max(start, spooled), stop)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of ascending numbers, as ``Clip.frames_at``."""
        spooled = bisect_left(indices, self._num_spooled)
        for index in indices[:spooled]:
            yield self._spooled_frame(index)
        yield from super().frames_at(indices[spooled:])

    @property
    def _num_spooled(self) -> int:
        return 0 if self._spool is None else self._spool.count

    def _spooled_frame(self, index: int) -> Frame:
        assert self._spool is not None
        try:
            planes = self._spool.planes(index)
        except (OSError, ValueError) as error:
            raise UnsupportedMedia(f"Frame {index} of the clip cannot be read.", field="video_url") from error
        return self._frame(index, planes)

    def _decoded(self, start: int, stop: int) -> Iterator[Frame]:
        if start >= stop:
            return
        read = next(self._reads)
        self._process.ask({"do": "read", "read": read, "start": start, "stop": stop})
        try:
            for index in range(start, stop):
                yield self._frame(index, self._process.next_planes(read, index))
        finally:
            if self._process.is_alive():
                self._process.ask({"do": "end", "read": read})

    def _frame(self, index: int, planes: tuple[Plane, ...]) -> Frame:
        return Frame(index, int(self.info.pts[index]), int(self.info.durations[index]), planes, self.info)

    @property
    def process_id(self) -> int:
        """The decoder process."""
        return self._process.process_id

    def close(self) -> None:
        """Stop the process; the clip cannot be read afterwards."""
        self._process.close()
        if self._spool is not None:
            self._spool.close()


_spare = SpareProcess()
