"""The spooled layers of all chunks as one row of frames: which chunk has a frame, and where two are mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import NUM_JOINTS, Chunk, Layer
from pipeline.maths.blending import crossfade_weight, mix_layers
from pipeline.workspace.masks import LayerReader


class ChunkedLayers:
    """The layers of all chunks by frame, crossfaded where a chunk's lead-in overlaps the chunk before."""

    def __init__(self, chunks: list[tuple[Chunk, Path]]) -> None:
        self._chunks = [chunk for chunk, _ in chunks]
        self._readers = [LayerReader(path) for _, path in chunks]
        self._starts = np.array([chunk.start for chunk in self._chunks])

    def layer(self, frame: int) -> Layer:
        """Return the frame's layer, crop space."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        layer = self._readers[position].read(frame)
        share = self._share_of_next(frame, position)
        return mix_layers(layer, self._readers[position + 1].read(frame), share) if share else layer

    def joints(self, frame: int) -> NDArray[np.float32]:
        """Return (21, 3) in crop space, NaN where the generator gave none."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        joints = self._readers[position].joints(frame)
        if joints is None:
            return np.full((NUM_JOINTS, 3), np.nan, np.float32)
        share = self._share_of_next(frame, position)
        following = self._readers[position + 1].joints(frame) if share else None
        return joints if following is None else np.asarray(joints * (1 - share) + following * share, np.float32)

    def marks(self, frame: int) -> tuple[bool, bool]:
        """Return whether the frame's matte is carried, and whether it was coarsened."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        return self._readers[position].marks(frame)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    def _share_of_next(self, frame: int, position: int) -> float:
        if position + 1 == len(self._chunks) or frame not in self._readers[position + 1]:
            return 0.0
        overlap = self._chunks[position + 1].start - next(self._readers[position + 1].frames())
        return crossfade_weight(overlap - (self._chunks[position + 1].start - frame), overlap)
