"""Write planes and the source's own sound into a file that keeps the source's time, shape and colours.

MP4 is the rule: its time scale is set to the source's, so that every PTS is exact. MOV holds PCM sound; MKV is what is
left for what neither can hold, and rounds time to 1 ms. Same frames, source and settings give the same bytes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from llvmlite.binding import get_host_cpu_features

from pipeline.datatypes import Frame, VideoInfo
from pipeline.errors import EncodeFailed
from pipeline.media.containers import CHROMA_LOCATIONS, failures_told, open_container, video_stream
from pipeline.media.ffv1 import ArtifactVideo, packed_frame, read_artifact
from pipeline.media.pixels import is_full_range, is_rgb, planar_format, video_frame
from pipeline.settings import OutputSettings

if TYPE_CHECKING:
    from pipeline.media.decode import Clip

__all__ = ["PROVENANCE", "ArtifactVideo", "EncodedFile", "encode_clip", "read_artifact"]

PROVENANCE = "The person in this video was replaced by Understudy (AI-generated content)."
_MP4_AUDIO = ("aac", "mp3", "mp3float", "mp2", "ac3", "eac3", "alac", "opus", "libopus", "flac")
"""What players expect in MP4; FFmpeg's muxer takes more."""
_MUXER_TAGS = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration")
"""Metadata that describes the source's file, not its content."""
_X264_FORMATS = tuple(
    f"{layout}{depth}" for layout in ("yuv420p", "yuv422p", "yuv444p", "gray") for depth in ("", "10le")
)
_MAX_TIME_SCALE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A finished file."""

    path: Path
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Target:
    """How a clip is written."""

    muxer: str
    suffix: str
    codec: str
    pix_fmt: str
    options: dict[str, str]
    warnings: tuple[str, ...]


def encode_clip(
    frames: Iterable[Frame],
    clip: Clip,
    stem: Path,
    settings: OutputSettings,
    *,
    tags: Mapping[str, str] | None = None,
) -> EncodedFile:
    """Encode one frame for each frame of the clip, with the clip's sound, to ``stem`` plus a suffix.

    Kept from the source: PTS and the last duration, time base (not in MKV), pixel format, colour tags, chroma location,
    display matrix, SAR, audio packets bit for bit with their times, further audio and subtitle streams where the
    container can hold them (a warning names each that is left out). A trimmed clip starts at the PTS of the
    untrimmed one's first frame, with the packets that overlap it. ``tags`` are added to the file's metadata.

    Planes are written as they are (rounding is the caller's). Streams through: no list of frames. The file appears
    under its name when it is whole; on any failure nothing is left. Raises ``NoSpace`` and ``EncodeFailed``, and
    whatever ``frames`` raises.
    """
    info = clip.info
    target = _target(info, settings)
    path = stem.with_name(stem.name + target.suffix)
    part = path.with_name(path.name + ".part")
    try:
        with open_container(info.path, clip.limits) as source:
            with failures_told():
                output = _open_output(part, target, info)
            try:
                warnings = _write(frames, clip, source, output, target, settings, dict(tags or {}))
                with failures_told():
                    output.close()
            except BaseException:
                # Closing writes the trailer, which fails again where the disk is full.
                with contextlib.suppress(av.FFmpegError, OSError, ValueError):
                    output.close()
                raise
        with failures_told():
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return EncodedFile(path, (*target.warnings, *warnings))


def _target(info: VideoInfo, settings: OutputSettings) -> _Target:
    warnings: list[str] = []
    pix_fmt = planar_format(info).replace("yuvj", "yuv")
    if info.codec and pix_fmt in _X264_FORMATS and _fits_chroma(info):
        codec = "libx264"
        # Durations that differ would need DTS that MP4 cannot keep beside exact durations: no B-frames then.
        steady = len(set(info.durations.tolist())) <= 1
        options = {"preset": settings.encoder_preset, "threads": str(settings.threads)}
        options |= {"qp": "0"} if settings.codec == "lossless" else {"crf": str(settings.crf)}
        options |= {} if steady else {"bf": "0"}
        if _has_avx512():
            # x264's lookahead has AVX-512 code that reads what nobody wrote: at some sizes (320x180, 608x1080) the same
            # frames gave other bytes from run to run. With AVX2 they never did, and it is no slower.
            options |= {"x264-params": "asm=avx2"}
        muxer, warning = _container_for_sound(info)
        warnings += [warning] if warning else []
    else:
        codec, muxer = "ffv1", "matroska"
        pix_fmt = ("bgra" if "a" in pix_fmt else "bgr0") if is_rgb(info) else pix_fmt
        options = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "1"}
        reason = f"the format {info.pix_fmt}" if pix_fmt not in _X264_FORMATS else "an odd width or height"
        warnings.append(f"H.264 cannot hold {reason}: the result is lossless FFV1 in MKV.")
    if muxer == "matroska" and 1000 % info.time_base.denominator:
        warnings.append("MKV rounds the time stamps of the result to 1 ms.")
    if info.chroma_location and codec == "libx264":
        options["chroma_sample_location"] = CHROMA_LOCATIONS[info.chroma_location]
    suffix = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}[muxer]
    return _Target(muxer, suffix, codec, pix_fmt, options, tuple(warnings))


@cache
def _has_avx512() -> bool:
    return bool(get_host_cpu_features().get("avx512f"))


def _fits_chroma(info: VideoInfo) -> bool:
    across, down = info.chroma_log2_wh
    return not (info.width % 2**across or info.height % 2**down)


def _container_for_sound(info: VideoInfo) -> tuple[str, str]:
    if not info.audio or info.audio[0].codec in _MP4_AUDIO:
        return "mp4", ""
    if info.audio[0].codec.startswith(("pcm_", "amr", "adpcm_ima_qt", "qdm")):
        return "mov", ""
    return "matroska", f"Neither MP4 nor MOV can hold the sound ({info.audio[0].codec}): the result is an MKV."


def _open_output(part: Path, target: _Target, info: VideoInfo) -> av.container.OutputContainer:
    options = {"fflags": "+bitexact"}
    if target.muxer != "matroska":
        scale = info.time_base.denominator
        options |= {"movflags": "+faststart", "video_track_timescale": str(scale)}
        # Edit lists, which hold the streams' offsets, count in the movie's scale: 1,000 by default, too coarse.
        movie = scale
        for audio in info.audio:
            common = movie * audio.time_base.denominator // gcd(movie, audio.time_base.denominator)
            movie = common if common <= _MAX_TIME_SCALE else movie
        options["movie_timescale"] = str(movie)
    return av.open(f"file:{part}", "w", format=target.muxer, container_options=options)


def _write(
    frames: Iterable[Frame],
    clip: Clip,
    source: av.container.InputContainer,
    output: av.container.OutputContainer,
    target: _Target,
    settings: OutputSettings,
    tags: dict[str, str],
) -> list[str]:
    """Write everything but the trailer; return warnings."""
    info = clip.info
    picture = video_stream(source)
    with failures_told():
        video = _add_video(output, picture, info, target, settings)
    copies, warnings = _add_copies(output, source, picture, target)
    kept = {key: value for key, value in source.metadata.items() if key not in _MUXER_TAGS}
    comment = {"comment": PROVENANCE} if settings.provenance_tag else {}
    output.metadata.update(kept | comment | tags)
    dropped: Counter[int] = Counter()
    pending = _muxable(_copied_packets(clip, source, copies), target.muxer, dropped)
    ahead = next(pending, None)
    count = 0
    for frame in frames:
        count += 1
        with failures_told():
            packets = video.encode(_encodable(frame, target, clip.trim_offset))
        for packet in packets:
            ahead = _mux_until(output, packet, ahead, pending)
    with failures_told():
        packets = video.encode(None)
    for packet in packets:
        ahead = _mux_until(output, packet, ahead, pending)
    if count != info.num_frames:
        raise EncodeFailed(f"{count} frames were made for a clip of {info.num_frames}.")
    while ahead is not None:
        with failures_told():
            output.mux(ahead[1])
        ahead = next(pending, None)
    for index, number in sorted(dropped.items()):
        warnings.append(f"Stream {index} of the result lacks {number} damaged packets: their times do not rise.")
    return warnings


_TimedPacket = tuple[Fraction, av.Packet]


def _mux_until(
    output: av.container.OutputContainer,
    packet: av.Packet,
    ahead: _TimedPacket | None,
    pending: Iterator[_TimedPacket],
) -> _TimedPacket | None:
    """Mux a video packet, and before it the copied packets that come no later."""
    time = (packet.dts if packet.dts is not None else packet.pts or 0) * packet.time_base
    while ahead is not None and ahead[0] <= time:
        with failures_told():
            output.mux(ahead[1])
        ahead = next(pending, None)
    with failures_told():
        output.mux(packet)
    return ahead


def _add_video(
    output: av.container.OutputContainer,
    source: av.VideoStream,
    info: VideoInfo,
    target: _Target,
    settings: OutputSettings,
) -> av.VideoStream:
    video = output.add_stream(target.codec, rate=info.average_rate.limit_denominator(1_000_000))
    video.width, video.height, video.pix_fmt = info.width, info.height, target.pix_fmt
    context = video.codec_context
    context.time_base = info.time_base
    video.time_base = info.time_base
    context.thread_count = settings.threads if target.codec == "libx264" else 1
    context.flags |= av.codec.context.Flags.frame_duration | av.codec.context.Flags.bitexact
    context.options = target.options
    context.color_range = 2 if info.pix_fmt.startswith("yuvj") else info.color_range
    context.colorspace = info.color_matrix
    context.color_primaries = info.color_primaries
    context.color_trc = info.color_transfer
    # Asked of the source itself: that it says nothing, or 1:1, is a difference.
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    if info.display_matrix is not None:
        video.set_display_matrix(info.display_matrix)
    video.metadata.update(_stream_tags(source))
    video.disposition = source.disposition
    return video


def _stream_tags(stream: av.stream.Stream) -> dict[str, str]:
    return {key: value for key, value in stream.metadata.items() if key in ("language", "handler_name", "title")}


def _add_copies(
    output: av.container.OutputContainer, source: av.container.InputContainer, picture: av.VideoStream, target: _Target
) -> tuple[dict[int, av.stream.Stream], list[str]]:
    """Add an output stream for each source stream that can be copied, by the source's number; warn of the others."""
    copies: dict[int, av.stream.Stream] = {}
    warnings: list[str] = []
    for stream in source.streams:
        if stream.index == picture.index:
            continue
        codec = stream.codec_context.name if stream.codec_context is not None else None
        # Muxers take no sound whose rate is not known, as in damaged files.
        has_rate = stream.type != "audio" or stream.codec_context is None or stream.codec_context.sample_rate
        if codec is not None and has_rate and _holds(target.muxer, stream.type, codec):
            with contextlib.suppress(av.FFmpegError, ValueError):
                copy = output.add_stream_from_template(stream)
                copy.metadata.update(_stream_tags(stream))
                copy.disposition = stream.disposition
                copies[stream.index] = copy
        if stream.index not in copies:
            warnings.append(f"Stream {stream.index} ({stream.type}, {codec or 'unknown'}) is not in the result.")
    return copies, warnings


def _holds(muxer: str, kind: str, codec: str) -> bool:
    if kind == "audio":
        return codec in _MP4_AUDIO or muxer == "matroska" or (muxer == "mov" and codec.startswith(("pcm_", "amr")))
    return kind == "subtitle" and (codec == "mov_text") == (muxer != "matroska")


def _copied_packets(
    clip: Clip, source: av.container.InputContainer, copies: Mapping[int, av.stream.Stream]
) -> Iterator[_TimedPacket]:
    """Yield the copied packets in the file's order with the times of the result, each with its decoding time in s."""
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
            # The source breaks off here; its frames end there as well, and the clip's warnings say so.
            return
        if packet is None:
            return
        if packet.dts is None and packet.pts is None:
            continue
        time = packet.pts if packet.pts is not None else packet.dts
        if clip.trimmed:
            if time * packet.time_base >= end or (time + (packet.duration or 0)) * packet.time_base <= start:
                continue
            shift = round(clip.trim_offset * info.time_base / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = copies[packet.stream_index]
        yield (packet.dts if packet.dts is not None else packet.pts) * packet.time_base, packet


def _muxable(packets: Iterator[_TimedPacket], muxer: str, dropped: Counter[int]) -> Iterator[_TimedPacket]:
    """Leave out, and count by stream, what a muxer refuses: times that fall back, as in damaged files.

    One such packet would otherwise cost the whole result. Matroska and subtitles may have two packets at one time.
    """
    last: dict[int, Fraction] = {}
    for time, packet in packets:
        index = packet.stream.index
        may_repeat = muxer == "matroska" or packet.stream.type == "subtitle"
        before = last.get(index)
        falls = before is not None and (time < before or (time == before and not may_repeat))
        if falls or (packet.pts is not None and packet.dts is not None and packet.pts < packet.dts):
            dropped[index] += 1
            continue
        last[index] = time
        yield time, packet


def _encodable(frame: Frame, target: _Target, trim_offset: int) -> av.VideoFrame:
    info = frame.info
    if target.pix_fmt in ("bgr0", "bgra"):
        green, blue, red, *alpha = frame.planes
        packed = np.stack([blue, green, red, alpha[0] if alpha else np.zeros_like(blue)], axis=-1)
        picture = packed_frame(packed, target.pix_fmt)
    else:
        picture = video_frame(frame.planes, target.pix_fmt, info.width, info.height)
    picture.pts = frame.pts - trim_offset
    picture.duration = frame.duration
    picture.time_base = info.time_base
    picture.color_range = 2 if is_full_range(info) else info.color_range
    return picture
