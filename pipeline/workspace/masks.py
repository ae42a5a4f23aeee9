"""What is dear to compute and too large for memory lies here: masks of the survey, layers of the chunks, values.

Masks and layers are zip files of arrays cut to their bounding box, packed with zlib's quickest level: lossless,
random access by frame, the same bytes every run. A file is written under a temporary name and renamed when it is
whole, so a file that is there is a checkpoint.
"""

from __future__ import annotations

import dataclasses
import io
import json
import types
import typing
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes import Layer, Mask
from pipeline.maths.masks import box_of

_T = TypeVar("_T")
_DEFLATE_LEVEL = 1
"""Level 6 takes four times as long for a tenth less."""
_HEAD_BYTES = 9 * 4
"""Of a layer: size, box, and three marks."""


class MaskStore:
    """Hard masks by frame and track id, bit-packed on disk.

    Masks are put while the survey reads, in any order of frames; the first ``get`` ends the writing.
    """

    def __init__(self, path: Path, size_wh: tuple[int, int]) -> None:
        """Open ``path`` to write it, or to read it where it is there already; masks are (H, W) of ``size_wh``."""
        self._path = path
        self._width, self._height = size_wh
        self._part = path.with_suffix(".part")
        self._writer = None if path.exists() else _new_zip(self._part)
        self._reader: zipfile.ZipFile | None = None
        self._names: dict[int, list[tuple[int, str]]] = {}

    def put(self, frame: int, masks: Mapping[int, Mask]) -> None:
        """Keep the masks of one frame, each (H, W) by track id. A track's mask in a frame is put once."""
        if self._writer is None:
            raise ValueError(f"{self._path.name} is whole, no more masks can be put")
        for track_id, mask in masks.items():
            x0, y0, x1, y1 = box_of(mask)
            packed = np.packbits(mask[y0:y1, x0:x1], axis=-1)
            head = np.array([x0, y0, x1, y1], np.int32).tobytes()
            _write_member(self._writer, f"{frame}/{track_id}", head + packed.tobytes())

    def get(self, frame: int) -> dict[int, Mask]:
        """Return the masks of one frame by track id; empty where nobody was seen."""
        return {track_id: self._read(name) for track_id, name in self._index().get(frame, [])}

    def close(self) -> None:
        """End the writing and let go of the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._part.rename(self._path)
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _index(self) -> dict[int, list[tuple[int, str]]]:
        if self._reader is None:
            self.close()
            self._reader = zipfile.ZipFile(self._path)
            self._names = {}
            for name in self._reader.namelist():
                frame, track_id = name.split("/")
                self._names.setdefault(int(frame), []).append((int(track_id), name))
        return self._names

    def _read(self, name: str) -> Mask:
        assert self._reader is not None
        data = self._reader.read(name)
        x0, y0, x1, y1 = (int(v) for v in np.frombuffer(data, np.int32, 4))
        mask = np.zeros((self._height, self._width), np.bool_)
        if x1 > x0:
            packed = np.frombuffer(data, np.uint8, offset=16).reshape(y1 - y0, -1)
            mask[y0:y1, x0:x1] = np.unpackbits(packed, axis=-1, count=x1 - x0).astype(np.bool_)
        return mask


def write_layers(path: Path, layers: Iterable[tuple[int, Layer]]) -> None:
    """Write a chunk's layers, (frame number, layer) in order; the file is there only when all of them are."""
    part = path.with_suffix(".part")
    with _new_zip(part) as archive:
        for frame, layer in layers:
            if layer.alpha is None:
                raise ValueError("a layer without alpha cannot be spooled: make its matte first")
            x0, y0, x1, y1 = box_of(layer.alpha > 0)
            marks = (layer.joints is not None, layer.matte_is_carried, layer.is_coarsened)
            head = np.array([*layer.alpha.shape, x0, y0, x1, y1, *marks], np.int32).tobytes()
            rgba = np.dstack([layer.picture[y0:y1, x0:x1], layer.alpha[y0:y1, x0:x1]])
            joints = b"" if layer.joints is None else layer.joints.astype(np.float32).tobytes()
            _write_member(archive, str(frame), head + joints + rgba.tobytes())
    part.rename(path)


