"""A job's own folder, gone at the end of the job whatever happens."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def folder_name(job_id: str) -> str:
    """Return a name for a job's folders: the id where it is harmless, else a hash of it."""
    return (
        job_id
        if _SAFE_ID.fullmatch(job_id)
        else hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    )


@contextmanager
def job_workspace(job_id: str) -> Iterator[Path]:
    """Yield an empty folder under ``$UNDERSTUDY_WORK`` (or the system's temporary folder) and remove it at the end."""
    root = Path(os.environ.get("UNDERSTUDY_WORK") or Path(tempfile.gettempdir()) / "understudy")
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{folder_name(job_id)}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
