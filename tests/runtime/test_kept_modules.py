"""The garbage collector leaves what a process loaded at its start alone."""

from __future__ import annotations

import gc

from pipeline.runtime.process import prepare_process


def test_what_is_loaded_is_no_longer_looked_through() -> None:
    prepare_process()
    once = gc.get_freeze_count()
    prepare_process()

    assert once > 10_000
    assert gc.get_freeze_count() <= once
