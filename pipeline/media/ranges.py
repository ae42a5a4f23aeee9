"""Reading from inside a file: from a keyframe that really decodes to the first requested frame."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import av
import numpy as np

from pipeline.media.containers import Threading, decoded_pictures, pts_of
from pipeline.media.packets import Scan

_TRIES = 2
"""Number of keyframes tried before reading from the file's start."""


def pictures_from(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    scan: Scan,
    errors: list[str],
    threading: Threading,
) -> Iterator[av.VideoFrame]:
    """Decode from a keyframe before the range, or from the file's start where none reaches the range's first frame.

    What is marked as a keyframe may be only a recovery point (intra refresh, open groups of pictures): a decoder that
    starts there outputs nothing until the picture is complete. Then an earlier one is tried. ``errors`` are recorded as
    by ``decoded_pictures``, except those before the range.
    """
    if scan.first_pts is None or not np.isfinite(scan.start_pts):
        yield from decoded_pictures(container, stream, errors, threading, scan.end_pts)
        return
    before = [dts for pts, dts in scan.keys if pts <= scan.start_pts]
    for dts in before[:0:-1][:_TRIES]:
        with contextlib.suppress(av.FFmpegError):
            container.seek(dts, stream=stream)
            pictures = decoded_pictures(container, stream, errors, threading, scan.end_pts)
            first = next((picture for picture in pictures if _is_inside(picture, scan)), None)
            errors.clear()
            if first is not None and pts_of(first) == scan.first_inside and not first.is_corrupt:
                yield first
                yield from pictures
                return
    with contextlib.suppress(av.FFmpegError):
        container.seek(min(scan.keys[0][1], 0) if scan.keys else 0, stream=stream)
    yield from decoded_pictures(container, stream, errors, threading, scan.end_pts)


def _is_inside(picture: av.VideoFrame, scan: Scan) -> bool:
    stamp = pts_of(picture)
    return stamp is None or stamp >= scan.start_pts
