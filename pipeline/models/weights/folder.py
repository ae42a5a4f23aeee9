"""The folder of the weights fetched by ``builder/fetch_models.py``."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PresetUnavailable
from pipeline.models.weights.lock import VolumeModel, read_lock, sha256_of

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


def model_folder(model: VolumeModel) -> Path:
    """Return the folder of a model that is too large for an image: in the weights, on a volume, or in a hub's cache.

    Looked for in this order: its folder under the weights; the same under ``$UNDERSTUDY_VOLUME`` (``/runpod-volume``
    where it is not set); the newest snapshot of its repository in the model cache of that volume, as RunPod and the
    hub's own tools lay it out. Raises ``PresetUnavailable`` where there is none, or where a part of it is missing.
    """
    volume = Path(os.environ.get("UNDERSTUDY_VOLUME") or "/runpod-volume")
    cached = volume / "huggingface-cache" / "hub" / f"models--{model.repository.replace('/', '--')}" / "snapshots"
    snapshots = sorted(cached.glob("*"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    places = [weights_folder() / model.folder, volume / model.folder, *snapshots]
    found = next((folder for folder in places if (folder / "transformer").is_dir()), None)
    if found is None:
        raise PresetUnavailable(
            f"{model.repository} is missing on this worker: put it in {volume / model.folder}, or set it as the "
            "endpoint's cached model"
        )
    missing = [part for part in model.parts if not (found / part).is_dir()]
    if missing:
        raise PresetUnavailable(f"{model.repository} is incomplete on this worker: {found} lacks {', '.join(missing)}")
    return found


def verified_path(name: str) -> Path:
    """Return the path of a pickle after verifying its bytes against ``models.lock``, before it is loaded.

    Raises ``PresetUnavailable`` where it is missing, another file, or not known to the lock.
    """
    path = weight_path(name)
    known = next((file.sha256 for source in read_lock() for file in source.files if file.name == name), None)
    if known is None or sha256_of(path) != known:
        raise PresetUnavailable(f"{name} is not the file that models.lock names: run `{FETCH}`")
    return path
