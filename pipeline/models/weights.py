"""Where the weights lie that ``builder/fetch_models.py`` fetched."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import PresetUnavailable


def weights_folder() -> Path:
    """Return ``$UNDERSTUDY_WEIGHTS``, or ``weights/`` in the repository's root."""
    return Path(os.environ.get("UNDERSTUDY_WEIGHTS") or Path(__file__).resolve().parents[2] / "weights")


def weight_path(name: str) -> Path:
    """Return the path of a fetched file.

    Its bytes were verified when it was fetched. Raises ``PresetUnavailable``, naming the command that fetches it,
    where it is not there.
    """
    path = weights_folder() / name
    if not path.is_file():
        raise PresetUnavailable(f"{name} is not in {path.parent}: run `python -m builder.fetch_models`")
    return path


def weight_folder(name: str) -> Path:
    """Return the folder of a model in several files. Raises ``PresetUnavailable`` where it is not there."""
    path = weights_folder() / name
    if not path.is_dir():
        raise PresetUnavailable(
            f"{name}/ is not in {path.parent}: "
            "run `python -m builder.fetch_models --preset NAME` where the hub is reached"
        )
    return path
