"""Which frames a generator takes at once; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.datatypes import Chunk


@dataclass(frozen=True, slots=True)
class Span:
    """Frames ``start`` to ``stop`` (exclusive), of which the first ``overlap`` were made by the window before."""

    start: int
    stop: int
    overlap: int


def lead_in(chunk: Chunk, earlier: Chunk | None, overlap_frames: int) -> int:
    """Return how many frames before its start a chunk generates as well, to be crossfaded with the chunk before.

    0 at the first chunk of a shot: nothing is mixed over a cut.
    """
    if earlier is None or earlier.shot != chunk.shot:
        return 0
    return min(overlap_frames, earlier.stop - earlier.start, chunk.stop - chunk.start)


def windows_of(start: int, stop: int, window_frames: int, overlap_frames: int) -> Iterator[Span]:
    """Cut [start, stop) into windows of at most ``window_frames``; each takes up the last frames of the one before.

    Every frame is covered; the last window is moved back to its full length where the range allows it, so that a
    generator with a fixed length is not asked for a stump.
    """
    if window_frames <= overlap_frames:
        raise ValueError(f"windows of {window_frames} frames cannot overlap by {overlap_frames}")
    done = start
    while done < stop:
        first = done if done == start else done - overlap_frames
        last = min(first + window_frames, stop)
        if last == stop and done > start:
            first = max(start, min(first, stop - window_frames))
        yield Span(first, last, done - first)
        done = last
