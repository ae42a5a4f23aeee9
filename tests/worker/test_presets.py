"""Which presets a worker offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.models.weights.lock import files_of, read_lock, read_volume_models
from worker import presets
from worker.presets import WorkerNotReady, available_presets, check_weights


def _put_files(preset: str, weights: Path) -> None:
    """Write a file of the right name for each one of a preset; those of unknown size may be empty."""
    for source in files_of(read_lock(), frozenset({preset})):
        for file in source.files:
            path = weights / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(file.size or 0))


def test_wan_is_offered_once_its_folder_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = tmp_path / "weights"
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(weights))
    monkeypatch.setenv("UNDERSTUDY_VOLUME", str(tmp_path / "volume"))
    monkeypatch.setattr(presets, "_has_its_header", lambda path: True)
    with pytest.raises(WorkerNotReady, match="fetch_models --preset wan"):
        check_weights("wan")
    _put_files("wan", weights)
    with pytest.raises(WorkerNotReady, match=r"Wan2\.1-VACE-1\.3B-diffusers is missing"):
        check_weights("wan")
    (model,) = (model for model in read_volume_models() if "wan" in model.presets)
    for part in model.parts[:-1]:
        (tmp_path / "volume" / model.folder / part).mkdir(parents=True)
    with pytest.raises(WorkerNotReady, match=f"lacks {model.parts[-1]}"):
        check_weights("wan")
    (tmp_path / "volume" / model.folder / model.parts[-1]).mkdir()
    check_weights("wan")
    assert available_presets() == ["wan"]
