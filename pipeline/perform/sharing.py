"""Distribution of chunks: all generated here, or some of them on other workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.perform.windows import ChunkSpan
from pipeline.runtime.callbacks import Check, Progress


@dataclass(frozen=True, slots=True)
class ChunkOffer:
    """The chunks of one subject that are not generated yet."""

    spans: tuple[ChunkSpan, ...]
    """In clip order."""
    needed: Mapping[int, frozenset[int]]
    """For each chunk of the clip, by its index: the chunks whose layers it depends on."""
    folder: Path
    """Where the layers go (``workspace.layers.chunk_path``)."""
    announce: Callable[[ChunkSpan], None]
    """To be called for each chunk that was generated elsewhere, once its layers are in the folder; by any thread."""
    with_plates: bool
    """Whether generation needs the plates; if not, they may not exist yet."""


ShareChunks = Callable[[ChunkOffer, Check, Progress], Iterator[ChunkSpan]]
"""Yields the chunks to generate here, each once its inputs exist; a chunk is finished when the next one is requested.

When it ends, the layers of all others are in the offer's folder, registered in its checkpoint list.
"""


def draw_all(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
    """Generate every chunk here, in order."""
    return iter(offer.spans)
