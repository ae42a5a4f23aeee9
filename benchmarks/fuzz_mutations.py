"""Deterministic mutations of small media files in every common codec and container."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.support.media import ClipSpec, make_clip, spec

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
"""Every codec and container that callers send, small, so that mutations hit relevant bytes."""
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
    """Return a position; every other one near the file's ends, where the headers and the index are."""
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
        data[place : place + width] = value.to_bytes(width, order)


def _box(data: bytearray, random: Random, other: bytes) -> None:
    found = [match.start() for match in _BOX.finditer(data)]
    if len(found) < 2:
        return _number(data, random, other)
    one, two = (found[int(i)] for i in random.integers(len(found), size=2))
    data[one : one + 4] = data[two : two + 4]
    if random.integers(2):
        # The size of a box precedes its name.
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
