"""Process-wide settings of a process that runs jobs."""

from __future__ import annotations

import scipy.linalg  # noqa: F401  # its own OpenBLAS is loaded, too
from threadpoolctl import ThreadpoolController

from pipeline.runtime.process import prepare_process


def test_openblas_has_one_thread() -> None:
    libraries = ThreadpoolController().select(internal_api="openblas")
    with libraries.limit(limits=2):
        prepare_process()
        assert {library["num_threads"] for library in libraries.info()} == {1}
