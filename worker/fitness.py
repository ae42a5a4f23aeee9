"""Checks that a worker must pass before it takes jobs."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import DeviceError, PresetUnavailable, UploadFailed
from pipeline.perform.backends import warm_up
from pipeline.settings import Settings
from worker.delivery.bucket_trial import BucketRefused, try_bucket
from worker.delivery.destination import NO_LINKS
from worker.environment import WorkerEnvironment
from worker.job_folder import remove_abandoned
from worker.memory_size import check_memory_size
from worker.models import ModelKeeper
from worker.presets import WorkerNotReady, check_weights

log = logging.getLogger("understudy.startup")
LEAST_FREE_BYTES = 2 * 10**9
"""Downloads are limited to 2 GiB; result and layers need space as well."""


def prepare_worker(settings: Settings, worker: WorkerEnvironment, models: ModelKeeper) -> None:
    """Check the machine and load the preset's models. Raises ``WorkerNotReady``."""
    for check in preflight_checks(settings, worker):
        check()
    removed = remove_abandoned(worker.work)
    if removed:
        log.info("removed %d folders of killed jobs", removed)
    _try_bucket(worker)
    try:
        warm_up(models.load(settings), settings)
    except (PresetUnavailable, DeviceError) as error:
        # An unhandled exception would make the platform restart the worker again and again.
        raise WorkerNotReady(error.message) from error
    log.info("worker is ready", extra={"preset": settings.preset})


def preflight_checks(settings: Settings, worker: WorkerEnvironment) -> list[Callable[[], None]]:
    """Return the checks; each takes milliseconds and may raise ``WorkerNotReady``."""
    return [
        lambda: check_weights(settings.preset),
        lambda: _check_folder(worker.work, "UNDERSTUDY_WORK"),
        lambda: _check_folder(worker.state_dir, "UNDERSTUDY_STATE_DIR"),
        lambda: _check_disk(worker.work),
        lambda: check_memory_size(settings),
    ]


def _try_bucket(worker: WorkerEnvironment) -> None:
    """Test the bucket. A refusal stops the worker; the first job tests an unreachable bucket again."""
    if worker.bucket is None:
        return
    if not worker.bucket.signs_links:
        log.warning(NO_LINKS)
    try:
        try_bucket(worker.bucket)
    except BucketRefused as error:
        raise WorkerNotReady(error.message) from error
    except UploadFailed as error:
        log.warning("%s: the first job that needs it tries again", error.message)


def _check_folder(folder: Path | None, variable: str) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkerNotReady(f"{variable}: {folder} cannot be created ({type(error).__name__})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkerNotReady(f"{variable}: {folder} is not writable")


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise WorkerNotReady(f"{folder} has {free / 1e9:.1f} GB free; a job may need {LEAST_FREE_BYTES / 1e9:g} GB")
