"""Checkpoint verification: a damaged file is recreated, never trusted.

A workspace has one list of its finished files with their hashes. A file that is not listed, or whose hash differs, is
unfinished, damaged or foreign.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from pathlib import Path

log = logging.getLogger("understudy.checkpoints")
CHECKSUMS = "checksums.json"
_MOST_LIST_BYTES = 10**7
_LIST = threading.Lock()
"""Held while a list is changed: passes that run side by side share one."""


def write_checksum(workspace: Path, path: Path) -> None:
    """Add a file, or a folder's files (not recursively), to the list of finished files."""
    digest = _digest(workspace, path)
    with _LIST:
        checksums = _checksums(workspace)
        checksums[_name(workspace, path)] = digest
        part = workspace / f"{CHECKSUMS}.part"
        part.write_text(json.dumps(checksums, indent=0, sort_keys=True), encoding="utf-8")
        part.replace(workspace / CHECKSUMS)


def is_intact(workspace: Path, path: Path) -> bool:
    """Return whether a file or folder is finished and unchanged; reads all of it."""
    known = _checksums(workspace).get(_name(workspace, path))
    try:
        return known is not None and known == _digest(workspace, path)
    except OSError:
        return False


def keep_if_intact(workspace: Path, *paths: Path) -> bool:
    """Return whether all ``paths`` are finished and undamaged; if not, remove them, so that they are recreated."""
    if all(is_intact(workspace, path) for path in paths):
        return True
    for path in paths:
        if path.exists():
            log.warning("an unfinished or damaged checkpoint is made again", extra={"file": _name(workspace, path)})
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return False


def _name(workspace: Path, path: Path) -> str:
    return path.relative_to(workspace).as_posix()


def _checksums(workspace: Path) -> dict[str, str]:
    try:
        with (workspace / CHECKSUMS).open("rb") as file:
            checksums = json.loads(file.read(_MOST_LIST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return checksums if isinstance(checksums, dict) else {}


def _digest(workspace: Path, path: Path) -> str:
    """Return a hash of a file's name and bytes; of a folder, of all its files'."""
    total = hashlib.blake2b(digest_size=32)
    for each in sorted(path.iterdir()) if path.is_dir() else [path]:
        if path.is_dir() and not each.is_file():
            continue
        with each.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32))
        total.update(_name(workspace, each).encode() + b"\0" + digest.digest())
    return total.hexdigest()
