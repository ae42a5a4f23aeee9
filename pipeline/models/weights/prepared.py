"""Record of what was made from fetched weights when the image was built: converted to half precision, or fused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PREPARED = "prepared.json"


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that replaces a fetched one."""

    name: str
    """Path under the weights folder."""
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """The outcome for one fetched file."""

    from_sha256: str
    """The fetched file's hash in ``models.lock``."""
    made: tuple[MadeFile, ...]


def read_prepared(weights: Path) -> dict[str, Prepared]:
    """Return a map from fetched file to its outcome; empty where nothing was prepared."""
    path = weights / PREPARED
    if not path.is_file():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Prepared(entry["from_sha256"], tuple(MadeFile(**made) for made in entry["made"]))
        for name, entry in told.items()
    }


def write_prepared(weights: Path, prepared: dict[str, Prepared]) -> None:
    """Store the outcomes of the fetched files."""
    told = {name: asdict(entry) for name, entry in sorted(prepared.items())}
    (weights / PREPARED).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
