"""Values of dataclasses on disk: a zip of arrays and one JSON tree."""

from __future__ import annotations

import io
import json
import typing
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import cattrs
import numpy as np
from numpy.typing import NDArray

from pipeline.workspace.archive import new_zip, write_member

_T = TypeVar("_T")


def save_values(path: Path, value: Any) -> None:
    """Write a frozen dataclass of ``datatypes`` (arrays, numbers, texts, nested) to one file; no pickle."""
    arrays: list[NDArray[Any]] = []

    def name_of_array(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray):
            raise TypeError(f"{type(leaf).__name__} cannot be kept in a checkpoint")
        arrays.append(leaf)
        return {"array": f"{len(arrays) - 1}.npy"}

    tree = json.dumps(_CONVERTER.unstructure(value), default=name_of_array)
    part = path.with_suffix(".part")
    with new_zip(part) as archive:
        write_member(archive, "tree.json", tree.encode())
        for number, array in enumerate(arrays):
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            write_member(archive, f"{number}.npy", buffer.getvalue())
    part.rename(path)


def load_values(path: Path, kind: type[_T]) -> _T:
    """Read what ``save_values`` wrote, as the dataclass ``kind``."""
    with zipfile.ZipFile(path) as archive:

        def array_of_name(node: dict[str, Any]) -> Any:
            if set(node) != {"array"}:
                return node
            return np.load(io.BytesIO(archive.read(node["array"])), allow_pickle=False)

        tree = json.loads(archive.read("tree.json"), object_hook=array_of_name)
    return _CONVERTER.structure(tree, kind)


def _converter() -> cattrs.Converter:
    # A field unknown to this version is an error, because such a checkpoint comes from another version.
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=False)
    converter.register_unstructure_hook(Fraction, str)
    converter.register_structure_hook(Fraction, lambda text, _: Fraction(text))
    # Arrays are passed through: the JSON hooks replace them by names, and restore them.
    converter.register_unstructure_hook_func(_is_array, lambda array: array)
    converter.register_structure_hook_func(_is_array, lambda array, _: array)
    return converter


def _is_array(kind: Any) -> bool:
    return kind is np.ndarray or typing.get_origin(kind) is np.ndarray


_CONVERTER = _converter()
