"""The spooled layers of all chunks as one sequence of frames: which chunk has a frame, and where two are crossfaded."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.plan import Chunk
from pipeline.datatypes.window import Layer
from pipeline.joints import NUM_JOINTS
from pipeline.maths.blending import crossfade_weight, mix_layers
from pipeline.maths.boxes import box_of_mask
from pipeline.workspace.archive import new_zip, write_member


class LayersInProgress(Protocol):
    """Chunks that are still being made."""

    def has(self, part: Path) -> bool:
        """Return whether a chunk's file is there."""
        ...

    def wait_for(self, part: Path) -> None:
        """Wait for a chunk's file. Raises what kept it from being made."""
        ...

    def give_up(self) -> None:
        """Let whoever waits stop waiting: nobody needs the layers any more."""
        ...


class _AllThere:
    def has(self, part: Path) -> bool:
        return True

    def wait_for(self, part: Path) -> None:
        pass

    def give_up(self) -> None:
        pass


class ChunkedLayers:
    """The layers of all chunks by frame, crossfaded where a chunk's lead-in overlaps the chunk before.

    A chunk that is still being made is waited for when one of its frames is asked for. One thread at a time.
    """

    def __init__(
        self,
        chunks: list[tuple[Chunk, Path]],
        in_progress: LayersInProgress | None = None,
        most_lead_in_frames: int | None = None,
    ) -> None:
        """No chunk has a longer lead-in than ``most_lead_in_frames``; None where that is not known."""
        self._chunks = [chunk for chunk, _ in chunks]
        self._paths = [path for _, path in chunks]
        self._in_progress = in_progress or _AllThere()
        self._most_lead_in_frames = most_lead_in_frames
        self._open: dict[int, LayerReader] = {}
        self._starts = np.array([chunk.start for chunk in self._chunks])

    def layer(self, frame: int) -> Layer:
        """Return the frame's layer, crop space."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        layer = self._reader(position).read(frame)
        share = self._share_of_next(frame, position)
        return mix_layers(layer, self._reader(position + 1).read(frame), share) if share else layer

    def joints(self, frame: int) -> NDArray[np.float32]:
        """Return (21, 3) in crop space, NaN where the generator gave none."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        joints = self._reader(position).joints(frame)
        if joints is None:
            return np.full((NUM_JOINTS, 3), np.nan, np.float32)
        share = self._share_of_next(frame, position)
        following = self._reader(position + 1).joints(frame) if share else None
        return joints if following is None else np.asarray(joints * (1 - share) + following * share, np.float32)

    def marks(self, frame: int) -> tuple[bool, bool]:
        """Return whether the frame's matte is propagated, and whether it was pixelated."""
        position = int(np.searchsorted(self._starts, frame, side="right")) - 1
        return self._reader(position).marks(frame)

    def num_known(self) -> int:
        """Return the number of leading frames whose layers are there, all that they are mixed from included.

        Frames outside of all chunks count as known.
        """
        for position, chunk in enumerate(self._chunks):
            if not self._in_progress.has(self._paths[position]):
                lead_in = chunk.start if self._most_lead_in_frames is None else self._most_lead_in_frames
                return max(chunk.start - lead_in, 0) if position else 0
        return sys.maxsize

    def wait_beyond(self, frames: int) -> None:
        """Wait until more than the first ``frames`` frames are known."""
        for path in self._paths:
            if self.num_known() > frames:
                return
            self._in_progress.wait_for(path)

    def close(self) -> None:
        for reader in self._open.values():
            reader.close()

    def _reader(self, position: int) -> LayerReader:
        if position not in self._open:
            self._in_progress.wait_for(self._paths[position])
            self._open[position] = LayerReader(self._paths[position])
        return self._open[position]

    def _share_of_next(self, frame: int, position: int) -> float:
        if position + 1 == len(self._chunks):
            return 0.0
        left = self._chunks[position + 1].start - frame
        if self._most_lead_in_frames is not None and left > self._most_lead_in_frames:
            return 0.0
        following = self._reader(position + 1)
        if frame not in following:
            return 0.0
        overlap = self._chunks[position + 1].start - next(following.frames())
        return crossfade_weight(overlap - left, overlap)


