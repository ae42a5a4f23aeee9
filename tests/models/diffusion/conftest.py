from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.models.diffusion.loading import load_parts
from pipeline.models.diffusion.wan_loading import encode_prompts, load_wan


@pytest.fixture(autouse=True)
def uses_tiny_weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tiny_weights))
    for cached in (load_parts, load_wan, encode_prompts):
        cached.cache_clear()
    yield
    for cached in (load_parts, load_wan, encode_prompts):
        cached.cache_clear()
