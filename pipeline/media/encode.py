"""Write planes and the source's own audio to a file that preserves the source's timing, geometry and colors.

MP4 is the default: its time scale is set to the source's, so that every PTS is exact. MOV holds PCM audio; MKV is the
fallback for what neither can hold, and rounds time to 1 ms. The same frames, source and settings produce the same
bytes.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.errors import EncodeFailed
from pipeline.media.containers import failures_told, video_stream
from pipeline.media.copied_streams import (
    add_copies,
    copied_packets,
    copyable_streams,
    mux_until,
    rising_packets,
    stream_tags,
    without_packets,
)
from pipeline.media.copy_trial import refused_packets
from pipeline.media.ffv1 import ArtifactVideo, packed_frame, read_artifact
from pipeline.media.kept_metadata import PROVENANCE, PROVENANCE_KEY, write_metadata
from pipeline.media.matroska_shape import set_pixel_shape
from pipeline.media.output_format import OutputFormat, choose_output_format
from pipeline.media.pixels import is_full_range, video_frame
from pipeline.settings import OutputSettings

if TYPE_CHECKING:
    from pipeline.media.clip import Clip

__all__ = ["PROVENANCE", "ArtifactVideo", "EncodedFile", "encode_clip", "read_artifact"]

_MAX_TIME_SCALE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EncodedFile:
    """A finished file."""

    path: Path
    warnings: tuple[str, ...]


def encode_clip(
    frames: Iterable[Frame],
    clip: Clip,
    stem: Path,
    settings: OutputSettings,
    *,
    tags: Mapping[str, str] | None = None,
) -> EncodedFile:
    """Encode one frame for each frame of the clip, with the clip's audio, to ``stem`` plus a suffix.

    Kept from the source: PTS and the last duration, time base (not in MKV), pixel format, color tags, chroma location,
    display matrix, SAR, HDR metadata, chapters, timecode, tags, audio packets bit for bit with their timestamps,
    further audio and subtitle streams where the container can hold them; warnings name what is dropped. A trimmed clip
    starts at the PTS of the untrimmed one's first frame, with the packets that overlap it. ``tags`` are added to the
    file's metadata.

    Planes are written unchanged (rounding is up to the caller). Frames are streamed, never collected. The file appears
    under its name when it is complete; on any failure nothing is left. Raises ``NoSpace`` and ``EncodeFailed``, and
    whatever ``frames`` raises.
    """
    info = clip.info
    target = choose_output_format(info, settings)
    path = stem.with_name(stem.name + target.suffix)
    part = path.with_name(path.name + ".part")
    try:
        with clip.reopen() as source:
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
            if target.muxer == "matroska" and info.sample_aspect_ratio != 1:
                keeps_shape = set_pixel_shape(part, (info.width, info.height), info.sample_aspect_ratio)
                warnings += [] if keeps_shape else ["MKV does not tell the result's pixel aspect ratio."]
            part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return EncodedFile(path, (*target.warnings, *warnings))


def _open_output(part: Path, target: OutputFormat, info: VideoInfo) -> av.container.OutputContainer:
    options = {"fflags": "+bitexact"}
    if target.muxer == "matroska":
        # Audio that starts before 0, such as AAC priming, would otherwise shift all timestamps.
        options["avoid_negative_ts"] = "disabled"
    else:
        scale = info.time_base.denominator
        options |= {"movflags": "+faststart+use_metadata_tags", "video_track_timescale": str(scale)}
        # Edit lists, which hold the streams' offsets, use the movie time scale: 1,000 by default, too coarse.
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
    target: OutputFormat,
    settings: OutputSettings,
    tags: dict[str, str],
) -> list[str]:
    """Write everything but the trailer; return warnings."""
    info = clip.info
    picture = video_stream(source)
    with failures_told():
        video = _add_video(output, picture, info, target, settings.threads)
    refused = refused_packets(clip, copyable_streams(source, picture, target), target.muxer)
    wanted = {index: numbers for index, numbers in refused.items() if numbers is not None}
    copies, warnings = add_copies(output, source, picture, wanted)
    provenance = {PROVENANCE_KEY: PROVENANCE} if settings.provenance_tag else {}
    warnings += write_metadata(output, source, picture, video, clip, target, provenance | tags)
    dropped: Counter[int] = Counter()
    packets = rising_packets(copied_packets(clip, source, copies), target.muxer, dropped)
    pending = without_packets(packets, {copies[index].index: wanted[index] for index in copies}, dropped)
    ahead = next(pending, None)
    count = 0
    for frame in frames:
        count += 1
        with failures_told():
            coded = video.encode(_encodable(frame, target, clip.time_shift))
        for packet in coded:
            ahead = mux_until(output, packet, ahead, pending)
    with failures_told():
        coded = video.encode(None)
    for packet in coded:
        ahead = mux_until(output, packet, ahead, pending)
    if count != info.num_frames:
        raise EncodeFailed(f"{count} frames were made for a clip of {info.num_frames}.")
    while ahead is not None:
        with failures_told():
            output.mux(ahead[1])
        ahead = next(pending, None)
    for index, number in sorted(dropped.items()):
        warnings.append(f"Stream {index} of the result lacks {number} damaged packets that its container refuses.")
    return warnings


def _add_video(
    output: av.container.OutputContainer,
    source: av.VideoStream,
    info: VideoInfo,
    target: OutputFormat,
    threads: int,
) -> av.VideoStream:
    video = output.add_stream(target.codec, rate=info.frame_rate.limit_denominator(1_000_000))
    video.width = info.width
    video.height = info.height
    video.pix_fmt = target.pix_fmt
    context = video.codec_context
    context.time_base = info.time_base
    video.time_base = info.time_base
    if target.codec == "libx265" and target.muxer != "matroska":
        # Apple's players need the parameter sets out of band, not among the pictures.
        context.codec_tag = "hvc1"
    context.thread_count = threads if target.codec == "libx264" else 1
    context.flags |= av.codec.context.Flags.frame_duration | av.codec.context.Flags.bitexact
    context.options = target.options
    context.color_range = 2 if info.pix_fmt.startswith("yuvj") else info.color_range
    context.colorspace = info.color_matrix
    context.color_primaries = info.color_primaries
    context.color_trc = info.color_transfer
    # Read from the source itself, since unspecified and 1:1 are different.
    if source.sample_aspect_ratio:
        context.sample_aspect_ratio = source.sample_aspect_ratio
    if info.display_matrix is not None:
        video.set_display_matrix(info.display_matrix)
    video.metadata.update(stream_tags(source))
    video.disposition = source.disposition
    return video


def _encodable(frame: Frame, target: OutputFormat, time_shift: int) -> av.VideoFrame:
    info = frame.info
    if target.pix_fmt in ("bgr0", "bgra"):
        green, blue, red, *alpha = frame.planes
        packed = np.stack([blue, green, red, alpha[0] if alpha else np.zeros_like(blue)], axis=-1)
        picture = packed_frame(packed, target.pix_fmt)
    else:
        picture = video_frame(frame.planes, target.pix_fmt, info.width, info.height)
    picture.pts = frame.pts - time_shift
    picture.duration = frame.duration
    picture.time_base = info.time_base
    picture.color_range = 2 if is_full_range(info) else info.color_range
    return picture
