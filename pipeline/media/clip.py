"""An opened clip that can be read any number of times, frame by frame."""

from __future__ import annotations

import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av

from pipeline.datatypes.clip import Frame, VideoInfo
from pipeline.errors import UnsupportedMedia
from pipeline.media.containers import Threading, decoded_pictures, open_container, pts_of, video_stream
from pipeline.media.formats import planes_of

_SEEK_GAP_FRAMES = 24
"""``frames_at`` seeks over gaps larger than this if a keyframe lies in them; decoding them is about as fast."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadSettings:
    """What every read of a clip needs to know."""

    raw_pts: tuple[int, ...]
    """(T,) as decoded, non-decreasing; running numbers where ``ordinal``."""
    ordinal: bool
    """Frames are identified by number, because their timestamps are missing or out of order; no seeking then."""
    key_pts: tuple[int, ...]
    """Keyframes, ascending."""
    key_dts: tuple[int, ...]
    threading: Threading


class Clip:
    """A video file that can be read again and again. Made by ``open_clip``; holds no frame and no open file."""

    def __init__(
        self, info: VideoInfo, max_side_px: int, reading: ReadSettings, first_pts: int, *, trimmed: bool
    ) -> None:
        self.info = info
        self._max_side_px = max_side_px
        self.trimmed = trimmed
        self.reading = reading
        self.first_pts = first_pts

    def reopen(self) -> av.container.InputContainer:
        """Open the file once more, as it was opened at first; the caller closes it."""
        return open_container(self.info.path, self._max_side_px)

    def close(self) -> None:
        """Release the clip's resources: none here."""

    @property
    def trim_offset(self) -> int:
        """Time cut off at the start, in ``info.time_base``; 0 where the clip is not trimmed."""
        return int(self.info.pts[0]) - self.first_pts if self.trimmed else 0

    @property
    def time_shift(self) -> int:
        """What is subtracted from all times in the result, in ``info.time_base``: ``trim_offset``, or where the first
        frame would come before 0, where MP4 hides it, that frame's time."""
        return min(self.trim_offset, int(self.info.pts[0]))

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield the frames ``start`` to ``stop`` (exclusive), each with exactly the PTS of ``info.pts``.

        Planes are read-only views that remain valid. Raises ``UnsupportedMedia`` when the file no longer decodes to
        the frames of the first pass.
        """
        stop = self.info.num_frames if stop is None else min(stop, self.info.num_frames)
        if start >= stop:
            return
        raw = self.reading.raw_pts
        # Where timestamps repeat, the requested frame is found by counting from the first of them.
        index = bisect_left(raw, raw[start])
        with self.reopen() as container:
            stream = video_stream(container)
            source = self._from_keyframe(container, stream, index)
            for number, picture in enumerate(source):
                pts = number if self.reading.ordinal else pts_of(picture)
                if pts is None or pts < raw[index]:
                    continue
                if pts > raw[index]:
                    break
                if index >= start:
                    yield _frame(picture, index, self.info)
                index += 1
                if index == stop:
                    return
        raise UnsupportedMedia(f"Frame {index} of the clip cannot be decoded a second time.", field="video_url")

    def _from_keyframe(
        self, container: av.container.InputContainer, stream: av.VideoStream, start: int
    ) -> Iterator[av.VideoFrame]:
        """Decode from the keyframe before a frame, or from the file's start where seeking does not reach it."""
        key = self._keyframe(start)
        if key is not None:
            # A demuxer may refuse, or land after the frame.
            with contextlib.suppress(av.FFmpegError):
                container.seek(self.reading.key_dts[key], stream=stream)
                source = decoded_pictures(container, stream, threading=self.reading.threading)
                first = next(source, None)
                stamp = None if first is None else pts_of(first)
                if stamp is not None and stamp <= self.reading.raw_pts[start]:
                    yield first
                    yield from source
                    return
            with contextlib.suppress(av.FFmpegError):
                container.seek(min(self.reading.key_dts[0], 0), stream=stream)
        yield from decoded_pictures(container, stream, threading=self.reading.threading)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames of ascending numbers; seeks where a gap is large. Raises as ``frames``."""
        position = 0
        while position < len(indices):
            end = position + 1
            while end < len(indices) and not self._worth_seeking(indices[end - 1], indices[end]):
                end += 1
            wanted = set(indices[position:end])
            for frame in self.frames(indices[position], indices[end - 1] + 1):
                if frame.index in wanted:
                    yield frame
            position = end

    def _worth_seeking(self, done: int, wanted: int) -> bool:
        key = self._keyframe(wanted)
        raw = self.reading.raw_pts
        return wanted - done > _SEEK_GAP_FRAMES and key is not None and self.reading.key_pts[key] > raw[done]

    def _keyframe(self, frame: int) -> int | None:
        """Return the number of the last keyframe that is shown no later than a frame; None to read from the start."""
        if self.reading.ordinal:
            return None
        key = bisect_right(self.reading.key_pts, self.reading.raw_pts[frame]) - 1
        return key if key > 0 else None


def _frame(picture: av.VideoFrame, index: int, info: VideoInfo) -> Frame:
    if (picture.width, picture.height, picture.format.name) != (info.width, info.height, info.pix_fmt):
        raise UnsupportedMedia(f"The picture's size or format changes at frame {index}.", field="video_url")
    return Frame(index, int(info.pts[index]), int(info.durations[index]), planes_of(picture), info)
