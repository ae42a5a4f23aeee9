"""The folder in which an unfinished job keeps its checkpoints, so that the same job can resume."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from pipeline.errors import DeviceError, JobTimeout, NoSpace, UploadFailed
from pipeline.request import JobRequest
from pipeline.runtime.callbacks import Check
from pipeline.settings import Settings
from worker.environment import WorkerEnvironment
from worker.job_folder import try_lock

log = logging.getLogger("understudy.state")
_ROOT = Path(__file__).resolve().parents[1]
_LIBRARIES = (
    "ai-edge-litert",
    "av",
    "numba",
    "numpy",
    "opencv-python",
    "scenedetect",
    "scipy",
    "supervision",
    "trackers",
)
_LIBRARIES_OF_GPU = ("diffusers", "torch", "transformers", "ultralytics")
"""Installed only where GPU presets run."""
_KEPT_AFTER = (UploadFailed, DeviceError, NoSpace, JobTimeout)
"""Errors after which a retry may succeed. After any other error the same job would fail again."""
_LEAST_FREE_BYTES = 10**9
_BLOCK_BYTES = 1 << 22


@contextmanager
def resumable_folder(worker: WorkerEnvironment, key: str, scratch: Path) -> Iterator[Path]:
    """Yield the folder for a job's checkpoints: under the operator's state folder if there is one, else ``scratch``.

    A process that dies leaves the folder behind, and the next job with the same ``key`` finds it. It is removed after
    success and after errors that would recur. Only one job at a time uses it; a second one with the same key, and any
    job while that disk is full or unavailable, uses ``scratch``.
    """
    with ExitStack() as held:
        folder = _claim(worker, key, held)
        try:
            yield folder or scratch
        except _KEPT_AFTER:
            raise
        except Exception:
            _drop(folder)
            raise
        _drop(folder)


def job_key(video: Path, request: JobRequest, settings: Settings, mode: str, check: Check = lambda: None) -> str:
    """Return the SHA-256 of everything that determines a job's bytes: clip, settings, request, code and libraries."""
    digest = hashlib.sha256(code_hash().encode())
    with video.open("rb") as file:
        contents = hashlib.sha256()
        while block := file.read(_BLOCK_BYTES):
            check()
            contents.update(block)
        digest.update(contents.digest())
    digest.update(settings.model_dump_json().encode())
    digest.update(mode.encode() + b"\0")
    for each in fields(request):
        if each.name in ("video", "output_dir", "artifacts"):
            continue
        value = getattr(request, each.name)
        parts = value if isinstance(value, tuple) else (value,)
        digest.update(each.name.encode() + b"=" + b"\0".join(map(_bytes_of, parts)) + b"\0")
    return digest.hexdigest()


def _bytes_of(value: object) -> bytes:
    """Return the bytes to hash for a value; for an array its data, which its ``repr`` would abbreviate."""
    if is_dataclass(value) and not isinstance(value, type):
        return b"(" + b"\0".join(_bytes_of(getattr(value, each.name)) for each in fields(value)) + b")"
    if isinstance(value, tuple):
        return b"(" + b"\0".join(map(_bytes_of, value)) + b")"
    return value.tobytes() + repr(value.shape).encode() if isinstance(value, np.ndarray) else repr(value).encode()


@cache
def code_hash() -> str:
    """Return a hash of our own sources, of ``models.lock`` and of the library versions that results depend on."""
    digest = hashlib.sha256()
    for path in sorted(
        [*(_ROOT / "pipeline").rglob("*.py"), *(_ROOT / "worker").rglob("*.py"), _ROOT / "builder" / "models.lock"]
    ):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(json.dumps({name: _version(name) for name in (*_LIBRARIES, *_LIBRARIES_OF_GPU)}).encode())
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _claim(worker: WorkerEnvironment, key: str, held: ExitStack) -> Path | None:
    if worker.state_dir is None:
        return None
    root = worker.state_dir / "understudy"
    try:
        root.mkdir(parents=True, exist_ok=True)
        _tidy(root, worker.state_life_seconds, worker.state_max_bytes, spared=key)
        if shutil.disk_usage(root).free < _LEAST_FREE_BYTES:
            log.warning("the state folder's disk is full: this job keeps no checkpoints")
            return None
        if not held.enter_context(try_lock(root / f"{key}.lock")):
            log.warning("the same job is running elsewhere: this one keeps no checkpoints")
            return None
        folder = root / key
        if folder.exists():
            log.info("resuming from the checkpoints of an earlier attempt at this job")
        folder.mkdir(exist_ok=True)
        # Its age is measured from its last use.
        folder.touch()
        return folder
    except OSError as error:
        log.warning("the state folder cannot be used (%s): this job keeps no checkpoints", type(error).__name__)
        return None


def _drop(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _tidy(root: Path, life_seconds: float, max_bytes: int, spared: str) -> None:
    """Remove folders that are too old, then the oldest until the rest fits; never one that a running job has locked."""
    kept = 0
    folders = sorted((path for path in root.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime)
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        old = time.time() - folder.stat().st_mtime > life_seconds
        if folder.name != spared and (old or kept + size > max_bytes):
            with try_lock(root / f"{folder.name}.lock") as is_ours:
                if is_ours:
                    _drop(folder)
                    continue
        kept += size
    for lock in root.glob("*.lock"):
        if not (root / lock.stem).exists() and time.time() - lock.stat().st_mtime > life_seconds:
            lock.unlink(missing_ok=True)
