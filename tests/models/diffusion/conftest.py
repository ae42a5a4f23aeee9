from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.models.diffusion.loading import load_parts


@pytest.fixture(autouse=True)
def uses_tiny_weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tiny_weights))
    load_parts.cache_clear()
    yield
    load_parts.cache_clear()
