"""Damaged media files, for ``benchmarks.fuzz``: how they are damaged, and a process that reads them."""

from __future__ import annotations

import gc
import multiprocessing
import re
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pipeline.errors import EncodeFailed, InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.decode import open_clip
from pipeline.media.encode import encode_clip
from pipeline.media.pixels import luma_of, rgb_of
from pipeline.settings import LimitSettings, OutputSettings
from tests.support.media import ClipSpec, make_clip, spec

DEFINED = (InvalidInput, TooLarge, UnsupportedMedia, EncodeFailed)
"""What may come of a file; ``EncodeFailed`` only where its sound cannot be written again."""
LIMITS = LimitSettings(max_frames=2000)
_MKV = ClipSpec("", suffix=".mkv", time_base=Fraction(1, 1000), pts=tuple(range(0, 24 * 40, 40)), last_duration=40)
SOURCES = (
    *(spec(name) for name in ("cfr", "vfr", "rotated", "ten_bit", "hlg", "mov_pcm", "two_sounds", "late_video")),
    *(spec(name) for name in ("mkv", "odd_420", "alpha", "rgb", "chroma_444", "silent", "one_frame")),
    replace(_MKV, name="hevc", codec="libx265", options={"crf": "24", "x265-params": "log-level=none:keyint=8"}),
    replace(_MKV, name="vp8", codec="libvpx", options={"b": "200k"}),
    replace(_MKV, name="vp9", codec="libvpx-vp9", options={"b": "200k", "deadline": "realtime"}),
    replace(_MKV, name="av1", codec="libsvtav1", options={"crf": "40", "preset": "12"}),
    replace(_MKV, name="mjpeg", codec="mjpeg", pix_fmt="yuvj420p", options={}, colors=(2, 2, 2, 2)),
    replace(_MKV, name="mpeg4", codec="mpeg4", options={}),
    replace(_MKV, name="prores", codec="prores_ks", pix_fmt="yuv422p10le", options={}),
)
"""Every codec and container that callers send, small: a mutation then hits something that matters."""
_BOX = re.compile(rb"(?<=[\x00-\x20]{2}..)[a-zA-Z][a-zA-Z0-9]{2}[a-zA-Z0-9 ]", re.DOTALL)
_SPECIAL = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 48000, 10**9)
Random = np.random.Generator


def make_sources(folder: Path) -> list[Path]:
    """Encode ``SOURCES`` into a folder."""
    return [make_clip(folder, of) for of in SOURCES]


def mutate(files: list[bytes], number: int, start: int = 0) -> tuple[str, int, bytes]:
    """Return mutation ``number``: its kind, the number of the file that it damages, and the damaged bytes.

    The same numbers and files give the same bytes.
    """
    random = np.random.default_rng((start, number))
    names = list(_KINDS)
    kind = names[number % len(names)]
    which = int(random.integers(len(files)))
    other = files[int(random.integers(len(files)))]
    data = bytearray(files[which])
    _KINDS[kind](data, random, other)
    return kind, which, bytes(data)


def _place(data: bytearray, random: Random, size: int = 1) -> int:
    """Return a position; every other one near the file's ends, where the headers and the index lie."""
    most = max(len(data) - size, 1)
    near = min(most, 2500)
    side = int(random.integers(4))
    if side == 0:
        return int(random.integers(near))
    return most - 1 - int(random.integers(near)) if side == 1 else int(random.integers(most))


def _length(data: bytearray, random: Random) -> int:
    return int(min(2 ** random.uniform(0, 13), max(len(data) // 3, 1)))


def _bits(data: bytearray, random: Random, other: bytes) -> None:
    for _ in range(int(2 ** random.uniform(0, 8))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))


def _noise(data: bytearray, random: Random, other: bytes) -> None:
    size = _length(data, random)
    place = _place(data, random, size)
    data[place : place + size] = random.integers(0, 256, size, np.uint8).tobytes()


def _zeros(data: bytearray, random: Random, other: bytes) -> None:
    size = _length(data, random)
    place = _place(data, random, size)
    data[place : place + size] = bytes(size)


def _number(data: bytearray, random: Random, other: bytes) -> None:
    for _ in range(int(random.integers(1, 4))):
        width = int(random.choice((1, 2, 4, 8)))
        order = "big" if random.integers(2) else "little"
        value = int(random.choice(_SPECIAL)) % 256**width
        place = _place(data, random, width)
        data[place : place + width] = value.to_bytes(width, order)  # type: ignore[arg-type]


def _box(data: bytearray, random: Random, other: bytes) -> None:
    found = [match.start() for match in _BOX.finditer(data)]
    if len(found) < 2:
        return _number(data, random, other)
    one, two = (found[int(i)] for i in random.integers(len(found), size=2))
    data[one : one + 4] = data[two : two + 4]
    if random.integers(2):
        # The size of a box stands before its name.
        data[one - 4 : one] = int(random.choice(_SPECIAL)).to_bytes(4, "big")
    return None


def _cut(data: bytearray, random: Random, other: bytes) -> None:
    size = _length(data, random)
    place = _place(data, random, size)
    del data[place : place + size]


def _repeat(data: bytearray, random: Random, other: bytes) -> None:
    size = _length(data, random)
    place = _place(data, random, size)
    data[place:place] = data[place : place + size] * int(random.integers(1, 5))


def _swap(data: bytearray, random: Random, other: bytes) -> None:
    size = _length(data, random)
    one, two = sorted((_place(data, random, size), _place(data, random, size)))
    size = min(size, two - one)
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def _broken_off(data: bytearray, random: Random, other: bytes) -> None:
    del data[int(random.integers(len(data))) :]


def _spliced(data: bytearray, random: Random, other: bytes) -> None:
    place = int(random.integers(len(data)))
    data[place:] = other[int(random.integers(len(other))) :]


_KINDS: dict[str, Callable[[bytearray, Random, bytes], None]] = {
    "bits": _bits, "noise": _noise, "zeros": _zeros, "number": _number, "box": _box,
    "cut": _cut, "repeat": _repeat, "swap": _swap, "broken off": _broken_off, "spliced": _spliced,
}  # fmt: skip


def read_wholly(path: Path, scratch: Path) -> str:
    """Open a file, read it in every way a job does, and copy it with its sound; return what came of it.

    Raises whatever is no defined error: a bug. ``AssertionError`` where a clip that was opened breaks its word.
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
    """What the reading process says of one file."""

    outcome: str
    """``read``, ``refused: CODE``, or the bug's class and text."""
    is_bug: bool
    rss_mib: float
    files: int
    threads: int


def serve(pipe: Connection, scratch: Path) -> None:
    """Read the files whose paths come through the pipe, and reply to each, until the pipe closes."""
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
    """What came of the mutations."""

    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bugs: list[str] = field(default_factory=list)
    replies: list[list[Reply]] = field(default_factory=list)
    """One list for each process that read."""
    peak_mib: float = 0.0
    """Of the processes that ended."""

    def growth_mib(self, window: int = 50) -> float:
        """Return how much the least RSS of a window grew from a process's second window to its last; 0 if too short.

        The least of a window: one large picture is no growth.
        """
        least = [
            (min(r.rss_mib for r in one[window : 2 * window]), min(r.rss_mib for r in one[-window:]))
            for one in self.replies
            if len(one) >= 3 * window
        ]
        return max((last - first for first, last in least), default=0.0)

    def more_files(self, window: int = 50) -> int:
        """Return how many more files a process had open at least in its last window than in its second."""
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
        """Return the reply, or how the process ended: a new one is there then."""
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
    """Keep a reading process while the block runs."""
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
