"""Open a clip and read it as often as needed: exact PTS, planes as coded, an RGB view; no frame is kept.

A clip is decoded once when it is opened. That pass makes the table of PTS (what a header or a packet says is not
always what a decoder gives), finds damage, and costs one to two milliseconds a frame at 720p. Each later read gives
exactly the frames of that table.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import AudioInfo, VideoInfo
from pipeline.errors import InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.clip import Clip, ReadSettings
from pipeline.media.containers import (
    YUV_FORMATS,
    Threading,
    chroma_location_of,
    decoded_pictures,
    display_matrix_of,
    open_container,
    pts_of,
    quarter_turns_of,
    video_stream,
)
from pipeline.media.packets import Scan, scan_packets
from pipeline.media.pixels import KNOWN_MATRICES, RGB_FORMATS, luma_of, rgb_of
from pipeline.settings import LimitSettings

__all__ = ["Clip", "luma_of", "open_clip", "rgb_of"]

_NO_LIMITS_GIVEN = LimitSettings()


def open_clip(
    path: Path, limits: LimitSettings = _NO_LIMITS_GIVEN, *, start_s: float | None = None, end_s: float | None = None
) -> Clip:
    """Open a video file and decode it once to learn its frames.

    ``[start_s, end_s)`` in seconds from the first frame's PTS trims the clip. Frames that cannot be decoded (a corrupt
    middle, a file that breaks off) are missing from ``info.pts``, with a sentence in ``info.warnings``: the others
    keep their time. Raises ``InvalidInput`` (no such file, an empty range), ``UnsupportedMedia`` (no video, no
    frame that can be decoded, a pixel format that is not handled, a picture size that changes) and ``TooLarge``
    (over a cap, checked in the headers, while packets are counted, and on each decoded frame).
    """
    if not path.is_file():
        raise InvalidInput("The video file does not exist.", field="video_url")
    if path.stat().st_size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes.", field="video_url")
    with open_container(path, limits) as container:
        stream = video_stream(container)
        _check_size(stream.codec_context.width, stream.codec_context.height, limits)
        scan = scan_packets(container, stream, limits, start_s, end_s)
    with open_container(path, limits) as container:
        return _first_read(path, container, video_stream(container), scan, limits)


def _first_read(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    scan: Scan,
    limits: LimitSettings,
    threading: Threading = "AUTO",
) -> Clip:
    """Decode the range once (damaged streams once more, the careful way); make the clip and all that is known of it."""
    raw: list[int | None] = []
    durations: list[int] = []
    errors: list[str] = []
    first: av.VideoFrame | None = None
    damaged = 0
    if scan.first_pts is not None and np.isfinite(scan.start_pts):
        before = [dts for pts, dts in scan.keys if pts <= scan.start_pts]
        if len(before) > 1:
            with contextlib.suppress(av.FFmpegError):
                container.seek(before[-1], stream=stream)
    for picture in decoded_pictures(container, stream, errors, threading):
        stamp = pts_of(picture)
        if scan.first_pts is not None and stamp is not None:
            if stamp < scan.start_pts:
                continue
            if stamp >= scan.end_pts:
                break
        _check_size(picture.width, picture.height, limits)
        if first is None:
            first = picture
        elif (picture.width, picture.height, picture.format.name) != (first.width, first.height, first.format.name):
            raise UnsupportedMedia(
                f"The picture's size or format changes at frame {len(raw)}; such clips are not handled.",
                field="video_url",
            )
        damaged += picture.is_corrupt
        raw.append(stamp)
        durations.append(picture.duration)
        if len(raw) > limits.max_frames and not scan.trimmed:
            raise TooLarge(f"The clip has more than {limits.max_frames} frames.", field="video_url")
    if first is None:
        raise UnsupportedMedia("No frame of the video can be decoded.", field="video_url")
    stamps = [stamp for stamp in raw if stamp is not None]
    ordinal = len(stamps) < len(raw) or any(b <= a for a, b in pairwise(stamps))
    if ordinal and scan.first_pts is not None and scan.trimmed:
        # The range was chosen by time stamps that turn out not to rise: count from the file's start instead.
        with open_container(path, limits) as again:
            return _first_read(path, again, video_stream(again), replace(scan, first_pts=None), limits, threading)
    # VP8 has packets that are not shown.
    missing = max(scan.num_packets - len(raw), 0) if stream.codec_context.name != "vp8" else 0
    if threading == "AUTO" and (missing or damaged or errors or scan.broken_off):
        with open_container(path, limits) as again:
            return _first_read(path, again, video_stream(again), scan, limits, "SLICE")
    warnings: list[str] = []
    if missing:
        warnings.append(f"The video is damaged: {missing} of its {scan.num_packets} frames cannot be decoded.")
    if scan.broken_off:
        warnings.append("The file breaks off: what is there is used.")
    if damaged or (errors and not missing):
        warnings.append(f"The video is damaged: {max(damaged, 1)} of its frames are decoded with errors.")
    return _clip(path, container, stream, first, stamps, ordinal, durations, scan, limits, threading, warnings)


def _clip(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    first: av.VideoFrame,
    stamps: list[int],
    ordinal: bool,
    durations: list[int],
    scan: Scan,
    limits: LimitSettings,
    threading: Threading,
    warnings: list[str],
) -> Clip:
    time_base = stream.time_base or Fraction(1, 1000)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    offset = 0
    begin_of_file = stamps[0] if stamps else 0
    if ordinal:
        # Frames outside [start, end) were counted as well: numbers are those of the file.
        nominal = max(round(1 / (rate * time_base)), 1)
        pts = begin_of_file + nominal * np.arange(len(durations), dtype=np.int64)
        inside = np.flatnonzero((pts >= scan.start_pts) & (pts < scan.end_pts))
        if not len(inside):
            raise InvalidInput("There is no frame between start_s and end_s.", field="start_s")
        pts, durations = pts[inside], [durations[i] for i in inside]
        offset = int(inside[0])
        warnings.append("The frames' time stamps are missing or out of order: the nominal frame rate is used.")
    else:
        pts = np.array(stamps, np.int64)
    info = _video_info(path, container, stream, first, pts, durations, rate, warnings)
    numbers = tuple(range(offset, offset + len(pts))) if ordinal else tuple(stamps)
    key_pts, key_dts = tuple(key[0] for key in scan.keys), tuple(key[1] for key in scan.keys)
    reading = ReadSettings(numbers, ordinal, key_pts, key_dts, threading)
    first_pts = scan.first_pts if scan.first_pts is not None else begin_of_file
    return Clip(info, limits, reading, first_pts, trimmed=scan.trimmed)


def _video_info(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    first: av.VideoFrame,
    pts: NDArray[np.int64],
    durations: list[int],
    rate: Fraction,
    warnings: list[str],
) -> VideoInfo:
    time_base = stream.time_base or Fraction(1, 1000)
    pix_fmt = first.format.name
    if pix_fmt not in RGB_FORMATS and not YUV_FORMATS.fullmatch(pix_fmt):
        raise UnsupportedMedia(f"The pixel format {pix_fmt} is not handled.", field="video_url")
    if pix_fmt not in RGB_FORMATS and first.colorspace not in KNOWN_MATRICES:
        raise UnsupportedMedia(f"The colour matrix {int(first.colorspace)} is not handled.", field="video_url")
    if first.interlaced_frame:
        warnings.append("The video is interlaced; the result holds the same lines and is not marked so.")
    matrix = display_matrix_of(first)
    turns, exact = quarter_turns_of(matrix)
    if not exact:
        warnings.append("The display matrix mirrors or turns by no quarter: the person is looked for without that.")
    last = durations[-1] if durations[-1] > 0 else max(round(1 / (rate * time_base)), 1)
    components = first.format.components
    chroma = components[1] if len(components) >= 3 and pix_fmt not in RGB_FORMATS else None
    return VideoInfo(
        path=path,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=first.width,
        height=first.height,
        pix_fmt=pix_fmt,
        bit_depth=components[0].bits,
        chroma_log2_wh=(0, 0)
        if chroma is None
        else (_log2_ratio(first.width, chroma.width), _log2_ratio(first.height, chroma.height)),
        time_base=time_base,
        average_rate=Fraction(rate),
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        quarter_turns=turns,
        display_matrix=matrix,
        color_range=int(first.color_range),
        color_matrix=int(first.colorspace),
        color_primaries=int(first.color_primaries),
        color_transfer=int(first.color_trc),
        chroma_location=chroma_location_of(first),
        pts=pts,
        durations=np.append(np.diff(pts), last).astype(np.int64),
        audio=tuple(
            AudioInfo(audio.index, audio.codec_context.name, audio.time_base or Fraction(1, 1000))
            for audio in container.streams.audio
            if audio.codec_context is not None
        ),
        warnings=tuple(warnings),
    )


def _check_size(width: int, height: int, limits: LimitSettings) -> None:
    if max(width, height) > limits.max_side_px or width * height > limits.max_megapixels * 1e6:
        raise TooLarge(
            f"The picture is {width}x{height}; at most {limits.max_side_px} px a side and "
            f"{limits.max_megapixels:g} megapixels are allowed.",
            field="video_url",
        )


def _log2_ratio(full: int, part: int) -> int:
    return max(range(3), key=lambda log2: -abs(part - -(-full // 2**log2)) * 10 - log2)
