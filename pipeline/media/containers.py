"""What lies between PyAV and the rest: containers opened safely, pictures taken apart without copying."""

from __future__ import annotations

import contextlib
import errno
import re
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.logging
import numpy as np

from pipeline.datatypes import Plane
from pipeline.errors import EncodeFailed, NoSpace, UnsupportedMedia
from pipeline.media.pixels import RGB_FORMATS
from pipeline.settings import LimitSettings

# `file` alone keeps a playlist from reading other files and hosts; the demuxers leave playlists out altogether.
_OPEN_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": "mov,mp4,matroska,webm,avi"}
YUV_FORMATS = re.compile(r"yuva?j?4\d\dp(9|10|12|14|16)?(le)?|gray(9|10|12|14|16)?(le)?|nv12|nv21|nv16|p010le")
CHROMA_LOCATIONS = ("unspecified", "left", "center", "topleft", "top", "bottomleft", "bottom")
"""Names by FFmpeg's number."""
Threading = Literal["AUTO", "SLICE"]
"""Frame threads are faster; in damaged streams they also lose whole frames, how many depends on their number."""
_log_level_lock = threading.Lock()


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
    """Return the first video stream that is no cover picture. Raises ``UnsupportedMedia``."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            if stream.codec_context is None:
                break
            return stream
    raise UnsupportedMedia("The file has no video stream that can be decoded.", field="video_url")


def decoded_pictures(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    errors: list[str] | None = None,
    threading: Threading = "AUTO",
) -> Iterator[av.VideoFrame]:
    """Decode from where the container stands; packets that fail are named in ``errors`` and passed over."""
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


def display_matrix_of(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """Return the nine values as stored (16.16 and 2.30 fixed point), or None."""
    for data in picture.side_data:
        if data.type == av.sidedata.sidedata.Type.DISPLAYMATRIX:
            return tuple(int(value) for value in np.frombuffer(data, np.int32, 9))
    return None


def quarter_turns_of(display_matrix: tuple[int, ...] | None) -> tuple[int, bool]:
    """Return the clockwise quarter turns that bring the coded picture upright, and whether they are all of it.

    A display matrix maps (x, y) to (a·x + c·y, b·x + d·y) with y down, stored as a, b, u, c, d, v, x, y, w
    (ISO/IEC 14496-12): a clockwise quarter turn is a=0, b=1, c=-1, d=0.
    """
    if display_matrix is None:
        return 0, True
    a, b, c, d = (display_matrix[i] / 65536 for i in (0, 1, 3, 4))
    turns = round(float(np.degrees(np.arctan2(b, a))) / 90) % 4
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
    return turns, bool(np.allclose((a, b, c, d), (cos, sin, -sin, cos), atol=1e-3))


def chroma_location_of(picture: av.VideoFrame) -> int:
    """Return FFmpeg's chroma location of a frame, which PyAV shows only in the ``showinfo`` filter's log line."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=Fraction(1, 1000)
    )
    show = graph.add("showinfo", "checksum=0:udu_sei_as_ascii=1")
    sink = graph.add("buffersink")
    source.link_to(show)
    show.link_to(sink)
    graph.configure()
    # The log level belongs to the process.
    with _log_level_lock:
        level = av.logging.get_level()
        av.logging.set_level(av.logging.INFO)
        try:
            with av.logging.Capture() as lines:
                graph.push(picture)
                graph.pull()
        finally:
            av.logging.set_level(level)
    match = re.search(r"\bcl:(\w+)", "".join(line[2] for line in lines))
    return CHROMA_LOCATIONS.index(match[1]) if match and match[1] in CHROMA_LOCATIONS else 0


@contextlib.contextmanager
def failures_told() -> Iterator[None]:
    """Turn errors of the encoder, the muxer and the disk into ours."""
    try:
        yield
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("There is no space left for the result.") from error
        raise EncodeFailed(f"The result cannot be written: {error}") from error
