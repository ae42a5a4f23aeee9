"""A job's temporary folder, removed at the end of the job whatever happens."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK_NAME = ".lock"
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def folder_name(job_id: str) -> str:
    """Return a name for a job's folders: the id if it is safe as a file name, else a hash of it."""
    return (
        job_id
        if _SAFE_ID.fullmatch(job_id)
        else hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    )


@contextmanager
def job_workspace(root: Path, job_id: str) -> Iterator[Path]:
    """Yield an empty folder under ``root`` and remove it at the end, whatever happens."""
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{folder_name(job_id)}-", dir=root))
    try:
        with locked(folder / _LOCK_NAME):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(root: Path) -> int:
    """Remove the job folders under ``root`` whose process was killed; return their number."""
    removed = 0
    for lock in root.glob(f"*/{_LOCK_NAME}"):
        with try_lock(lock) as is_ours:
            if is_ours:
                shutil.rmtree(lock.parent, ignore_errors=True)
                removed += 1
    return removed


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock that the system releases when this process dies, however it dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Like ``locked``, but without waiting: yields False if another process holds the lock."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
