"""Whether the machine has enough memory for any job at all. Imports little: without memory, large imports fail too."""

from __future__ import annotations

from pipeline.needs import worker_bytes
from pipeline.runtime.resources import memory_size
from pipeline.settings import Settings
from worker.presets import WorkerNotReady


def check_memory_size(settings: Settings) -> None:
    """Raise ``WorkerNotReady`` if machine, container or limits leave less memory than a job of 1280x720 needs."""
    needed = worker_bytes(with_torch=settings.generate.backend != "mannequin")
    size = memory_size()
    if size is not None and size < needed:
        raise WorkerNotReady(f"{size / 1e9:.1f} GB of memory are available; the preset needs {needed / 1e9:.1f} GB")
