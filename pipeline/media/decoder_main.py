"""The decoder process: opens one file and returns its frames on request. Started by ``sandbox``.

It has limits on memory, CPU time and files, none of its parent's environment variables, and can write only to the
shared memory for frames. Whatever a file does to FFmpeg is contained here.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from pipeline.datatypes.clip import Frame
from pipeline.errors import TooLarge, UnderstudyError
from pipeline.media import wire
from pipeline.media.clip import Clip
from pipeline.media.decode import open_clip
from pipeline.media.formats import planes_of
from pipeline.media.spool import SpoolWriter
from pipeline.settings import LimitSettings

_REPORT_SECONDS = 0.1
CPU_SECONDS = 120
"""CPU seconds between two messages; a frame takes some hundredths."""
_MOST_FILES = 64
_MOST_WRITTEN_BYTES = 2**30
"""Size of the shared memory for one frame, which counts as a file."""
_PR_SET_PDEATHSIG = 1


class _Server:
    """Answers the parent's requests, one after the other."""

    def __init__(self, replies: int, memory: int) -> None:
        self._replies = replies
        self._memory = memory
        self._slot = memoryview(b"")
        self._clip: Clip | None = None
        self._reads: dict[int, Iterator[Frame]] = {}
        self._told = 0.0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Execute a request and return the reply."""
        _allow_cpu_seconds()
        if request["do"] == "open":
            return self._open(request)
        if request["do"] == "read":
            assert self._clip is not None
            self._reads[request["read"]] = self._clip.frames(request["start"], request["stop"])
        elif request["do"] == "next":
            frame = next(self._reads[request["read"]])
            return {"index": frame.index, "planes": wire.put_planes(frame.planes, self._slot)}
        elif request["do"] == "end":
            # Dropping the reference closes the file.
            self._reads.pop(request["read"], None)
        return {}

    def tell(self, message: dict[str, Any]) -> None:
        """Send one message."""
        line = wire.encode(message)
        while line:
            line = line[os.write(self._replies, line) :]

    def _open(self, request: dict[str, Any]) -> dict[str, Any]:
        spool = SpoolWriter(Path(request["spool"]), request["spool_bytes"]) if request["spool"] else None

        def keep(index: int, picture: av.VideoFrame) -> None:
            if spool is not None and (index == 0 or spool.has_room):
                spool.put(index, planes_of(picture))

        clip = open_clip(
            Path(request["path"]),
            LimitSettings.model_validate(request["limits"]),
            start_s=request["start_s"],
            end_s=request["end_s"],
            check=lambda: self._show_life(0, 0),
            progress=self._show_life,
            keep=keep,
        )
        self._clip = clip
        self.tell({"done": clip.info.num_frames, "total": clip.info.num_frames})
        [first] = clip.frames(0, 1)
        size = wire.slot_bytes(first.planes)
        os.ftruncate(self._memory, size)
        self._slot = memoryview(mmap.mmap(self._memory, size))
        return {
            "info": clip.info,
            "reading": clip.reading,
            "first_pts": clip.first_pts,
            "trimmed": clip.trimmed,
            "slot": size,
            # Frames identified by number were counted from the file's first.
            "spool": spool and spool.finish(clip.reading.raw_pts[0] if clip.reading.ordinal else 0),
        }

    def _show_life(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told > _REPORT_SECONDS:
            self._told = now
            _allow_cpu_seconds()
            self.tell({"done": done, "total": total})


def main(requests: int, replies: int, memory: int, memory_limit: int) -> None:
    """Serve until the parent closes its end."""
    _confine(memory_limit)
    server = _Server(replies, memory)
    server.tell({"ready": True})
    with os.fdopen(requests, "rb") as lines:
        for line in lines:
            try:
                reply = server.answer(wire.decode(line))
            except UnderstudyError as error:
                reply = {"error": type(error).__name__, "message": error.message, "field": error.field}
            except MemoryError:
                message = "Decoding the file takes more memory than it may have."
                reply = {"error": TooLarge.__name__, "message": message, "field": "video_url"}
            except Exception:
                reply = {"bug": traceback.format_exc()}
            server.tell(reply)


def _confine(memory_limit: int) -> None:
    _lower(resource.RLIMIT_AS, memory_limit)
    _lower(resource.RLIMIT_FSIZE, _MOST_WRITTEN_BYTES)
    _lower(resource.RLIMIT_NOFILE, _MOST_FILES)
    _lower(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        # If the machine runs out of memory anyway, this process is killed, not its parent.
        Path("/proc/self/oom_score_adj").write_text("1000")
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _lower(kind: int, value: int) -> None:
    """Set a limit, or keep the inherited one where that is lower."""
    _, hard = resource.getrlimit(kind)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (limit, limit))


def _allow_cpu_seconds() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
