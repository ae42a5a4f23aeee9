"""Check a file's index tables before FFmpeg does: it allocates 24 bytes for every sample that they *claim*.

A table of a few bytes may claim four billion samples, in any number of tracks. This is a cheap first check, in plain
Python over a few kilobytes; what it misses is caught by the limits of the decoder process.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import TooLarge

PACKETS_PER_FRAME = 50
"""Samples that a track may have for each of ``max_frames``: part of a much longer clip may be requested (nine hours at
30 frames per second), and audio has more packets than video."""
_MOST_TRACKS = 256
_MOST_ATTACHED_BYTES = 64 * 10**6
"""Fonts and covers in an MKV: FFmpeg copies them into memory whenever it opens the file, several times over."""
_MOST_BOXES = 10**6
_MOST_ENTRIES = 10**6
_DEEPEST = 12
_CONTAINERS = frozenset((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts", b"udta"))
_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x18538067
_ATTACHMENTS = 0x1941A469


@dataclass(slots=True)
class _Claims:
    """Totals claimed by the boxes read so far."""

    boxes: int = 0
    tracks: int = 0
    samples: int = 0
    """Counts of the track or the fragments being read."""
    total: int = 0
    is_sound: bool = False
    single_ticks: bool = False
    """Every sample of the track lasts one tick, as in PCM audio: FFmpeg indexes such audio by chunk, not by sample."""


def check_index(path: Path, max_frames: int) -> None:
    """Raise ``TooLarge`` for tables that claim more samples or tracks than any supported clip may have.

    Handles MP4 and MOV (with fragments) and the attachments of MKV; ignores everything else.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(4) == _EBML:
            _check_attachments(file, size)
            return
        claims = _Claims()
        _walk(file, 0, size, 0, claims, PACKETS_PER_FRAME * max_frames)


def _walk(file: BinaryIO, start: int, end: int, depth: int, claims: _Claims, most: int) -> None:
    for kind, begin, stop in _boxes(file, start, end):
        claims.boxes += 1
        if claims.boxes > _MOST_BOXES or depth > _DEEPEST:
            return
        if kind == b"trak":
            claims.tracks += 1
            claims.samples = 0
            claims.is_sound = False
            claims.single_ticks = False
            if claims.tracks > _MOST_TRACKS:
                raise TooLarge(f"The file has more than {_MOST_TRACKS} tracks.", field="video_url")
        if kind in _CONTAINERS:
            _walk(file, begin, stop, depth + 1, claims, most)
            if kind == b"trak":
                by_chunk = claims.is_sound and claims.single_ticks
                _count(0 if by_chunk else claims.samples, claims, most)
        elif kind in (b"stsz", b"stz2"):
            file.seek(begin + 8)
            claims.samples = max(claims.samples, _number(file, 4))
        elif kind == b"hdlr":
            file.seek(begin + 8)
            claims.is_sound = file.read(4) == b"soun" or claims.is_sound
        elif kind in (b"stts", b"ctts"):
            times = _times(file, begin, stop)
            claims.samples = max(claims.samples, sum(count for count, _ in times))
            claims.single_ticks |= kind == b"stts" and len(times) == 1 and times[0][1] == 1
        elif kind == b"trun":
            file.seek(begin + 4)
            _count(_number(file, 4), claims, most)


def _count(samples: int, claims: _Claims, most: int) -> None:
    claims.total += samples
    if samples > most or claims.total > 4 * most:
        raise TooLarge(f"The file's tables tell of more than {most} samples in a track.", field="video_url")


def _times(file: BinaryIO, begin: int, stop: int) -> list[tuple[int, int]]:
    """Return the (count, ticks) of a table of times."""
    file.seek(begin + 4)
    entries = min(_number(file, 4), (stop - begin - 8) // 8, _MOST_ENTRIES)
    return list(struct.iter_unpack(">II", file.read(8 * entries)))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the type of each box in a range, and where its content starts and ends."""
    at = start
    while at + 8 <= end:
        file.seek(at)
        size = _number(file, 4)
        kind = file.read(4)
        head = 8
        if size == 1:
            size = _number(file, 8)
            head = 16
        elif size == 0:
            size = end - at
        if size < head:
            return
        yield kind, at + head, min(at + size, end)
        at += size


def _number(file: BinaryIO, size: int) -> int:
    return int.from_bytes(file.read(size), "big")


def _check_attachments(file: BinaryIO, end: int) -> None:
    file.seek(0)
    total = 0
    for _ in range(_MOST_BOXES):
        at = file.tell()
        kind, size = _element(file)
        if kind is None or size is None:
            # At the end, or of unknown size, as in live recordings, which have no attachments.
            return
        if kind == _SEGMENT:
            continue
        if kind == _ATTACHMENTS:
            total += size
            if total > _MOST_ATTACHED_BYTES:
                raise TooLarge(
                    f"The file has over {_MOST_ATTACHED_BYTES // 10**6} MB of attachments.", field="video_url"
                )
        following = file.tell() + size
        if following >= end or following <= at:
            return
        file.seek(following)


def _element(file: BinaryIO) -> tuple[int | None, int | None]:
    """Read an EBML element's id and size; a segment of unknown size has size 0, any other element None."""
    first = file.read(1)
    if not first or first[0] < 0x10:
        return None, None
    width = 9 - first[0].bit_length()
    kind = int.from_bytes(first + file.read(width - 1), "big")
    head = file.read(1)
    if not head or not head[0]:
        return None, None
    width = 9 - head[0].bit_length()
    size = int.from_bytes(bytes([head[0] & (0xFF >> width)]) + file.read(width - 1), "big")
    if size == (1 << (7 * width)) - 1:
        return kind, 0 if kind == _SEGMENT else None
    return kind, size
