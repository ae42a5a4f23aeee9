"""Whether the machine has the memory for any job at all. Imports little: where it has not, imports fail as well."""

from __future__ import annotations

from pipeline.needs import worker_bytes
from pipeline.runtime.resources import memory_size
from pipeline.settings import Settings
from worker.presets import WorkerNotReady


def check_memory_size(settings: Settings) -> None:
    """Raise ``WorkerNotReady`` where machine, container or limits leave less than a job of 1280x720 needs."""
    needed = worker_bytes(with_torch=settings.generate.backend != "mannequin")
    size = memory_size()
    if size is not None and size < needed:
        raise WorkerNotReady(f"there is memory for {size / 1e9:.1f} GB here; the preset needs {needed / 1e9:.1f} GB")
