"""Packets without a displayed frame: reference frames of VP8 and VP9 from which later frames are predicted."""

from __future__ import annotations

import av


def is_hidden(packet: av.Packet, codec: str) -> bool:
    """Return whether a packet shows no frame; False for codecs without such packets."""
    if codec not in ("vp8", "vp9"):
        return False
    data = memoryview(packet)
    if not len(data):
        return False
    if codec == "vp8":
        # RFC 6386, section 9.1: bit 4 of the first byte is show_frame.
        return not data[0] & 0x10
    return not any(_vp9_is_shown(data[start:stop]) for start, stop in _vp9_frames(data))


def _vp9_frames(data: memoryview) -> list[tuple[int, int]]:
    """Return where the frames of a packet lie: several in a superframe (VP9 bitstream specification, annex B)."""
    marker = data[-1]
    count = (marker & 7) + 1
    size_bytes = (marker >> 3 & 3) + 1
    index = len(data) - 2 - count * size_bytes
    if marker & 0xE0 != 0xC0 or index < 0 or data[index] != marker:
        return [(0, len(data))]
    frames: list[tuple[int, int]] = []
    start = 0
    for number in range(count):
        place = index + 1 + number * size_bytes
        size = int.from_bytes(data[place : place + size_bytes], "little")
        # A size of 0 is a dropped frame.
        if size and start + size <= index:
            frames.append((start, start + size))
        start += size
    return frames


def _vp9_is_shown(frame: memoryview) -> bool:
    """Read show_existing_frame and show_frame (VP9 bitstream specification, section 6.2)."""
    first = frame[0]
    profile = (first >> 5 & 1) | (first >> 3 & 2)
    # Profile 3 is followed by a reserved bit.
    shift = 2 if profile == 3 else 3
    if first >> shift & 1:
        return True
    return bool(first >> (shift - 2) & 1)
