from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from conf import CALLER_KEYS, apply_caller_overrides, compose_settings, preset_names
from pipeline.errors import InvalidInput
from pipeline.settings import MannequinSettings, Settings, StableDiffusionSettings, class_with, classes_of

_CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_composes(preset: str) -> None:
    assert compose_settings(preset).preset == preset


def test_the_first_screen_names_every_group() -> None:
    lines = yaml.safe_load((_CONF / "config.yaml").read_text())["defaults"]
    assert [next(iter(line)) for line in lines[1:-2]] == [name for name in Settings.model_fields if name != "preset"]
    assert compose_settings("preview") == Settings()


@pytest.mark.parametrize("path", sorted(_CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_default_is_defined_once(path: Path) -> None:
    """A file of a group holds what differs from the class's defaults, and no more."""
    group = path.parent.name
    if group == "preset":
        return
    values = yaml.safe_load(path.read_text()) or {}
    overrides = {f"{group}={path.stem}", f"people={'blazepose' if group != 'people' else path.stem}"}
    chosen = getattr(compose_settings("preview", tuple(sorted(overrides))), group)
    default = type(chosen)().model_dump(mode="json")
    # The name of the generator chooses the class.
    assert [name for name, value in values.items() if name != "backend" and value == default[name]] == []


def test_generators_agree_on_the_defaults_that_they_share() -> None:
    kinds = classes_of("generate")
    assert {kind().model_dump()["backend"] for kind in kinds} == {
        "mannequin",
        "sd15",
        "animatediff",
        "vace",
        "wan_animate",
    }
    seen: dict[str, object] = {}
    for kind in kinds:
        for name, value in kind().model_dump(exclude={"backend"}).items():
            assert seen.setdefault(name, value) == value, name


@pytest.mark.parametrize("preset", preset_names())
def test_an_operators_override_of_one_generator_may_stand_beside_every_preset(preset: str) -> None:
    settings = compose_settings(
        preset, ("generate.device=cpu", "generate.motion=v1-5-3", "generate.crop_height_px=512")
    )
    assert getattr(settings.generate, "device", "cpu") == "cpu"
    assert getattr(settings.generate, "motion", "v1-5-3") == "v1-5-3"
    assert getattr(settings.generate, "crop_height_px", 512) == 512


def test_settings_of_another_generator_are_not_there() -> None:
    with pytest.raises(ValidationError):
        MannequinSettings.model_validate({"steps": 4})
    assert not hasattr(compose_settings("preview").generate, "steps")
    with pytest.raises(InvalidInput) as caught:
        compose_settings("fast", ("generate.steps=99",))
    assert caught.value.field == "generate.steps"
    with pytest.raises(
        InvalidInput, match=r"^backend must be one of: mannequin, sd15, animatediff, vace, wan_animate$"
    ):
        compose_settings("fast", ("generate.backend=nobody",))


def test_a_callers_setting_of_another_generator_is_checked_and_has_no_effect() -> None:
    settings = compose_settings("preview")
    assert apply_caller_overrides(settings, {"generate.steps": 8}) == settings
    with pytest.raises(InvalidInput) as caught:
        apply_caller_overrides(settings, {"generate.steps": 99})
    assert caught.value.field == "overrides.generate.steps"
    painted = apply_caller_overrides(compose_settings("fast"), {"generate.steps": 8})
    assert isinstance(painted.generate, StableDiffusionSettings) and painted.generate.steps == 8


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
    "override",
    ["segment.count=99", "nope.count=1", "segment.kount=1", "segment.count=[", "+x.y=1", "+generate.x=1", "generate=5"],
)
def test_an_operators_mistake_is_reported(override: str) -> None:
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
    for key in CALLER_KEYS:
        assert key.partition(".")[2] in class_with(Settings(), key).model_fields


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
