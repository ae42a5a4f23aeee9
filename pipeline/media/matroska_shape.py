"""The pixel aspect ratio in a Matroska file: PyAV cannot pass it to FFmpeg's muxer, so it is written afterwards.

The muxer writes "display unit unknown" and leaves a few empty bytes in the track's description; the display size is
written there in place, without moving anything else.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

_SEGMENT = 0x18538067
_TRACKS = 0x1654AE6B
_TRACK = 0xAE
_VIDEO = 0xE0
_CLUSTER = 0x1F43B675
_CRC_32 = 0xBF
_VOID = 0xEC
_DISPLAY_UNIT = b"\x54\xb2\x81\x04"
_HEAD_BYTES = 1 << 20
"""The tracks are at the file's start."""


def set_pixel_shape(path: Path, size_wh: tuple[int, int], sample_aspect_ratio: Fraction) -> bool:
    """Write the display size of the first video track into a file from FFmpeg's muxer; return whether there was
    room."""
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD_BYTES))
        place = _find(bytes(head))
        if place is None:
            return False
        tracks, video, void = place
        added = _display_size(size_wh, sample_aspect_ratio)
        growth = len(added) - len(_DISPLAY_UNIT)
        empty = void[1] - void[0] - growth
        unit = head.find(_DISPLAY_UNIT, *video)
        if unit < 0 or not 2 <= empty <= 128 or video[1] - video[0] + growth > 126:
            return False
        head[video[0] - 1] += growth
        void_now = bytes([_VOID, 0x80 | (empty - 2)]) + bytes(empty - 2)
        between = head[unit + len(_DISPLAY_UNIT) : void[0]]
        head[unit : void[1]] = added + between + void_now
        # Tracks start with a checksum of the rest of their content.
        checksum = zlib.crc32(head[tracks[0] + 6 : tracks[1]])
        head[tracks[0] + 2 : tracks[0] + 6] = checksum.to_bytes(4, "little")
        file.seek(tracks[0])
        file.write(head[tracks[0] : tracks[1]])
    return True


def _display_size(size_wh: tuple[int, int], ratio: Fraction) -> bytes:
    """Return the elements DisplayWidth and DisplayHeight: integers with exactly this ratio."""
    width, height = size_wh
    if (width * ratio).denominator == 1:
        width = int(width * ratio)
    elif (height / ratio).denominator == 1:
        height = int(height / ratio)
    else:
        width, height = width * ratio.numerator, height * ratio.denominator
    return _element(b"\x54\xb0", width) + _element(b"\x54\xba", height)


def _element(name: bytes, value: int) -> bytes:
    payload = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return name + bytes([0x80 | len(payload)]) + payload


def _find(head: bytes) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    """Return where the contents of Tracks and of the first Video lie, and the Void behind it (with its header)."""
    for name, _, segment, _ in _elements(head, 0, len(head)):
        if name != _SEGMENT:
            continue
        for part, _, tracks, tracks_end in _elements(head, segment, len(head)):
            if part == _CLUSTER:
                return None
            if part == _TRACKS and head[tracks] == _CRC_32:
                return _find_video(head, tracks, tracks_end)
    return None


def _find_video(
    head: bytes, tracks: int, tracks_end: int
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None:
    for name, _, track, track_end in _elements(head, tracks, tracks_end):
        if name != _TRACK:
            continue
        video: tuple[int, int] | None = None
        for part, start, begin, end in _elements(head, track, track_end):
            if part == _VIDEO and begin - start == 2:
                video = (begin, end)
            elif part == _VOID and video is not None:
                return (tracks, tracks_end), video, (start, end)
    return None


def _elements(data: bytes, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the EBML elements of a stretch: name, where it starts, where its content begins and ends (RFC 8794)."""
    while start < stop and data[start]:
        name_bytes = 9 - data[start].bit_length()
        name = int.from_bytes(data[start : start + name_bytes], "big")
        place = start + name_bytes
        if place >= stop or not data[place]:
            return
        size_bytes = 9 - data[place].bit_length()
        size = int.from_bytes(data[place : place + size_bytes], "big") & ((1 << 7 * size_bytes) - 1)
        begin = place + size_bytes
        yield name, start, begin, min(begin + size, stop)
        start = begin + size
