"""Open a clip and read it as often as needed: exact PTS, planes as coded; no frame is kept.

A clip is decoded once when it is opened. That pass builds the table of PTS (headers and packets do not always agree
with the decoder), finds damage, and costs one to two milliseconds per frame at 720p. Each later read returns exactly
the frames of that table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InvalidInput, TooLarge, UnsupportedMedia
from pipeline.media.clip import Clip, ReadSettings
from pipeline.media.containers import Threading, open_container, pts_of, video_stream
from pipeline.media.index_check import check_index
from pipeline.media.packets import Scan, scan_packets
from pipeline.media.ranges import pictures_from
from pipeline.media.side_data import FactsOfClip, FrameFacts
from pipeline.media.timing import FrameTimes, last_duration, measured_rate, mended_stamps, never_falls, rises
from pipeline.media.video_info import describe_video
from pipeline.runtime.callbacks import Check
from pipeline.settings import LimitSettings

Keep = Callable[[int, av.VideoFrame], None]

_NO_LIMITS_GIVEN = LimitSettings()


def open_clip(
    path: Path,
    limits: LimitSettings = _NO_LIMITS_GIVEN,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    check: Check = lambda: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    keep: Keep = lambda index, picture: None,
) -> Clip:
    """Open a video file and decode it once, in this process, to build its table of frames.

    For files of our own: others are opened by ``sandbox.open_untrusted``, which runs this in another process.

    ``[start_s, end_s)`` in seconds from the first frame's PTS trims the clip. Frames that cannot be decoded (a corrupt
    middle, a truncated file) are missing from ``info.pts``, with a sentence in ``info.warnings``; the others keep their
    time. Raises ``InvalidInput`` (no such file, an empty range), ``UnsupportedMedia`` (no video, no frame that can be
    decoded, a pixel format that is not handled, a picture size that changes) and ``TooLarge`` (over a cap, checked in
    the headers, while packets are counted, and on each decoded frame). ``check`` is called for every packet and frame
    and may raise; ``progress`` receives the number of decoded frames and the total. ``keep`` receives each picture with
    its running number, starting again from 0 where the file has to be read again.
    """
    if not path.is_file():
        raise InvalidInput("The video file does not exist.", field="video_url")
    if path.stat().st_size > limits.max_bytes:
        raise TooLarge(f"The file is larger than {limits.max_bytes} bytes.", field="video_url")
    check_index(path, limits.max_frames)
    with open_container(path, limits.max_side_px) as container:
        stream = video_stream(container)
        _check_size(stream.codec_context.width, stream.codec_context.height, limits)
        scan = scan_packets(container, stream, limits.max_frames, limits.max_fps, start_s, end_s, check)

    def tell(done: int) -> None:
        check()
        progress(min(done, scan.num_packets), scan.num_packets)

    return _first_read(_Opening(path, limits, tell, keep), scan)


@dataclass(frozen=True, slots=True)
class _Opening:
    """The file that is opened, its caps, and who is told of each frame."""

    path: Path
    limits: LimitSettings
    tell: Callable[[int], None]
    keep: Keep


@dataclass(frozen=True, slots=True, eq=False)
class _DecodedFrames:
    """What one pass over the range has shown."""

    first: av.VideoFrame
    stamps: list[int | None]
    durations: list[int]
    facts: FrameFacts
    num_damaged: int
    errors: list[str]
    """What the decoder complained of."""

    def warnings(self, scan: Scan) -> list[str]:
        """Return a sentence for each kind of damage."""
        warnings: list[str] = []
        missing = max(scan.num_packets - len(self.stamps), 0)
        if missing:
            warnings.append(f"The video is damaged: {missing} of its {scan.num_packets} frames cannot be decoded.")
        if scan.broken_off:
            warnings.append("The file is truncated: the part that is there is used.")
        if self.num_damaged or (self.errors and not missing):
            number = max(self.num_damaged, 1)
            warnings.append(f"The video is damaged: {number} of its frames are decoded with errors.")
        return warnings


def _first_read(opening: _Opening, scan: Scan, threading: Threading = "AUTO") -> Clip:
    """Decode the range once (damaged streams a second time, single-threaded); build the clip and its metadata."""
    with open_container(opening.path, opening.limits.max_side_px) as container:
        stream = video_stream(container)
        frames = _decode_range(opening, container, stream, scan, threading)
        if scan.trimmed and scan.first_pts is not None and not never_falls(frames.stamps):
            # The range was chosen by timestamps that turn out to go backwards: count from the file's start instead.
            return _first_read(opening, replace(scan, first_pts=None), threading)
        warnings = frames.warnings(scan)
        if threading == "AUTO" and warnings:
            return _first_read(opening, scan, "SLICE")
        return _clip(opening, container, stream, frames, scan, threading, warnings)


def _decode_range(
    opening: _Opening,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    scan: Scan,
    threading: Threading,
) -> _DecodedFrames:
    """Decode the frames of the range. Raises ``UnsupportedMedia`` and ``TooLarge``, see ``open_clip``."""
    limits = opening.limits
    stamps: list[int | None] = []
    durations: list[int] = []
    errors: list[str] = []
    facts = FactsOfClip()
    first: av.VideoFrame | None = None
    damaged = 0
    for picture in pictures_from(container, stream, scan, errors, threading):
        opening.tell(len(stamps))
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
                f"The picture's size or format changes at frame {len(stamps)}; such clips are not handled.",
                field="video_url",
            )
        facts.look(len(stamps), picture)
        opening.keep(len(stamps), picture)
        damaged += picture.is_corrupt
        stamps.append(stamp)
        durations.append(picture.duration)
        if len(stamps) > limits.max_frames and not scan.trimmed:
            raise TooLarge(f"The clip has more than {limits.max_frames} frames.", field="video_url")
    if first is None:
        raise UnsupportedMedia("No frame of the video can be decoded.", field="video_url")
    return _DecodedFrames(first, stamps, durations, facts.facts, damaged, errors)


def _clip(
    opening: _Opening,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    frames: _DecodedFrames,
    scan: Scan,
    threading: Threading,
    warnings: list[str],
) -> Clip:
    time_base = stream.time_base or Fraction(1, 1000)
    stated = stream.average_rate or stream.guessed_rate
    stamps = frames.stamps
    durations = frames.durations
    by_number = not never_falls(stamps)
    offset = 0
    pts = np.array(stamps, np.int64) if rises(stamps) else _mended(stamps, time_base, stated, warnings)
    first_pts = int(pts[0])
    if by_number and scan.trimmed:
        # Frames outside [start, end) were counted as well: numbers refer to the file.
        inside = np.flatnonzero((pts >= scan.start_pts) & (pts < scan.end_pts))
        if not len(inside):
            raise InvalidInput("There is no frame between start_s and end_s.", field="start_s")
        pts = pts[inside]
        durations = [durations[i] for i in inside]
        offset = int(inside[0])
    elif scan.first_pts is not None:
        first_pts = scan.first_pts
    rate = measured_rate(pts, time_base, stated)
    last = last_duration(durations, pts, rate, time_base)
    times = FrameTimes(pts, np.append(np.diff(pts), last).astype(np.int64), rate)
    info = describe_video(opening.path, container, stream, frames.first, times, frames.facts, warnings)
    numbers = tuple(stamp for stamp in stamps if stamp is not None)
    if by_number:
        numbers = tuple(range(offset, offset + len(pts)))
    key_pts = tuple(key[0] for key in scan.keys)
    key_dts = tuple(key[1] for key in scan.keys)
    reading = ReadSettings(numbers, by_number, key_pts, key_dts, threading)
    return Clip(info, opening.limits.max_side_px, reading, first_pts, trimmed=scan.trimmed)


def _mended(
    raw: list[int | None], time_base: Fraction, stated: Fraction | None, warnings: list[str]
) -> NDArray[np.int64]:
    """Return increasing timestamps (T,) for frames whose own are not; add a warning."""
    known = np.array([stamp for stamp in raw if stamp is not None], np.int64)
    steps = np.diff(known)
    rising = steps[steps > 0]
    nominal = max(round(1 / ((stated or Fraction(25)) * time_base)), 1)
    step = int(np.median(rising)) if len(rising) else nominal
    mended = mended_stamps(raw, step)
    if mended is None:
        warnings.append("The frames' time stamps are missing or out of order: the nominal frame rate is used.")
        begin = int(known[0]) if len(known) else 0
        return begin + nominal * np.arange(len(raw), dtype=np.int64)
    pts, number = mended
    warnings.append(
        f"{number} of the frames' {len(raw)} time stamps are missing, repeated or out of order: "
        "each is placed between its neighbors'."
    )
    return pts


def _check_size(width: int, height: int, limits: LimitSettings) -> None:
    if max(width, height) > limits.max_side_px or width * height > limits.max_megapixels * 1e6:
        raise TooLarge(
            f"The picture is {width}x{height}; at most {limits.max_side_px} px a side and "
            f"{limits.max_megapixels:g} megapixels are allowed.",
            field="video_url",
        )
