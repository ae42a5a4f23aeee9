"""The files that RunPod's Hub reads: the format of its publishing guide (docs.runpod.io), and our names in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from conf import compose_settings
from worker.command_line import help_text, parse_arguments
from worker.environment import read_worker_settings
from worker.input import parse_request
from worker.source.urls import read_url

_ROOT = Path(__file__).resolve().parents[1]
_HUB, _TESTS = (json.loads((_ROOT / ".runpod" / name).read_text()) for name in ("hub.json", "tests.json"))
_Flavor = Annotated[str, Field(pattern=r"^cpu(3c|3g|5c)-\d+-\d+$")]
"""RunPod's instance ids: generation and kind, virtual cores, memory in GB."""
_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Option(_Strict):
    label: _Text
    value: str


class _Input(_Strict):
    name: _Text
    type: Literal["string", "number", "boolean", "huggingface"]
    description: _Text
    default: str | int | bool
    options: list[_Option] | None = None
    min: int | None = None
    max: int | None = None
    trueValue: str | None = None
    falseValue: str | None = None
    advanced: bool = False

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        kinds = {"string": str, "huggingface": str, "number": int, "boolean": bool}
        assert type(self.default) is kinds[self.type]
        if isinstance(self.default, int) and self.min is not None and self.max is not None:
            assert self.min <= self.default <= self.max
        return self


class _Variable(_Strict):
    key: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    value: str | None = None
    input: _Input | None = None

    @model_validator(mode="after")
    def _has_one_of_them(self) -> Self:
        assert (self.value is None) != (self.input is None)
        return self


class _Preset(_Strict):
    name: _Text
    defaults: dict[str, str | int | bool]


class _Machine(_Strict):
    runsOn: Literal["GPU", "CPU"]
    containerDiskInGb: Annotated[int, Field(ge=1)]
    cpuFlavor: _Flavor | None = None
    gpuCount: int | None = None
    gpuIds: str | None = None
    allowedCudaVersions: list[str] | None = None
    presets: list[_Preset] = []
    env: list[_Variable] = []

    @model_validator(mode="after")
    def _names_its_hardware(self) -> Self:
        on_cpu = self.runsOn == "CPU"
        assert (self.cpuFlavor is not None) == on_cpu
        assert (self.gpuIds is None) == (self.gpuCount is None) == on_cpu
        return self


class _Hub(_Strict):
    title: _Text
    description: _Text
    type: Literal["serverless"]
    category: Literal["audio", "embedding", "language", "video", "image"]
    iconUrl: str | None = None
    config: _Machine


class _Case(_Strict):
    name: _Text
    input: dict[str, Any]
    timeout: Annotated[int, Field(ge=1000)]


class _Setting(_Strict):
    key: _Text
    value: str


class _TestMachine(_Strict):
    cpuFlavor: _Flavor | None = None
    gpuTypeId: str | None = None
    gpuCount: int | None = None
    env: list[_Setting] = []
    allowedCudaVersions: list[str] | None = None


class _HubTests(_Strict):
    tests: Annotated[list[_Case], Field(min_length=1)]
    config: _TestMachine


def _defaults() -> dict[str, str]:
    """Return the environment of a worker whose operator changed nothing in the Hub's form."""
    return {
        each.key: str(each.input.default) if each.input else str(each.value)
        for each in _Hub.model_validate(_HUB).config.env
    }


def _with_preset(preset: _Preset) -> dict[str, str]:
    return _defaults() | {name: str(value) for name, value in preset.defaults.items()}


def _starts(environment: dict[str, str]) -> None:
    """Read an environment as handler.py does on the platform; raises ``InvalidInput`` for a value that is wrong."""
    arguments = parse_arguments(["handler.py"], {"RUNPOD_WEBHOOK_GET_JOB": "x", **environment})
    assert arguments is not None and arguments.origin == "platform"
    settings = compose_settings(arguments.preset or "", arguments.overrides)
    # The image and the machine are for a CPU: a preset that wants another is not to be offered here.
    assert settings.preset == "preview"
    worker = read_worker_settings(environment, "platform")
    assert worker.job_seconds is not None and worker.bucket is None and worker.state_dir is None


def test_both_files_have_the_hubs_format_and_ask_for_the_same_machine() -> None:
    hub = _Hub.model_validate(_HUB)
    tests = _HubTests.model_validate(_TESTS)
    assert tests.config.cpuFlavor == hub.config.cpuFlavor
    for name in ("handler.py", "Dockerfile", "README.md"):
        assert (_ROOT / name).is_file()


def test_each_variable_is_one_that_help_names() -> None:
    known = set(re.findall(r"\b(?:UNDERSTUDY|BUCKET)_[A-Z_]+\b", help_text()))
    hub = _Hub.model_validate(_HUB).config
    keys = [each.key for each in hub.env]
    assert len(set(keys)) == len(keys) and set(keys) <= known
    assert {each["key"] for each in _TESTS["config"]["env"]} <= known
    for preset in hub.presets:
        assert set(preset.defaults) <= set(keys)


def test_a_worker_starts_with_the_forms_defaults_and_with_each_preset() -> None:
    _starts(_defaults())
    for preset in _Hub.model_validate(_HUB).config.presets:
        _starts(_with_preset(preset))
    _starts({each["key"]: each["value"] for each in _TESTS["config"]["env"]})


def test_each_test_is_a_job_that_this_worker_takes_without_a_bucket() -> None:
    for case in _HubTests.model_validate(_TESTS).tests:
        request = parse_request(case.input)
        target = read_url(request.video_url, field="video_url", private_hosts=frozenset())
        assert target.url.startswith("https://") and request.inline


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ((), "category", "films"),
        ((), "version", "1"),
        (("config",), "cpuFlavor", None),
        (("config",), "gpuCount", 1),
        (("config", "env", 0), "value", "preset=preview"),
        (("config", "env", 1, "input"), "default", 0),
    ],
)
def test_errors_that_the_hub_would_refuse_are_found(place: tuple[str | int, ...], key: str, value: object) -> None:
    wrong = json.loads(json.dumps(_HUB))
    target = wrong
    for part in place:
        target = target[part]
    target[key] = value
    with pytest.raises(ValidationError):
        _Hub.model_validate(wrong)
