"""Presets whose libraries are not installed, as in the lean image and on a laptop after ``make demo``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conf import compose_settings
from pipeline.errors import PresetUnavailable
from pipeline.models.registry import make_generator, make_people, make_safety
from tests.support.job_runner import Runner, good_job

_HEAVY = ("torch", "diffusers", "transformers", "ultralytics")
_PRESETS = ("fast", "balanced", "high")


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the libraries of the diffusion presets, and force a fresh import of our wrappers."""
    for name in list(sys.modules):
        if name.partition(".")[0] in _HEAVY:
            monkeypatch.setitem(sys.modules, name, None)
        elif name.startswith(("pipeline.models.diffusion", "pipeline.models.people.yolo", "pipeline.models.device")):
            monkeypatch.delitem(sys.modules, name)
    for name in _HEAVY:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("preset", _PRESETS)
def test_a_job_reports_that_its_preset_is_unavailable(without_torch: None, tmp_path: Path, preset: str) -> None:
    runner = Runner(tmp_path)
    answer = runner.fails(good_job(preset=preset), "PRESET_UNAVAILABLE", "preset")
    assert "preview" in answer["error"] and "/" not in answer["error"].replace("a file of the worker", "")
    if preset == _PRESETS[0]:
        runner.does_a_good_job()


@pytest.mark.parametrize("preset", _PRESETS)
def test_with_weights_but_without_libraries_each_model_reports_it(
    without_torch: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    for name in ("sd15", "sd15_config", "safety_checker", "motion"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("UNDERSTUDY_WEIGHTS", str(tmp_path))
    settings = compose_settings(preset)
    with pytest.raises(PresetUnavailable):
        make_people(settings.people)
    for make in (make_generator, make_safety):
        with pytest.raises(PresetUnavailable, match="not installed on this worker"):
            make(settings.generate)
