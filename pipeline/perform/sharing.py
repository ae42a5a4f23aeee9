"""Who draws which chunk: all of them here, or some of them on other workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.perform.windows import ChunkSpan
from pipeline.runtime.callbacks import Check, Progress


@dataclass(frozen=True, slots=True)
class ChunkOffer:
    """The chunks of one subject that are not drawn yet."""

    spans: tuple[ChunkSpan, ...]
    """In their order in the clip."""
    needed: Mapping[int, frozenset[int]]
    """For each chunk of the clip, by its index: whose layers it is drawn from."""
    folder: Path
    """Where the layers go (``workspace.layers.chunk_path``)."""


ShareChunks = Callable[[ChunkOffer, Check, Progress], Iterator[ChunkSpan]]
"""Yields the chunks to draw here, each when what it needs is there; a chunk is drawn when the next one is asked for.

When it ends, the layers of all others lie in the offer's folder, entered into its list of checkpoints.
"""


def draw_all(offer: ChunkOffer, check: Check, progress: Progress) -> Iterator[ChunkSpan]:
    """Draw every chunk here, in order."""
    return iter(offer.spans)
