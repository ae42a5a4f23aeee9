"""What was made of fetched weights when the image was built: halved, or fused into others; told in one file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PREPARED = "prepared.json"


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that stands in a fetched one's place."""

    name: str
    """Path under the weights folder."""
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one fetched file."""

    from_sha256: str
    """The fetched file's, by ``models.lock``."""
    made: tuple[MadeFile, ...]


def read_prepared(weights: Path) -> dict[str, Prepared]:
    """Return name of the fetched file -> what became of it; empty where nothing was prepared."""
    path = weights / PREPARED
    if not path.is_file():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Prepared(entry["from_sha256"], tuple(MadeFile(**made) for made in entry["made"]))
        for name, entry in told.items()
    }


def write_prepared(weights: Path, prepared: dict[str, Prepared]) -> None:
    """Keep what became of the fetched files."""
    told = {name: asdict(entry) for name, entry in sorted(prepared.items())}
    (weights / PREPARED).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
