from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).resolve().parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _pins(name: str) -> dict[str, str]:
    pins: dict[str, str] = {}
    for line in (_ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            pins |= _pins(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            package, version = line.split("==")
            pins[canonicalize_name(package)] = version
    return pins


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", _PROJECT["dependencies"]),
        ("requirements-dev.lock", _PROJECT["dependencies"] + _PROJECT["optional-dependencies"]["dev"]),
        ("requirements-gpu.lock", _PROJECT["dependencies"] + _PROJECT["optional-dependencies"]["gpu"]),
    ],
)
def test_the_lock_pins_what_the_project_asks_for(lock: str, wanted: list[str]) -> None:
    pins = _pins(lock)
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_the_core_brings_neither_torch_nor_a_second_opencv() -> None:
    pins = _pins("requirements.lock")
    assert not pins.keys() & {"torch", "torchvision", "diffusers", "transformers", "ultralytics", "pytest"}
    assert [name for name in pins if name.startswith("opencv")] == ["opencv-python"]
