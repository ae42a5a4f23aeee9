"""A short silent H.264 video of rendered pictures: no source properties have to be preserved."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.media.containers import failures_told
from pipeline.media.encoders import reproducible_x264
from pipeline.media.pixels import video_frame

_CRF = 18
_THREADS = 1
"""Pinned, since the bytes of x264 depend on it."""
_BT709 = 1


def write_short_video(
    path: Path, pictures: Iterable[NDArray[np.uint8]], size_wh: tuple[int, int], frame_rate: int
) -> None:
    """Write (h, w, 3) RGB pictures of even size as MP4.

    The file appears under its name when it is complete. Raises ``NoSpace`` and ``EncodeFailed``, and whatever
    ``pictures`` raises.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with failures_told():
            output = av.open(
                f"file:{part}", "w", format="mp4", container_options={"fflags": "+bitexact", "movflags": "+faststart"}
            )
        try:
            _write(output, pictures, size_wh, frame_rate)
        finally:
            with failures_told():
                output.close()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(
    output: av.container.OutputContainer,
    pictures: Iterable[NDArray[np.uint8]],
    size_wh: tuple[int, int],
    frame_rate: int,
) -> None:
    with failures_told():
        video = output.add_stream("libx264", rate=frame_rate)
        video.width, video.height, video.pix_fmt = *size_wh, "yuv420p"
        context = video.codec_context
        context.options = {"preset": "veryfast", "crf": str(_CRF), "threads": str(_THREADS)}
        if parameters := reproducible_x264():
            context.options |= {"x264-params": ":".join(parameters)}
        context.thread_count = _THREADS
        context.flags |= av.codec.context.Flags.bitexact
        context.time_base = Fraction(1, frame_rate)
        context.color_range = 1
        context.colorspace = context.color_primaries = context.color_trc = _BT709
    for index, picture in enumerate(pictures):
        frame = video_frame(_planes(picture), "yuv420p", *size_wh)
        frame.pts = index
        frame.time_base = Fraction(1, frame_rate)
        with failures_told():
            output.mux(video.encode(frame))
    with failures_told():
        output.mux(video.encode(None))


def _planes(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Return limited-range BT.709 luma and chroma, each chroma sample the mean of its four pixels."""
    red, green, blue = np.moveaxis(picture.astype(np.float32) / np.float32(255), 2, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    chroma = ((blue - luma) / 1.8556, (red - luma) / 1.5748)
    height, width = luma.shape
    small = (plane.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for plane in chroma)
    return (_bytes(16 + 219 * luma), *(_bytes(128 + 224 * plane) for plane in small))


def _bytes(plane: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.rint(plane).astype(np.uint8)
