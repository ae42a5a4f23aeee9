"""Read damaged media files in a separate process, for ``benchmarks.fuzz``."""

from __future__ import annotations

import gc
import multiprocessing
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.fuzz_mutations import SOURCES, make_sources, mutate
from pipeline.errors import EncodeFailed, InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.pixels import luma_of, rgb_of
from pipeline.settings import LimitSettings, OutputSettings

DEFINED = (InvalidInput, TooLarge, UnsupportedMedia, EncodeFailed)
"""The errors that a file may cause; ``EncodeFailed`` only where its sound cannot be remuxed."""
LIMITS = LimitSettings(max_frames=2000)


def read_wholly(path: Path, scratch: Path) -> str:
    """Open a file, read it in every way a job does, and copy it with its sound; return the outcome.

    Any error that is not defined is raised, as a bug; ``AssertionError`` where an opened clip contradicts its own
    facts.
    """
    try:
        clip = open_clip(path, LIMITS)
        _read(clip)
        info = clip.info
        seconds = float((info.pts[-1] - info.pts[0]) * info.time_base)
        if info.num_frames > 3 and 0 < seconds < 1e6:
            _read(open_clip(path, LIMITS, start_s=seconds / 3, end_s=seconds / 1.5))
        written = encode_clip(clip.frames(), clip, scratch / "copy", OutputSettings())
        written.path.unlink()
    except DEFINED as error:
        return f"refused: {error.code}"
    return "read with warnings" if info.warnings or written.warnings else "read"


def _read(clip: Any) -> None:
    info = clip.info
    count = 0
    upright_hw = (info.height, info.width) if info.quarter_turns % 2 == 0 else (info.width, info.height)
    for frame in clip.frames():
        assert frame.pts == info.pts[count]
        if count < 3:
            assert rgb_of(frame).shape == (*upright_hw, 3)
        assert luma_of(frame).shape == upright_hw
        count += 1
    assert count == info.num_frames and (np.diff(info.pts) > 0).all() and (info.durations > 0).all()
    some = sorted({0, info.num_frames // 2, info.num_frames - 1})
    assert [frame.index for frame in clip.frames_at(some)] == some


@dataclass(frozen=True, slots=True)
class Reply:
    """The reading process's report on one file."""

    outcome: str
    """``read``, ``refused: CODE``, or the bug's class and text."""
    is_bug: bool
    rss_mib: float
    files: int
    threads: int


def serve(pipe: Connection, scratch: Path) -> None:
    """Read the files whose paths arrive through the pipe, reply to each, until the pipe is closed."""
    process = psutil.Process()
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        is_bug = False
        try:
            outcome = read_wholly(path, scratch)
        except Exception as error:
            is_bug = True
            outcome = f"{type(error).__name__}: {error}"[:300]
        left = [file.name for file in scratch.iterdir()]
        for name in left:
            (scratch / name).unlink()
        if left and not is_bug:
            is_bug = True
            outcome = f"left behind: {left}"
        gc.collect()
        rss = process.memory_info().rss / 2**20
        pipe.send(Reply(outcome, is_bug, rss, process.num_fds(), process.num_threads()))


@dataclass
class MediaTally:
    """Outcomes of the mutations."""

    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    replies: list[list[Reply]] = field(default_factory=list)
    """One list per reading process."""
    peak_mib: float = 0.0
    """Of the processes that have ended."""

    def growth_mib(self, window: int = 50) -> float:
        """Return how much the minimum RSS of a window grew from a process's second window to its last; 0 if too short.

        The minimum of a window is used because one large picture is not growth.
        """
        least = [
            (min(r.rss_mib for r in one[window : 2 * window]), min(r.rss_mib for r in one[-window:]))
            for one in self.replies
            if len(one) >= 3 * window
        ]
        return max((last - first for first, last in least), default=0.0)

    def more_files(self, window: int = 50) -> int:
        """Return by how many the open files of a process grew at least, from its second window to its last."""
        return max(
            (
                min(r.files for r in one[-window:]) - max(r.files for r in one[window : 2 * window])
                for one in self.replies
                if len(one) >= 3 * window
            ),
            default=0,
        )


_Serve = Callable[[Connection, Path], None]


class Reader:
    """A process that reads files, replaced when it crashes or hangs."""

    def __init__(self, scratch: Path, serve: _Serve = serve) -> None:
        self._scratch = scratch
        self._serve = serve
        self._context = multiprocessing.get_context("spawn")
        self._start()

    def _start(self) -> None:
        for file in self._scratch.iterdir():
            file.unlink()
        self._pipe, theirs = self._context.Pipe()
        self.process: BaseProcess = self._context.Process(target=self._serve, args=(theirs, self._scratch), daemon=True)
        self.process.start()
        theirs.close()

    def read(self, path: Path, seconds: float) -> Reply | str:
        """Return the reply, or how the process ended, in which case a new one has been started."""
        self._pipe.send(path)
        try:
            if self._pipe.poll(seconds):
                reply: Reply = self._pipe.recv()
                return reply
            how = f"hang: no end after {seconds:g} s"
        except EOFError:
            self.process.join()
            how = f"crash: exit code {self.process.exitcode}"
        self.close()
        self._start()
        return how

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self.process.kill()
        self.process.join()


@contextmanager
def a_reader(scratch: Path, serve: _Serve = serve) -> Iterator[Reader]:
    """Keep a reading process for the duration of the block."""
    scratch.mkdir(exist_ok=True)
    reader = Reader(scratch, serve)
    try:
        yield reader
    finally:
        reader.close()


def fuzz_media(
    mutations: int, folder: Path, *, start: int = 0, seconds: float = 60.0, keep: Path | None = None
) -> MediaTally:
    """Read ``mutations`` damaged files, each with a time limit; files that show a bug are copied to ``keep``."""
    files = [path.read_bytes() for path in make_sources(folder)]
    tally = MediaTally(replies=[[]])
    target = folder / "mutated"
    with a_reader(folder / "scratch") as reader:
        for number in range(mutations):
            kind, which, data = mutate(files, number, start)
            target.write_bytes(data)
            reply = reader.read(target, seconds)
            tally.total += 1
            if isinstance(reply, Reply):
                tally.replies[-1].append(reply)
                outcome = reply.outcome
                is_bug = reply.is_bug
            else:
                tally.replies.append([])
                outcome = reply
                is_bug = True
            tally.outcomes["bug" if is_bug else outcome] += 1
            if is_bug:
                tally.bugs.append(f"{number} ({kind}, {SOURCES[which].name}): {outcome}")
                if keep is not None:
                    (keep / f"{start}-{number}{SOURCES[which].suffix}").write_bytes(data)
    tally.peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return tally