_HEAD_BYTES = 9 * 4
"""Header size of a layer: size, box, and three flags."""


def write_layers(path: Path, layers: Iterable[tuple[int, Layer]]) -> None:
    """Write a chunk's layers, (frame number, layer) in order; the file appears only when it is complete."""
    part = path.with_suffix(".part")
    with new_zip(part) as archive:
        for frame, layer in layers:
            if layer.alpha is None:
                raise ValueError("a layer without alpha cannot be spooled: make its matte first")
            x0, y0, x1, y1 = box_of_mask(layer.alpha > 0)
            marks = (layer.joints is not None, layer.matte_is_propagated, layer.is_pixelated)
            head = np.array([*layer.alpha.shape, x0, y0, x1, y1, *marks], np.int32).tobytes()
            rgba = np.dstack([layer.picture[y0:y1, x0:x1], layer.alpha[y0:y1, x0:x1]])
            joints = b"" if layer.joints is None else layer.joints.astype(np.float32).tobytes()
            write_member(archive, str(frame), head + joints + rgba.tobytes())
    part.rename(path)


class LayerReader:
    """Random access to the layers of one chunk."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._frames = {int(name) for name in self._archive.namelist()}

    def __contains__(self, frame: int) -> bool:
        return frame in self._frames

    def frames(self) -> Iterator[int]:
        """Yield the frame numbers, ascending."""
        yield from sorted(self._frames)

    def read(self, frame: int) -> Layer:
        """Return one frame's layer; its picture is black where alpha is 0."""
        data = self._archive.read(str(frame))
        height, width, x0, y0, x1, y1, has_joints, is_propagated, is_pixelated = (
            int(v) for v in np.frombuffer(data, np.int32, 9)
        )
        joints = self._joints(data) if has_joints else None
        rgba = np.zeros((height, width, 4), np.uint8)
        offset = _HEAD_BYTES + (joints.nbytes if joints is not None else 0)
        rgba[y0:y1, x0:x1] = np.frombuffer(data, np.uint8, offset=offset).reshape(y1 - y0, x1 - x0, 4)
        return Layer(rgba[..., :3], rgba[..., 3], joints, bool(is_propagated), bool(is_pixelated))

    def joints(self, frame: int) -> NDArray[np.float32] | None:
        """Return (21, 3) of one frame's layer, or None where the generator gave none."""
        with self._archive.open(str(frame)) as member:
            data = member.read(_HEAD_BYTES + 21 * 3 * 4)
        return self._joints(data) if np.frombuffer(data, np.int32, 7)[6] else None

    def marks(self, frame: int) -> tuple[bool, bool]:
        """Return whether one frame's matte is propagated, and whether it was pixelated."""
        with self._archive.open(str(frame)) as member:
            is_propagated, is_pixelated = np.frombuffer(member.read(_HEAD_BYTES), np.int32)[7:9]
        return bool(is_propagated), bool(is_pixelated)

    def close(self) -> None:
        self._archive.close()

    @staticmethod
    def _joints(data: bytes) -> NDArray[np.float32]:
        return np.frombuffer(data, np.float32, 21 * 3, offset=_HEAD_BYTES).reshape(21, 3).copy()


def chunk_path(workspace: Path, chunk: Chunk) -> Path:
    """Return where a chunk's layers are spooled."""
    return workspace / "layers" / f"chunk_{chunk.index:04d}.zip"


def subject_folder(workspace: Path, number: int) -> Path:
    """Return the folder of one subject's checkpoints: the first one's is the workspace itself, with the shared ones."""
    return workspace if number == 0 else workspace / f"subject_{number}"
