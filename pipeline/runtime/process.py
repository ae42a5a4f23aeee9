"""What is set once in a process that runs jobs: memory, and threads of libraries."""

from __future__ import annotations

import gc
from functools import lru_cache

from threadpoolctl import ThreadpoolController

from pipeline.runtime.malloc import limit_malloc_arenas


def prepare_process() -> None:
    """Set up this process for jobs, once its libraries are loaded, before there are threads; again for new libraries.

    OpenBLAS gets one thread: the passes' matrices are tiny, and its other threads wait for work by spinning, which took
    4 % of a job's CPU time. The sums' order, and so the result, then does not depend on the number of cores either.
    torch's own library is left alone.
    """
    limit_malloc_arenas()
    _keep_what_is_loaded()
    ThreadpoolController().select(internal_api="openblas").limit(limits=1)


@lru_cache(maxsize=1)
def _keep_what_is_loaded() -> None:
    """Let the garbage collector no longer look through the loaded modules, once: it took 1 % of a job's CPU time."""
    gc.freeze()
