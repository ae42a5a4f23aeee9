"""Open a clip and read it as often as needed: exact PTS, planes as coded; no frame is kept.

A clip is decoded once when it is opened. That pass builds the table of PTS (headers and packets do not always agree
with the decoder), finds damage, and costs one to two milliseconds per frame at 720p. Each later read returns exactly
the frames of that table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
from pipeline.media.timing import last_duration, measured_rate, mended_stamps, never_falls, rises
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

    with open_container(path, limits.max_side_px) as container:
        return _first_read(path, container, video_stream(container), scan, limits, tell, keep)


def _first_read(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    scan: Scan,
    limits: LimitSettings,
    tell: Callable[[int], None],
    keep: Keep,
    threading: Threading = "AUTO",
) -> Clip:
    """Decode the range once (damaged streams a second time, single-threaded); build the clip and its metadata."""
    raw: list[int | None] = []
    durations: list[int] = []
    errors: list[str] = []
    facts = FactsOfClip()
    first: av.VideoFrame | None = None
    damaged = 0
    for picture in pictures_from(container, stream, scan, errors, threading):
        tell(len(raw))
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
        facts.look(len(raw), picture)
        keep(len(raw), picture)
        damaged += picture.is_corrupt
        raw.append(stamp)
        durations.append(picture.duration)
        if len(raw) > limits.max_frames and not scan.trimmed:
            raise TooLarge(f"The clip has more than {limits.max_frames} frames.", field="video_url")
    if first is None:
        raise UnsupportedMedia("No frame of the video can be decoded.", field="video_url")
    if scan.trimmed and scan.first_pts is not None and not never_falls(raw):
        # The range was chosen by timestamps that turn out to go backwards: count from the file's start instead.
        with open_container(path, limits.max_side_px) as again:
            return _first_read(
                path, again, video_stream(again), replace(scan, first_pts=None), limits, tell, keep, threading
            )
    missing = max(scan.num_packets - len(raw), 0)
    if threading == "AUTO" and (missing or damaged or errors or scan.broken_off):
        with open_container(path, limits.max_side_px) as again:
            return _first_read(path, again, video_stream(again), scan, limits, tell, keep, "SLICE")
    warnings: list[str] = []
    if missing:
        warnings.append(f"The video is damaged: {missing} of its {scan.num_packets} frames cannot be decoded.")
    if scan.broken_off:
        warnings.append("The file is truncated: the part that is there is used.")
    if damaged or (errors and not missing):
        warnings.append(f"The video is damaged: {max(damaged, 1)} of its frames are decoded with errors.")
    return _clip(path, container, stream, first, raw, durations, facts.facts, scan, limits, threading, warnings)


def _clip(
    path: Path,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    first: av.VideoFrame,
    raw: list[int | None],
    durations: list[int],
    facts: FrameFacts,
    scan: Scan,
    limits: LimitSettings,
    threading: Threading,
    warnings: list[str],
) -> Clip:
    time_base = stream.time_base or Fraction(1, 1000)
    stated = stream.average_rate or stream.guessed_rate
    by_number = not never_falls(raw)
    offset = 0
    pts = np.array(raw, np.int64) if rises(raw) else _mended(raw, time_base, stated, warnings)
    if by_number and scan.trimmed:
        # Frames outside [start, end) were counted as well: numbers refer to the file.
        inside = np.flatnonzero((pts >= scan.start_pts) & (pts < scan.end_pts))
        if not len(inside):
            raise InvalidInput("There is no frame between start_s and end_s.", field="start_s")
        first_pts = int(pts[0])
        pts, durations = pts[inside], [durations[i] for i in inside]
        offset = int(inside[0])
    else:
        first_pts = scan.first_pts if scan.first_pts is not None else int(pts[0])
    rate = measured_rate(pts, time_base, stated)
    last = last_duration(durations, pts, rate, time_base)
    ends = np.append(np.diff(pts), last).astype(np.int64)
    info = describe_video(path, container, stream, first, pts, ends, rate, facts, warnings)
    numbers = (
        tuple(range(offset, offset + len(pts))) if by_number else tuple(stamp for stamp in raw if stamp is not None)
    )
    key_pts, key_dts = tuple(key[0] for key in scan.keys), tuple(key[1] for key in scan.keys)
    reading = ReadSettings(numbers, by_number, key_pts, key_dts, threading)
    return Clip(info, limits.max_side_px, reading, first_pts, trimmed=scan.trimmed)


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
