"""Values of dataclasses on disk: a zip of arrays and one JSON tree."""

from __future__ import annotations

import dataclasses
import io
import json
import types
import typing
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.workspace.archive import new_zip, write_member

_T = TypeVar("_T")


def save_values(path: Path, value: Any) -> None:
    """Write a frozen dataclass of ``datatypes`` (arrays, numbers, texts, nested) to one file; no pickle."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = _to_tree(value, arrays)
    part = path.with_suffix(".part")
    with new_zip(part) as archive:
        write_member(archive, "tree.json", json.dumps(tree).encode())
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            write_member(archive, name, buffer.getvalue())
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
