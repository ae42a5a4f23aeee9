"""What lies between PyAV and the rest: containers opened safely, pictures taken apart without copying."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.stream import Disposition

from pipeline.datatypes import Plane
from pipeline.errors import EncodeFailed, NoSpace, UnsupportedMedia
from pipeline.media.pixels import RGB_FORMATS
from pipeline.settings import LimitSettings

# `file` alone keeps a playlist from reading other files and hosts; the demuxers leave playlists out altogether.
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,matroska,webm,avi"}
YUV_FORMATS = re.compile(r"yuva?j?4\d\dp(9|10|12|14|16)?(le)?|gray(9|10|12|14|16)?(le)?|nv12|nv21|nv16|p010le")
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
Threading = Literal["AUTO", "SLICE"]
"""Frame threads are faster; in damaged streams they also lose whole frames, how many depends on their number."""


def open_container(path: Path, limits: LimitSettings) -> av.container.InputContainer:
    """Open a file with the demuxers and the protocol that are allowed. Raises ``UnsupportedMedia``."""
    # find_stream_info decodes some frames: max_pixels keeps a hostile header from costing memory there.
    options = _OPEN_OPTIONS | {"max_pixels": str(int(limits.max_side_px) ** 2)}
    try:
        container = av.open(f"file:{path}", "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise UnsupportedMedia(
            "The file is not a video that can be read (MP4, MOV, MKV, WebM or AVI).", field="video_url"
        ) from error
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = {"max_pixels": options["max_pixels"]}
    return container


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """Return the video stream that a player shows: the default one, of several (or none) the largest picture.

    Cover pictures, thumbnails, still pictures and streams that depend on another one are no videos. Raises
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
) -> Iterator[av.VideoFrame]:
    """Decode from where the container stands; packets that fail are named in ``errors`` and passed over."""
    if not stream.codec_context.is_open:
        stream.thread_type = threading
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            if errors is not None:
                errors.append(str(error))
            packet = None
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as error:
            if errors is not None:
                errors.append(str(error))


def pts_of(picture: av.VideoFrame) -> int | None:
    """Return the picture's time in its stream's time base; None where neither packet nor decoder knows one."""
    # AVI gives decoding times only; without reordering they are the presentation times.
    stamp: int | None = picture.pts if picture.pts is not None else picture.dts
    return stamp


def planes_of(picture: av.VideoFrame) -> tuple[Plane, ...]:
    """View the samples of each component; read-only, since a decoder may still refer to them."""
    name = picture.format.name
    if name in RGB_FORMATS and not name.startswith("gbr"):
        packed = _samples(picture.planes[0], picture.width, picture.height, np.uint8, 3 if name[-2:] == "24" else 4)
        order = name.removesuffix("24")
        return tuple(packed[..., order.index(letter)] for letter in ("gbra" if "a" in order else "gbr"))
    kind = np.uint8 if picture.format.components[0].bits == 8 else np.dtype("<u2")
    if name in ("nv12", "nv21", "nv16", "p010le"):
        luma = _samples(picture.planes[0], picture.width, picture.height, kind)
        width, height = picture.format.components[1].width, picture.format.components[1].height
        pairs = _samples(picture.planes[1], width, height, kind, 2)
        u, v = (1, 0) if name == "nv21" else (0, 1)
        planes: tuple[Plane, ...] = (luma, pairs[..., u], pairs[..., v])
        # P010 keeps its samples in the high bits.
        return tuple(plane >> 6 for plane in planes) if name == "p010le" else planes
    return tuple(
        _samples(plane, component.width, component.height, kind)
        for plane, component in zip(picture.planes, _components_by_plane(picture), strict=True)
    )


def _components_by_plane(picture: av.VideoFrame) -> list[av.video.format.VideoFormatComponent]:
    return sorted(picture.format.components, key=lambda component: component.plane)


def _samples(plane: av.video.plane.VideoPlane, width: int, height: int, kind: object, channels: int = 1) -> Plane:
    rows = np.frombuffer(plane, dtype=np.dtype(kind))  # type: ignore[call-overload]
    row = plane.line_size // rows.itemsize
    view: Plane = rows[: row * height].reshape(height, row)[:, : width * channels]
    if channels > 1:
        view = np.lib.stride_tricks.as_strided(
            view, (height, width, channels), (plane.line_size, channels * rows.itemsize, rows.itemsize)
        )
    view.flags.writeable = False
    return view


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Turn errors of the encoder, the muxer and the disk into ours."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("There is no space left for the result.") from error
        raise EncodeFailed(f"The result cannot be written: {error}") from error
