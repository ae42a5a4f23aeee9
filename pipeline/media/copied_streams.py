"""Sound and other streams that are copied, packet by packet."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction

import av

from pipeline.media.clip import Clip
from pipeline.media.containers import failures_told
from pipeline.media.kept_metadata import is_kept_elsewhere
from pipeline.media.output_format import OutputFormat, container_holds

_TimedPacket = tuple[Fraction, av.Packet]


def mux_until(
    output: av.container.OutputContainer,
    packet: av.Packet,
    ahead: _TimedPacket | None,
    pending: Iterator[_TimedPacket],
) -> _TimedPacket | None:
    """Mux a video packet, preceded by the copied packets that are due."""
    time = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base
    while ahead is not None and ahead[0] <= time:
        with failures_told():
            output.mux(ahead[1])
        ahead = next(pending, None)
    with failures_told():
        output.mux(packet)
    return ahead


def stream_tags(stream: av.stream.Stream) -> dict[str, str]:
    return {key: value for key, value in stream.metadata.items() if key in ("language", "handler_name", "title")}


def copyable_streams(source: av.container.InputContainer, picture: av.VideoStream, target: OutputFormat) -> list[int]:
    """Return the numbers of the source's streams, beside the picture, of kinds that the result's container holds."""
    return [
        stream.index
        for stream in source.streams
        if stream.index != picture.index and _is_copyable(stream, target.muxer)
    ]


def _is_copyable(stream: av.stream.Stream, muxer: str) -> bool:
    if stream.codec_context is None:
        return False
    # Muxers reject audio with an unknown sample rate, as in damaged files.
    has_rate = stream.type != "audio" or bool(stream.codec_context.sample_rate)
    return has_rate and container_holds(muxer, stream.type, stream.codec_context.name)


def add_copies(
    output: av.container.OutputContainer,
    source: av.container.InputContainer,
    picture: av.VideoStream,
    wanted: Collection[int],
) -> tuple[dict[int, av.stream.Stream], list[str]]:
    """Add an output stream for each of the ``wanted`` source streams, by the source's number; warn of the others."""
    copies: dict[int, av.stream.Stream] = {}
    warnings: list[str] = []
    for stream in source.streams:
        if stream.index == picture.index or is_kept_elsewhere(stream):
            continue
        if stream.index in wanted:
            with contextlib.suppress(av.FFmpegError, ValueError):
                copy = output.add_stream_from_template(stream)
                copy.metadata.update(stream_tags(stream))
                copy.disposition = stream.disposition
                copies[stream.index] = copy
        if stream.index not in copies:
            codec = stream.codec_context.name if stream.codec_context is not None else "unknown"
            warnings.append(f"Stream {stream.index} ({stream.type}, {codec}) is not in the result.")
    return copies, warnings


def copied_packets(
    clip: Clip, source: av.container.InputContainer, copies: Mapping[int, av.stream.Stream]
) -> Iterator[_TimedPacket]:
    """Yield the copied packets in the file's order with the result's timestamps, each with its decoding time in s."""
    if not copies:
        return
    info = clip.info
    for stream in source.streams:
        if stream.index not in copies:
            stream.discard = av.stream.Discard.all
    start = int(info.pts[0]) * info.time_base
    end = int(info.pts[-1] + info.durations[-1]) * info.time_base
    packets = source.demux([source.streams[index] for index in copies])
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            # The source is truncated here; its frames end there as well, which the clip's warnings report.
            return
        if packet is None:
            return
        if packet.dts is None and packet.pts is None:
            continue
        time = packet.pts if packet.pts is not None else packet.dts
        # What an edit list hides stays hidden: before the clock's start another edit list hides it again.
        if packet.is_discard and time + (packet.duration or 0) > 0:
            continue
        is_outside = time * packet.time_base >= end or (time + (packet.duration or 0)) * packet.time_base <= start
        if clip.trimmed and is_outside:
            continue
        shift = round(clip.time_shift * info.time_base / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copies[packet.stream_index]
        yield (packet.dts if packet.dts is not None else packet.pts) * packet.time_base, packet


def rising_packets(packets: Iterator[_TimedPacket], muxer: str, dropped: Counter[int]) -> Iterator[_TimedPacket]:
    """Drop, and count by stream, packets whose timestamps go backwards, as in damaged files.

    One such packet would otherwise fail the whole result. Matroska and subtitles may have two packets at one time.
    """
    last: dict[av.stream.Stream, Fraction] = {}
    for time, packet in packets:
        stream = packet.stream
        may_repeat = muxer == "matroska" or stream.type == "subtitle"
        before = last.get(stream)
        falls = before is not None and (time < before or (time == before and not may_repeat))
        if falls or (packet.pts is not None and packet.dts is not None and packet.pts < packet.dts):
            dropped[stream.index] += 1
            continue
        last[stream] = time
        yield time, packet


def without_packets(
    packets: Iterator[_TimedPacket], refused: Mapping[int, Collection[int]], dropped: Counter[int]
) -> Iterator[_TimedPacket]:
    """Drop, and count, the packets with these numbers, by the result's stream."""
    numbers: Counter[int] = Counter()
    for time, packet in packets:
        index = packet.stream.index
        number = numbers[index]
        numbers[index] += 1
        if number in refused.get(index, ()):
            dropped[index] += 1
            continue
        yield time, packet
