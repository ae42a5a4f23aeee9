"""What must be right before a worker takes jobs."""

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
"""A clip of 2 GiB is the most that is fetched; its result and layers come beside it."""


def prepare_worker(settings: Settings, worker: WorkerEnvironment, models: ModelKeeper) -> None:
    """Check the machine and load the preset's models, once; raises ``WorkerNotReady``."""
    for check in preflight_checks(settings, worker):
        check()
    removed = remove_abandoned(worker.work)
    if removed:
        log.info("removed %d folders of jobs that were killed", removed)
    _try_bucket(worker)
    try:
        warm_up(models.load(settings), settings)
    except (PresetUnavailable, DeviceError) as error:
        # A traceback would have the platform start the worker again and again.
        raise WorkerNotReady(error.message) from error
    log.info("worker is ready", extra={"preset": settings.preset})


def preflight_checks(settings: Settings, worker: WorkerEnvironment) -> list[Callable[[], None]]:
    """Return the checks, each of which raises ``WorkerNotReady``. They take milliseconds."""
    return [
        lambda: check_weights(settings.preset),
        lambda: _check_folder(worker.work, "UNDERSTUDY_WORK"),
        lambda: _check_folder(worker.state_dir, "UNDERSTUDY_STATE_DIR"),
        lambda: _check_disk(worker.work),
        lambda: check_memory_size(settings),
    ]


def _try_bucket(worker: WorkerEnvironment) -> None:
    """A bucket that refuses ends the worker; one that is away is tried again by the first job that needs it."""
    if worker.bucket is None:
        return
    if not worker.bucket.signs_links:
        log.warning(NO_LINKS)
    try:
        try_bucket(worker.bucket)
    except BucketRefused as error:
        raise WorkerNotReady(error.message) from error
    except UploadFailed as error:
        log.warning("%s: tried again by the first job that needs it", error.message)


def _check_folder(folder: Path | None, variable: str) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkerNotReady(f"{variable}: {folder} cannot be made ({type(error).__name__})") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkerNotReady(f"{variable}: {folder} cannot be written to")


def _check_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise WorkerNotReady(f"{folder} has {free / 1e9:.1f} GB free; a job may need {LEAST_FREE_BYTES / 1e9:g} GB")
