"""What stops a worker's start on a rented card is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pynvml
import pytest
import torch

from benchmarks.stable_diffusion_sizes import tiny_overrides
from conf import compose_settings
from pipeline.errors import OutOfMemory, PresetUnavailable
from pipeline.models.device import check_device
from pipeline.models.diffusion import loading
from pipeline.settings import DiffusionSettings


def _fails(message: str, kind: type[Exception] = RuntimeError) -> Any:
    def fail(*given: Any, **more: Any) -> None:
        raise kind(message)

    return fail


def _tiny_key() -> loading.ComponentsKey:
    settings = compose_settings("fast", tiny_overrides("fast")).generate
    assert isinstance(settings, DiffusionSettings)
    return loading.key_of(settings)


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ("570.86.15", r"driver is 570\.86\.15, and CUDA .* needs 580 or newer"),
        ("590.44.01", r"does not start with GPU driver 590\.44\.01: Error 802: system not yet initialized$"),
    ],
)
def test_the_found_driver_is_named_with_what_is_wrong(driver: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", _fails("Error 802: system not yet initialized\nat CUDAFunctions.cpp"))
    for name, answer in (("nvmlInit", None), ("nvmlShutdown", None), ("nvmlSystemGetDriverVersion", driver)):
        monkeypatch.setattr(pynvml, name, lambda answer=answer: answer)
    with pytest.raises(PresetUnavailable, match=told):
        check_device()


def test_too_little_memory_for_the_weights_is_an_error_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_adapt", _fails("CUDA out of memory", torch.OutOfMemoryError))
    with pytest.raises(OutOfMemory):
        loading.load_parts.__wrapped__(_tiny_key())


@pytest.mark.parametrize("lacks", ["find_spec", "which"])
def test_compiling_without_a_compiler_is_told_before_anything_is_loaded(
    lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: object())
    monkeypatch.setattr(loading, "which", lambda name: "/usr/bin/cc")
    monkeypatch.setattr(loading, lacks, lambda name: None)
    monkeypatch.setattr(loading, "_loaded", _fails("weights are read"))
    with pytest.raises(PresetUnavailable, match="triton and a C compiler"):
        loading.load_parts.__wrapped__(replace(_tiny_key(), compile=True))
