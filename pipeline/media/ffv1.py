"""Artifacts as videos: lossless, one picture per source frame, deterministic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.clip import VideoInfo
from pipeline.media.containers import failures_told
from pipeline.media.encoders import ffv1_options

ArtifactFormat = Literal["gray", "bgra", "bgr0"]


class ArtifactVideo:
    """An FFV1 video in MKV that is being written; a context manager.

    ``size_wh`` is the pictures' size, ``info`` provides their timestamps. The file has its name from the start; it is
    removed if the block ends in an exception. Raises ``NoSpace`` and ``EncodeFailed``.
    """

    def __init__(self, path: Path, size_wh: tuple[int, int], pix_fmt: ArtifactFormat, info: VideoInfo) -> None:
        self._path = path
        self._pix_fmt = pix_fmt
        self._size_wh = size_wh
        self._info = info
        with failures_told():
            self._output = av.open(f"file:{path}", "w", format="matroska", container_options={"fflags": "+bitexact"})
            video = self._output.add_stream("ffv1", rate=info.frame_rate.limit_denominator(1_000_000))
            video.width, video.height, video.pix_fmt = *size_wh, pix_fmt
            video.time_base = info.time_base
            context = video.codec_context
            context.time_base = info.time_base
            context.options = ffv1_options(pix_fmt, size_wh)
            context.thread_count = 4
            context.flags |= av.codec.context.Flags.bitexact
            context.color_range = 2
        self._video = video

    def write(self, array: NDArray[np.uint8], index: int) -> None:
        """Append the picture of source frame ``index`` (ascending): (h, w) gray, (h, w, 4) RGBA or (h, w, 3) RGB."""
        width, height = self._size_wh
        shape = {"gray": (height, width), "bgra": (height, width, 4), "bgr0": (height, width, 3)}[self._pix_fmt]
        if array.shape != shape or array.dtype != np.uint8:
            raise ValueError(f"a {self._pix_fmt} artifact takes {shape} uint8, not {array.shape} {array.dtype}")
        if self._pix_fmt == "bgra":
            array = cv2.cvtColor(array, cv2.COLOR_RGBA2BGRA)
        elif self._pix_fmt == "bgr0":
            array = cv2.cvtColor(array, cv2.COLOR_RGB2BGRA)
        picture = packed_frame(array, self._pix_fmt)
        picture.pts = int(self._info.pts[index] - self._info.pts[0])
        picture.time_base = self._info.time_base
        with failures_told():
            self._output.mux(self._video.encode(picture))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with failures_told():
                try:
                    if error is None:
                        self._output.mux(self._video.encode(None))
                finally:
                    self._output.close()
        except BaseException:
            self._path.unlink(missing_ok=True)
            if error is None:
                raise
        if error is not None:
            self._path.unlink(missing_ok=True)


def read_artifact(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of an artifact as they were written: (h, w), (h, w, 4) RGBA or (h, w, 3) RGB."""
    with av.open(f"file:{path}", "r", options={"protocol_whitelist": "file"}) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for picture in container.decode(stream):
            name = picture.format.name
            channels = 1 if name == "gray" else 4
            plane = picture.planes[0]
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: picture.height]
            array = rows[:, : picture.width * channels]
            if channels == 1:
                yield array.copy()
                continue
            code = cv2.COLOR_BGRA2RGBA if name == "bgra" else cv2.COLOR_BGRA2RGB
            yield np.asarray(cv2.cvtColor(array.reshape(picture.height, picture.width, 4), code))


def packed_frame(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], pix_fmt: str) -> av.VideoFrame:
    """Copy (h, w) or (h, w, 4) samples in the format's own order into a new frame."""
    frame = av.VideoFrame(array.shape[1], array.shape[0], pix_fmt)
    row = array.shape[1] * (array.shape[2] if array.ndim == 3 else 1)
    view = np.frombuffer(frame.planes[0], np.uint8).reshape(array.shape[0], frame.planes[0].line_size)
    view[:, :row] = array.reshape(array.shape[0], row)
    return frame
