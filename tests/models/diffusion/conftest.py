from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.models.diffusion.loading import load_parts
from tests.models.diffusion.tiny import save_tiny_weights

_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the diffusion presets' weights at tiny sizes, and the real small models beside them."""
    folder = save_tiny_weights(tmp_path_factory.mktemp("weights"))
    for name in ("movenet.tflite", "pose_landmark_full.tflite", "figure.npz"):
        (folder / name).symlink_to(_ROOT / "weights" / name)
    return folder


@pytest.fixture(autouse=True)
def uses_tiny_weights(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tiny_weights))
    load_parts.cache_clear()
    yield
    load_parts.cache_clear()