class LayerReader:
    """Random access to the layers of one chunk."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._frames = {int(name) for name in self._archive.namelist()}

    def __contains__(self, frame: int) -> bool:
        return frame in self._frames

    def frames(self) -> Iterator[int]:
        """Yield the numbers of the frames, rising."""
        yield from sorted(self._frames)

    def read(self, frame: int) -> Layer:
        """Return one frame's layer; its picture is black where alpha is 0."""
        data = self._archive.read(str(frame))
        height, width, x0, y0, x1, y1, has_joints, carried, coarsened = (
            int(v) for v in np.frombuffer(data, np.int32, 9)
        )
        joints = self._joints(data) if has_joints else None
        rgba = np.zeros((height, width, 4), np.uint8)
        offset = _HEAD_BYTES + (joints.nbytes if joints is not None else 0)
        rgba[y0:y1, x0:x1] = np.frombuffer(data, np.uint8, offset=offset).reshape(y1 - y0, x1 - x0, 4)
        return Layer(rgba[..., :3], rgba[..., 3], joints, bool(carried), bool(coarsened))

    def joints(self, frame: int) -> NDArray[np.float32] | None:
        """Return (21, 3) of one frame's layer, or None where the generator gave none."""
        with self._archive.open(str(frame)) as member:
            data = member.read(_HEAD_BYTES + 21 * 3 * 4)
        return self._joints(data) if np.frombuffer(data, np.int32, 7)[6] else None

    def marks(self, frame: int) -> tuple[bool, bool]:
        """Return whether one frame's matte is carried, and whether it was coarsened."""
        with self._archive.open(str(frame)) as member:
            carried, coarsened = np.frombuffer(member.read(_HEAD_BYTES), np.int32)[7:9]
        return bool(carried), bool(coarsened)

    def close(self) -> None:
        self._archive.close()

    @staticmethod
    def _joints(data: bytes) -> NDArray[np.float32]:
        return np.frombuffer(data, np.float32, 21 * 3, offset=_HEAD_BYTES).reshape(21, 3).copy()


def save_values(path: Path, value: Any) -> None:
    """Write a frozen dataclass of ``datatypes`` (arrays, numbers, texts, nested) to one file; no pickle."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = _to_tree(value, arrays)
    part = path.with_suffix(".part")
    with _new_zip(part) as archive:
        _write_member(archive, "tree.json", json.dumps(tree).encode())
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            _write_member(archive, name, buffer.getvalue())
    part.rename(path)


def load_values(path: Path, kind: type[_T]) -> _T:
    """Read what ``save_values`` wrote, as the dataclass ``kind``."""
    with zipfile.ZipFile(path) as archive:
        tree = json.loads(archive.read("tree.json"))

        def array(name: str) -> NDArray[Any]:
            loaded: NDArray[Any] = np.load(io.BytesIO(archive.read(name)), allow_pickle=False)
            return loaded

        value: _T = _from_tree(tree, kind, array)
    return value


def _new_zip(path: Path) -> zipfile.ZipFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    return zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_DEFLATE_LEVEL)


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A ZipInfo of our own carries a fixed date: writestr with a name would put the clock into the file.
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, data, compresslevel=_DEFLATE_LEVEL)


def _to_tree(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"{len(arrays)}.npy"
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _to_tree(getattr(value, f.name), arrays) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_to_tree(item, arrays) for item in value]
    if isinstance(value, Fraction | Path):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be kept in a checkpoint")


def _from_tree(tree: Any, kind: Any, array: Any) -> Any:
    if isinstance(tree, dict) and set(tree) == {"array"}:
        return array(tree["array"])
    if dataclasses.is_dataclass(kind):
        types_by_name = typing.get_type_hints(kind)
        return kind(**{name: _from_tree(part, types_by_name[name], array) for name, part in tree.items()})  # type: ignore[operator]
    if tree is None:
        return None
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _from_tree(tree, next(a for a in arguments if a is not type(None)), array)
    if origin is tuple:
        kinds = [arguments[0]] * len(tree) if arguments[-1] is Ellipsis else arguments
        return tuple(_from_tree(part, item, array) for part, item in zip(tree, kinds, strict=True))
    if kind in (Fraction, Path):
        return kind(tree)
    return tree
