"""Which frames a generator takes at once; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.datatypes.plan import Chunk


@dataclass(frozen=True, slots=True)
class WindowSpan:
    """Frames ``start`` to ``stop`` (exclusive), of which the first ``overlap`` were made by the window before."""

    start: int
    stop: int
    overlap: int


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """What is generated of a chunk: ``start`` to ``chunk.stop`` (exclusive)."""

    chunk: Chunk
    start: int
    """The chunk's own, less its lead-in."""
    continues: Chunk | None
    """The chunk before, where both are of one shot and touch: its last layers are what this one goes on from."""

    @property
    def num_lead_in_frames(self) -> int:
        """Frames before the chunk's own."""
        return self.chunk.start - self.start


def chunk_spans(chunks: Sequence[Chunk], overlap_frames: int) -> Iterator[ChunkSpan]:
    """Yield what is generated of each chunk, in order."""
    earlier: Chunk | None = None
    for chunk in chunks:
        start = chunk.start - _num_lead_in_frames(chunk, earlier, overlap_frames)
        goes_on = earlier is not None and earlier.shot == chunk.shot and earlier.stop == chunk.start
        yield ChunkSpan(chunk, start, earlier if goes_on else None)
        earlier = chunk


def _num_lead_in_frames(chunk: Chunk, earlier: Chunk | None, overlap_frames: int) -> int:
    """Return how many frames before its start a chunk generates as well, to be crossfaded with the chunk before.

    0 at the first chunk of a shot: nothing is mixed over a cut.
    """
    if earlier is None or earlier.shot != chunk.shot:
        return 0
    return min(overlap_frames, earlier.stop - earlier.start, chunk.stop - chunk.start)


def windows_of(start: int, stop: int, window_frames: int, overlap_frames: int) -> Iterator[WindowSpan]:
    """Cut [start, stop) into windows of at most ``window_frames``; each takes up the last frames of the one before.

    Every frame is covered, by as few windows as can be, of nearly the same length: a last stump would look unlike
    the others, and moved back to full length it would make frames twice.
    """
    if window_frames <= overlap_frames:
        raise ValueError(f"windows of {window_frames} frames cannot overlap by {overlap_frames}")
    count = max(1, -(-(stop - start - overlap_frames) // (window_frames - overlap_frames)))
    # Where the windows' own parts end, the first one's overlap among them.
    ends = [start + overlap_frames + (stop - start - overlap_frames) * i // count for i in range(count + 1)]
    for i in range(count):
        first = start if i == 0 else ends[i] - overlap_frames
        yield WindowSpan(first, ends[i + 1], 0 if i == 0 else overlap_frames)
