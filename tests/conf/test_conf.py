from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conf import CALLER_KEYS, apply_caller_overrides, compose_settings, preset_names
from pipeline.errors import InvalidInput
from pipeline.settings import Settings

_CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_composes(preset: str) -> None:
    assert compose_settings(preset).preset == preset


def test_the_files_hold_every_setting_and_the_schemas_defaults() -> None:
    groups = [next(iter(item)) for item in yaml.safe_load((_CONF / "config.yaml").read_text())["defaults"][:-2]]
    assert groups == [name for name in Settings.model_fields if name != "preset"]
    assert compose_settings("preview") == Settings()
    defaults = {
        k: v for item in yaml.safe_load((_CONF / "config.yaml").read_text())["defaults"][:-2] for k, v in item.items()
    }
    for group, name in defaults.items():
        values = yaml.safe_load((_CONF / group / f"{name}.yaml").read_text())
        assert set(values) == set(type(getattr(Settings(), group)).model_fields)


def test_the_operators_grammar_is_hydras() -> None:
    settings = compose_settings("preview", ("segment.count=3", "output=lossless", "foot_lock=fixed", "plate=off"))
    assert settings.segment.count == 3 and settings.output.codec == "lossless"
    assert settings.foot_lock.velocity_px == 5 and settings.foot_lock.strength == 0.7
    assert settings.plate.method == "off"


@pytest.mark.parametrize("preset", preset_names())
def test_a_file_that_the_operator_chooses_wins_over_the_presets(preset: str) -> None:
    for group, chosen in (("temporal", "flow"), ("temporal", "off"), ("plate", "off"), ("output", "lossless")):
        settings = getattr(compose_settings(preset, (f"{group}={chosen}",)), group)
        assert chosen in settings.model_dump().values()


@pytest.mark.parametrize(
    "override", ["segment.count=99", "nope.count=1", "segment.kount=1", "segment.count=[", "+x.y=1"]
)
def test_an_operators_mistake_is_told(override: str) -> None:
    with pytest.raises(InvalidInput):
        compose_settings("preview", (override,))


@pytest.mark.parametrize("preset", ["nope", "../../evil", "/etc", ""])
def test_an_unknown_preset_lists_the_known_ones(preset: str) -> None:
    with pytest.raises(InvalidInput, match="preview") as caught:
        compose_settings(preset)
    assert caught.value.field == "preset"


def test_the_order_is_preset_operator_caller_and_a_lock_wins() -> None:
    settings = compose_settings("preview", ("segment.count=2",))
    assert apply_caller_overrides(settings, {"segment.count": 3}).segment.count == 3
    assert apply_caller_overrides(settings, {"segment.count": 3}, ("segment.count",)).segment.count == 2


def test_the_allowlist_names_settings_that_exist() -> None:
    values = Settings().model_dump()
    for key in CALLER_KEYS:
        group, name = key.split(".")
        assert name in values[group]


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"_target_": "os.system"}, "overrides._target_"),
        ({"limits.max_frames": 10**9}, "overrides.limits.max_frames"),
        ({"hydra.run.dir": "/tmp/x"}, "overrides.hydra.run.dir"),
        ({"segment.count": "${oc.env:SECRET}"}, "overrides.segment.count"),
        ({"segment.count": True}, "overrides.segment.count"),
        ({"segment.count": 99}, "overrides.segment.count"),
        ({"temporal.strength": "0.5"}, "overrides.temporal.strength"),
        ({"output.codec": "../x"}, "overrides.output.codec"),
    ],
)
def test_a_callers_overrides_are_a_short_list(overrides: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        apply_caller_overrides(Settings(), overrides)
    assert caught.value.field == field
    assert "SECRET" not in caught.value.message and "../x" not in caught.value.message
