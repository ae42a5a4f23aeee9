"""Whether what a pass left on disk may be taken up: a file that is there but damaged is made again, never trusted."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

_SEAL = "done"


def is_whole(path: Path) -> bool:
    """Return whether a zip file is there and every member has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return False


def write_checksums(folder: Path) -> None:
    """Say that a folder's files are all there, with their hashes. Does not go into folders within it."""
    part = folder / f"{_SEAL}.part"
    part.write_text(json.dumps(_hashes(folder)), encoding="utf-8")
    part.rename(folder / _SEAL)


def has_checksums(folder: Path) -> bool:
    """Return whether a folder was sealed, and holds what it held then."""
    try:
        return bool(json.loads((folder / _SEAL).read_text(encoding="utf-8")) == _hashes(folder))
    except (OSError, ValueError):
        return False


def remove_damaged(*paths: Path) -> None:
    """Remove the zip files that are not whole, so that their passes are done again."""
    for path in paths:
        if path.exists() and not is_whole(path):
            path.unlink()


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith(_SEAL))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
