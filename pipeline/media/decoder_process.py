"""The parent's side of the decoder process: requests, replies, and how its exit is interpreted."""

from __future__ import annotations

import mmap
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import errors
from pipeline.errors import TooLarge, UnderstudyError, UnsupportedMedia
from pipeline.media import wire
from pipeline.runtime.callbacks import Check

MEMORY_BYTES = 3 * 10**9
"""Address space. The process itself takes 0.4 GB; 4096x2160 in 10-bit HEVC with 16 reference frames takes 1.4 GB."""
_POLL_SECONDS = 0.1
_CHUNK = 1 << 20
_ROOT = Path(__file__).resolve().parents[2]


class DecoderNotStarted(RuntimeError):
    """The process exited before it was ready: the file is not the cause."""


class DecoderProcess:
    """A running ``decoder_main`` and the pipes to it; may be used by several threads, one at a time."""

    silent_seconds = 120.0
    """Seconds without a message (ten per second are sent while a file is opened) after which it is killed."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES, code: Path = _ROOT) -> None:
        """``memory_bytes`` limits the address space; ``code`` is the folder that holds this package."""
        requests, self._requests = os.pipe()
        self._replies, replies = os.pipe()
        self._memory = os.memfd_create("frames", os.MFD_CLOEXEC)
        self._slot = memoryview(b"")
        self._lock = threading.Lock()
        self._pending = b""
        self._ready = False
        words = [str(number) for number in (requests, replies, self._memory, memory_bytes)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-m", "pipeline.media.decoder_main", *words],
                cwd=code,
                env=_environment(code),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(requests, replies, self._memory),
            )
        finally:
            os.close(requests)
            os.close(replies)
        self._end = weakref.finalize(self, _end, self._process, (self._requests, self._replies, self._memory))

    def ask(
        self,
        request: dict[str, Any],
        check: Check = lambda: None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, Any]:
        """Send a request and return its reply; raises the error in the reply, or one for the process's exit."""
        with self._lock:
            return self._ask(request, check, progress)

    def next_planes(self, read: int, index: int) -> tuple[Any, ...]:
        """Return the planes of a read's next frame, which must be frame ``index``."""
        with self._lock:
            reply = self._ask({"do": "next", "read": read}, lambda: None, lambda done, total: None)
            try:
                if reply["index"] != index:
                    raise ValueError(f"frame {reply['index']} came for frame {index}")
                return wire.take_planes(reply["planes"], self._slot)
            except (ValueError, KeyError, TypeError) as error:
                raise UnsupportedMedia(f"Frame {index} of the clip cannot be decoded.", field="video_url") from error

    @property
    def process_id(self) -> int:
        return self._process.pid

    def map_memory(self, size: int) -> None:
        """Map the memory into which the process writes frames."""
        if not 0 < size <= os.fstat(self._memory).st_size:
            raise UnsupportedMedia("The file could not be opened.", field="video_url")
        self._slot = memoryview(mmap.mmap(self._memory, size, mmap.MAP_SHARED, mmap.PROT_READ))

    def is_alive(self) -> bool:
        """Return whether it accepts requests."""
        return self._end.alive and self._process.poll() is None

    def close(self) -> None:
        """Stop the process."""
        self._end()

    def _ask(self, request: dict[str, Any], check: Check, progress: Callable[[int, int], None]) -> dict[str, Any]:
        if not self._end.alive:
            raise UnsupportedMedia("The clip is closed.", field="video_url")
        try:
            os.write(self._requests, wire.encode(request))
            while True:
                reply: dict[str, Any] = wire.decode(self._line(check))
                if "ready" in reply:
                    self._ready = True
                elif "total" in reply:
                    # Before the frames are counted this is only a heartbeat.
                    if reply["total"]:
                        progress(reply["done"], reply["total"])
                else:
                    break
        except (BrokenPipeError, EOFError, ValueError) as error:
            raise self._ended() from error
        if "bug" in reply:
            raise RuntimeError(f"the decoder's process failed:\n{reply['bug']}")
        if "error" in reply:
            raise _error_of(reply)
        return reply

    def _line(self, check: Check) -> bytes:
        """Return the next message. Raises ``EOFError`` where the process has exited, or is killed for its silence."""
        begin = time.monotonic()
        poll = select.poll()
        poll.register(self._replies, select.POLLIN)
        while b"\n" not in self._pending:
            if not poll.poll(_POLL_SECONDS * 1000):
                check()
                if time.monotonic() - begin > self.silent_seconds:
                    self._process.kill()
                continue
            some = os.read(self._replies, _CHUNK)
            if not some or len(self._pending) > wire.MOST_LINE_BYTES:
                raise EOFError
            self._pending += some
        line, _, self._pending = self._pending.partition(b"\n")
        check()
        return line

    def _said_ready(self) -> bool:
        """Return whether it had been ready before it exited, even if nobody had read the message yet."""
        while some := os.read(self._replies, _CHUNK):
            self._pending += some
        return wire.encode({"ready": True}) in self._pending

    def _ended(self) -> Exception:
        """Return the error that its exit means for the job."""
        try:
            code = self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        is_ready = self._ready or self._said_ready()
        self.close()
        if not is_ready:
            return DecoderNotStarted(f"the decoder's process cannot be started (exit status {code})")
        if code == -signal.SIGKILL:
            return TooLarge("Decoding the file takes more memory or time than it may have.", field="video_url")
        return UnsupportedMedia("The file makes the decoder fail.", field="video_url")


def _error_of(reply: dict[str, Any]) -> UnderstudyError:
    kind = getattr(errors, str(reply["error"]), None)
    if not (isinstance(kind, type) and issubclass(kind, UnderstudyError)):
        kind = UnsupportedMedia
    return kind(str(reply["message"])[:500], field=reply["field"])


def _environment(code: Path) -> dict[str, str]:
    """Return the environment of the process: without the worker's own variables, which hold its secrets."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(code),
        "LC_ALL": "C.UTF-8",
        # A thread's arena takes 64 MB of address space.
        "MALLOC_ARENA_MAX": "2",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _end(process: subprocess.Popen[bytes], pipes: tuple[int, ...]) -> None:
    process.kill()
    process.wait()
    for pipe in pipes:
        os.close(pipe)


class SpareProcess:
    """At most one process waiting for a clip; ``start`` starts one."""

    def __init__(self, start: Callable[[], DecoderProcess] = DecoderProcess) -> None:
        self.start = start
        self._lock = threading.Lock()
        self._process: DecoderProcess | None = None

    def fill(self) -> None:
        with self._lock:
            if self._process is None or not self._process.is_alive():
                self._process = self.start()

    def take(self) -> DecoderProcess:
        with self._lock:
            process = self._process
            self._process = None
        return process if process is not None and process.is_alive() else self.start()
