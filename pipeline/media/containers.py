"""PyAV helpers: open containers safely, select streams, decode pictures."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Literal

import av
from av.stream import Disposition

from pipeline.errors import EncodeFailed, OutOfMemory, UnsupportedMedia
from pipeline.runtime.resources import available_memory, resource_error
from pipeline.runtime.web_pages import is_web_page

# Allowing `file` alone keeps a playlist from reading other hosts; the list of demuxers excludes playlists altogether.
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,matroska,webm,avi"}
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
_BARREN_PACKETS = 256
"""More than any decoder delays: reordering, and one frame per thread."""
_ENCODER_BYTES = 250 * 10**6
"""With less free memory an encoder that fails without a message is assumed to be out of memory."""
Threading = Literal["AUTO", "SLICE"]
"""Frame threads are faster, but in damaged streams they lose whole frames, depending on the number of threads."""


def open_container(path: Path, max_side_px: int) -> av.container.InputContainer:
    """Open a file with the allowed demuxers and protocol. Raises ``UnsupportedMedia``."""
    # find_stream_info decodes some frames: max_pixels keeps a hostile header from exhausting memory there.
    options = _OPEN_OPTIONS | {"max_pixels": str(max_side_px**2)}
    try:
        container = av.open(f"file:{path}", "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise_if_out_of_memory(error)
        told = "The file is not a video that can be read (MP4, MOV, MKV, WebM or AVI)."
        if is_web_page(path):
            told = "This is a web page, not a video: give the address of the file itself."
        raise UnsupportedMedia(told, field="video_url") from error
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": options["max_pixels"]}
    return container


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """Return the video stream that a player shows: the default one, of several (or none) the largest picture.

    Cover pictures, thumbnails, still pictures and streams that depend on another one do not count as videos. Raises
    ``UnsupportedMedia`` where nothing is left that can be decoded.
    """
    shown = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _NO_VIDEO
    ]
    if not shown:
        raise UnsupportedMedia("The file has no video stream that can be decoded.", field="video_url")
    return max(shown, key=_rank)


def _rank(stream: av.VideoStream) -> tuple[bool, int]:
    is_default = bool(stream.disposition & Disposition.default)
    return is_default, stream.codec_context.width * stream.codec_context.height


def decoded_pictures(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    errors: list[str] | None = None,
    threading: Threading = "AUTO",
    end: float = inf,
) -> Iterator[av.VideoFrame]:
    """Decode from the container's position; packets that fail are recorded in ``errors`` and skipped.

    After ``end`` (decoding time, in the stream's time base) reading stops when many packets in a row yield no picture:
    a file may hold a million that cannot be decoded.
    """
    barren = 0
    if not stream.codec_context.is_open:
        stream.thread_type = threading
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            raise_if_out_of_memory(error)
            if errors is not None:
                errors.append(str(error))
            packet = None
        if packet is None:
            return
        barren = barren + 1 if packet.dts is not None and packet.dts > end else 0
        if barren > _BARREN_PACKETS:
            return
        try:
            for picture in packet.decode():
                barren = 0
                yield picture
        except av.FFmpegError as error:
            raise_if_out_of_memory(error)
            if errors is not None:
                errors.append(str(error))


def raise_if_out_of_memory(error: BaseException) -> None:
    """Raise ``MemoryError`` for FFmpeg's ENOMEM, which would otherwise look like a damaged file."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        raise MemoryError("FFmpeg could not allocate memory") from error


def pts_of(picture: av.VideoFrame) -> int | None:
    """Return the picture's time in its stream's time base; None where neither packet nor decoder knows one."""
    # AVI stores decoding times only; without reordering they are the presentation times.
    stamp: int | None = picture.pts if picture.pts is not None else picture.dts
    return stamp


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Convert errors of the encoder, the muxer, the disk and memory into this package's errors."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        told = resource_error(error)
        if told is not None:
            raise told from error
        # x264 and x265 have no error code for it.
        free = available_memory()
        if isinstance(error, av.error.ExternalError) and free is not None and free < _ENCODER_BYTES:
            raise OutOfMemory("the machine has too little memory for the encoder") from error
        # The text of such an error names our own file.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise EncodeFailed(f"The result cannot be written: {reason}.") from error
