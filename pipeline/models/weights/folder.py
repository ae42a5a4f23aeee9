"""Where the weights lie that ``builder/fetch_models.py`` fetched."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PresetUnavailable
from pipeline.models.weights.lock import read_lock, sha256_of

FETCH = "python -m builder.fetch_models --preset NAME"
"""The command that brings what is missing; whoever knows the preset puts it in."""


def weights_folder() -> Path:
    """Return ``$UNDERSTUDY_WEIGHTS``, or ``weights/`` in the repository's root."""
    return Path(os.environ.get("UNDERSTUDY_WEIGHTS") or Path(__file__).resolve().parents[3] / "weights")


def weight_path(name: str) -> Path:
    """Return the path of a fetched file.

    Its bytes were verified when it was fetched. Raises ``PresetUnavailable``, naming the command that fetches it,
    where it is not there.
    """
    path = weights_folder() / name
    if not path.is_file():
        raise PresetUnavailable(f"{name} is missing on this worker: run `{FETCH}`")
    return path


def weight_folder(name: str) -> Path:
    """Return the folder of a model in several files. Raises ``PresetUnavailable`` where it is not there."""
    path = weights_folder() / name
    if not path.is_dir():
        raise PresetUnavailable(f"{name}/ is missing on this worker: run `{FETCH}` where the hub is reached")
    return path


def verified_path(name: str) -> Path:
    """Return the path of a pickle whose every byte is what ``models.lock`` says, before anybody loads it.

    Raises ``PresetUnavailable`` where it is missing, another file, or not known to the lock.
    """
    path = weight_path(name)
    known = next((file.sha256 for source in read_lock() for file in source.files if file.name == name), None)
    if known is None or sha256_of(path) != known:
        raise PresetUnavailable(f"{name} is not the file that models.lock names: run `{FETCH}`")
    return path
