"""Read a clip's packets without decoding: number and times of frames, and keyframes."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from pipeline.errors import InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.containers import raise_if_out_of_memory
from pipeline.media.hidden_frames import is_hidden
from pipeline.runtime.callbacks import Check

_FRAMES_BEFORE_END = 15
"""Where a part is requested, up to this multiple of ``max_frames`` is read to its end: 2.7 hours at 30 frames per
second."""
_BEYOND_PACKETS = 64
"""Consecutive packets past the range after which reading ends: more than any stream reorders."""
_PACKETS_PER_SHOWN = 2
"""Limit for a stream with hidden frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What the packets of a video stream contain. Times are in the stream's time base."""

    first_pts: int | None
    """None where packets have no PTS."""
    start_pts: float
    end_pts: float
    """The requested range; infinite where it is unbounded."""
    num_packets: int
    """Number of packets in the range, without those of hidden frames."""
    first_inside: int
    """The earliest timestamp in the range."""
    keys: tuple[tuple[int, int], ...]
    """(pts, dts) of the keyframes, ascending."""
    broken_off: bool
    """The container's index points beyond the file's end."""

    @property
    def trimmed(self) -> bool:
        """Whether a range was requested."""
        return bool(np.isfinite(self.start_pts) or np.isfinite(self.end_pts))


def scan_packets(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    max_frames: int,
    max_fps: float,
    start_s: float | None,
    end_s: float | None,
    check: Check = lambda: None,
) -> Scan:
    """Read all packets of the stream, without decoding.

    ``start_s`` and ``end_s`` are seconds from the first frame. Raises ``TooLarge``, ``UnsupportedMedia`` (no packets)
    and ``InvalidInput`` (nothing in the range). ``check`` is called for every packet. The cap on packets applies to
    what is read, whatever part was requested; nothing is read beyond the range's end.
    """
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    if stream.time_base is None:
        raise UnsupportedMedia("The video stream has no time base.", field="video_url")
    trimmed = start_s is not None or end_s is not None
    # Checked before packets are read: other demuxers fill the index while reading.
    broken_off = _breaks_off(container, stream)
    most = max_frames * (_FRAMES_BEFORE_END if trimmed else 1)
    end_ticks = np.inf if end_s is None else _ticks(end_s, stream.time_base)
    packets = _read_packets(container, stream, most, end_ticks, check)
    pts = packets.pts
    if not pts:
        raise UnsupportedMedia("The video stream is empty.", field="video_url")
    first = min(pts)
    seconds = float((max(pts) - first) * stream.time_base)
    start = first + _ticks(start_s, stream.time_base) if start_s is not None else -np.inf
    end = first + _ticks(end_s, stream.time_base) if end_s is not None else np.inf
    stamps = [stamp for stamp in pts if start <= stamp < end]
    inside = len(stamps)
    if inside == 0:
        raise InvalidInput("There is no frame between start_s and end_s.", field="start_s")
    if inside > max_frames:
        raise TooLarge(f"The range has more than {max_frames} frames.", field="video_url")
    if len(pts) > 2 and (len(pts) - 1) / max(seconds, 1e-9) > max_fps * 1.001:
        raise TooLarge(f"The clip has more than {max_fps:g} frames a second.", field="video_url")
    first_pts = first if packets.are_stamped else None
    return Scan(first_pts, start, end, inside, min(stamps), tuple(sorted(packets.keys)), broken_off)


@dataclass(slots=True)
class _Packets:
    """What was read of a stream so far."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    """Of the frames that are shown; dts or a running number where a packet has none."""
    keys: list[tuple[int, int]] = field(default_factory=list)
    are_stamped: bool = True
    """Every packet has a PTS."""


def _read_packets(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    most: int,
    end_ticks: float,
    check: Check,
) -> _Packets:
    """Read the stream's packets up to ``end_ticks`` after the first frame. Raises ``TooLarge`` beyond ``most``."""
    packets = _Packets()
    pts = packets.pts
    first_pts = 1 << 62
    read = 0
    beyond = 0
    codec = stream.codec_context.name
    try:
        for packet in container.demux(stream):
            check()
            if packet.size == 0 or packet.is_discard:
                continue
            read += 1
            stamp = packet.pts if packet.pts is not None else packet.dts
            packets.are_stamped = packets.are_stamped and packet.pts is not None
            pts.append(len(pts) if stamp is None else stamp)
            first_pts = min(first_pts, pts[-1])
            if packet.is_keyframe and packet.pts is not None:
                packets.keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            if is_hidden(packet, codec):
                pts.pop()
            if len(pts) > most or read > _PACKETS_PER_SHOWN * most:
                raise TooLarge(f"The clip has more than {most} frames.", field="video_url")
            # Packets come in decoding order: after these none belongs to the range.
            is_beyond = packet.dts is not None and packet.dts - first_pts > end_ticks
            beyond = beyond + 1 if is_beyond else 0
            if beyond > _BEYOND_PACKETS:
                break
    except av.FFmpegError as error:
        # The file is truncated inside a packet: the first read of frames shows what there is.
        raise_if_out_of_memory(error)
    return packets


def _ticks(seconds: float, time_base: Fraction) -> float:
    # A frame whose PTS is exactly the requested second must be included despite float rounding.
    return seconds / float(time_base) - 1e-6


def _breaks_off(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    entries = stream.index_entries
    if not len(entries):
        return False
    last = entries[len(entries) - 1]
    return bool(last.pos + last.size > container.size)
