"""The folder of the weights fetched by ``builder/fetch_models.py``."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PresetUnavailable
from pipeline.models.weights.lock import read_lock, sha256_of

FETCH = "python -m builder.fetch_models --preset NAME"
"""The command that fetches missing files; the caller inserts the preset."""


def weights_folder() -> Path:
    """Return ``$UNDERSTUDY_WEIGHTS``, or ``weights/`` in the repository's root."""
    return Path(os.environ.get("UNDERSTUDY_WEIGHTS") or Path(__file__).resolve().parents[3] / "weights")


def weight_path(name: str) -> Path:
    """Return the path of a fetched file.

    Its bytes were verified when it was fetched. Raises ``PresetUnavailable``, naming the command that fetches it, where
    it is missing.
    """
    path = weights_folder() / name
    if not path.is_file():
        raise PresetUnavailable(f"{name} is missing on this worker: run `{FETCH}`")
    return path


def weight_folder(name: str) -> Path:
    """Return the folder of a model in several files. Raises ``PresetUnavailable`` where it is missing."""
    path = weights_folder() / name
    if not path.is_dir():
        raise PresetUnavailable(f"{name}/ is missing on this worker: run `{FETCH}` where the hub is reached")
    return path


def model_folder(name: str, repository: str) -> Path:
    """Return the folder of a model that is too large for an image: in the weights, on a volume, or in a hub's cache.

    Looked for in this order: ``name`` under the weights; ``name`` under ``$UNDERSTUDY_VOLUME`` (``/runpod-volume``
    where it is not set); the newest snapshot of ``repository`` in the model cache of that volume, as RunPod and the
    hub's own tools lay it out. Its files are not in models.lock: none of them is a pickle. Raises
    ``PresetUnavailable``.
    """
    volume = Path(os.environ.get("UNDERSTUDY_VOLUME") or "/runpod-volume")
    for folder in (weights_folder() / name, volume / name):
        if (folder / "transformer").is_dir():
            return folder
    snapshots = volume / "huggingface-cache" / "hub" / f"models--{repository.replace('/', '--')}" / "snapshots"
    found = sorted(path for path in snapshots.glob("*") if (path / "transformer").is_dir())
    if found:
        return max(found, key=lambda path: (path.stat().st_mtime, path.name))
    raise PresetUnavailable(
        f"{repository} is missing on this worker: put it in {volume / name}, or set it as the endpoint's cached model"
    )


def verified_path(name: str) -> Path:
    """Return the path of a pickle after verifying its bytes against ``models.lock``, before it is loaded.

    Raises ``PresetUnavailable`` where it is missing, another file, or not known to the lock.
    """
    path = weight_path(name)
    known = next((file.sha256 for source in read_lock() for file in source.files if file.name == name), None)
    if known is None or sha256_of(path) != known:
        raise PresetUnavailable(f"{name} is not the file that models.lock names: run `{FETCH}`")
    return path
