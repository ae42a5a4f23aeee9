"""The protocol between the decoder process and its parent: one JSON object per line, and planes in shared memory.

No pickle: the process reads untrusted files, and its replies are validated like any other input.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.datatypes.arrays import Plane
from pipeline.datatypes.clip import AudioInfo, VideoInfo
from pipeline.media.clip import ReadSettings

_KINDS = {kind.__name__: kind for kind in (VideoInfo, AudioInfo, ReadSettings)}
_ALIGNMENT = 64
_SAMPLES: dict[int, np.dtype[Any]] = {1: np.dtype(np.uint8), 2: np.dtype("<u2")}
MOST_LINE_BYTES = 64 * 2**20
"""The longest message is an opened clip: some sixty characters per frame."""


def encode(message: Any) -> bytes:
    """Return one line of JSON for numbers, texts, lists, arrays of integers and the values of an opened clip."""
    return json.dumps(_told(message)).encode() + b"\n"


def decode(line: bytes) -> Any:
    """Return the argument of ``encode``. Raises ``ValueError`` for anything else."""
    try:
        return _read(json.loads(line))
    except (TypeError, KeyError, AttributeError, ZeroDivisionError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a message of the decoder's process: {error}") from error


def _told(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"is": "array", "of": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__} | {
            each.name: _told(getattr(value, each.name)) for each in dataclasses.fields(value)
        }
    if isinstance(value, Fraction | Path):
        return {"is": "fraction" if isinstance(value, Fraction) else "path", "of": str(value)}
    if isinstance(value, tuple):
        return {"is": "tuple", "of": [_told(item) for item in value]}
    if isinstance(value, list):
        return [_told(item) for item in value]
    if isinstance(value, dict):
        return {key: _told(item) for key, item in value.items()}
    return value


def _read(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_read(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get("is")
    if kind is None:
        return {key: _read(item) for key, item in tree.items()}
    if kind == "array":
        return np.array(tree["of"], np.int64)
    if kind == "tuple":
        return tuple(_read(item) for item in tree["of"])
    if kind in ("fraction", "path"):
        return Fraction(tree["of"]) if kind == "fraction" else Path(tree["of"])
    return _KINDS[kind](**{key: _read(item) for key, item in tree.items() if key != "is"})


def slot_bytes(planes: Sequence[Plane]) -> int:
    """Return the size of the shared memory for a frame's planes."""
    return sum(_aligned(plane.nbytes) for plane in planes)


def put_planes(planes: Sequence[Plane], slot: memoryview) -> list[tuple[int, int, int]]:
    """Copy planes (h, w) into shared memory; return what ``take_planes`` needs: height, width, bytes per sample."""
    at = 0
    for plane in planes:
        target: NDArray[Any] = np.frombuffer(slot, plane.dtype, plane.size, offset=at).reshape(plane.shape)
        np.copyto(target, plane)
        at += _aligned(plane.nbytes)
    return [(plane.shape[0], plane.shape[1], plane.itemsize) for plane in planes]


def take_planes(shapes: Sequence[Sequence[int]], slot: memoryview) -> tuple[Plane, ...]:
    """Copy planes out of shared memory, read-only. Raises ``ValueError`` where they exceed it."""
    total = planes_bytes(shapes)
    if total > len(slot):
        raise ValueError("the planes do not lie in the shared memory")
    # One copy for all of them: the slot is reused for the next frame.
    return planes_in(np.frombuffer(slot, np.uint8, total).copy(), shapes)


def planes_bytes(shapes: Sequence[Sequence[int]]) -> int:
    """Return the size of planes in bytes. Raises ``ValueError`` for an invalid plane."""
    if any(min(int(height), int(width)) < 1 or int(itemsize) not in _SAMPLES for height, width, itemsize in shapes):
        raise ValueError("planes of an impossible shape")
    return sum(_aligned(int(height) * int(width) * int(itemsize)) for height, width, itemsize in shapes)


def planes_in(held: NDArray[np.uint8], shapes: Sequence[Sequence[int]]) -> tuple[Plane, ...]:
    """Return views of the planes in an array of ``planes_bytes``, which becomes read-only."""
    held.flags.writeable = False
    planes: list[Plane] = []
    at = 0
    for height, width, itemsize in shapes:
        size = int(height) * int(width) * int(itemsize)
        planes.append(held[at : at + size].view(_SAMPLES[int(itemsize)]).reshape(int(height), int(width)))
        at += _aligned(size)
    return tuple(planes)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
