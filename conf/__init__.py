"""Settings from ``conf/``: the only module that uses Hydra.

``pipeline.settings`` holds the defaults, the YAML files hold what differs from them. Order of precedence: preset <
operator's overrides < caller's overrides; a key locked by the operator keeps the operator's value. A caller's
overrides never reach Hydra: they are looked up in ``CALLER_KEYS`` and validated.

An operator's overrides apply to every preset. Hydra therefore composes the settings of all generators, and those of
generators that the preset does not use are dropped afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from conf.sentences import sentence_of
from pipeline.errors import InvalidInput
from pipeline.settings import Settings, class_with, classes_of

_FOLDER = Path(__file__).resolve().parent
_LOCK = threading.Lock()
"""Hydra has global state while it composes."""
DEFAULT_PRESET = "preview"
CALLER_KEYS: tuple[str, ...] = (
    "composite.carried",
    "composite.complete_mask",
    "composite.crossfade",
    "composite.dilate_bh",
    "composite.feather_px",
    "composite.light",
    "composite.match_sharpness",
    "composite.shadows",
    "foot_lock.ease_seconds",
    "foot_lock.method",
    "foot_lock.strength",
    "foot_lock.velocity_px",
    "generate.body_scale",
    "generate.figure",
    "generate.guidance",
    "generate.reference_scale",
    "generate.steps",
    "generate.strength",
    "output.codec",
    "output.crf",
    "people.max_gap_seconds",
    "plate.gain",
    "plate.grain",
    "plate.inpaint",
    "plate.method",
    "segment.count",
    "segment.overlap_frames",
    "stabilize.model",
    "stabilize.window_seconds",
    "temporal.method",
    "temporal.strength",
)
"""The settings that a caller may change: none of them names a file or lifts a limit."""


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(sorted(path.stem for path in (_FOLDER / "preset").glob("*.yaml")))


def group_names() -> tuple[str, ...]:
    """Return the names of the config groups that have files to choose from, such as ``output``."""
    return tuple(sorted(path.name for path in _FOLDER.iterdir() if any(path.glob("*.yaml"))))


def compose_settings(preset: str = DEFAULT_PRESET, overrides: Sequence[str] = ()) -> Settings:
    """Compose a preset with the operator's overrides (Hydra's grammar); the result is cached.

    Raises ``InvalidInput`` for an unknown preset (field ``preset``), and for an override that is invalid or out of
    range.
    """
    if preset not in preset_names():
        raise InvalidInput(f"unknown preset; available: {', '.join(preset_names())}", field="preset")
    return _composed(preset, tuple(overrides))


@lru_cache(maxsize=32)
def _composed(preset: str, overrides: tuple[str, ...]) -> Settings:
    with _LOCK:
        try:
            ConfigStore.instance().store(name="defaults", node=_defaults())
            with initialize_config_dir(config_dir=str(_FOLDER), version_base="1.3"):
                composed = compose("config", overrides=[f"preset={preset}", *overrides])
            values = OmegaConf.to_container(composed, resolve=False)
        # Hydra raises ValueError if a group is set to a number.
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            message = str(error).strip().splitlines()[0]
            raise InvalidInput(f"the operator's overrides are invalid: {message}", field="overrides") from error
    assert isinstance(values, dict)
    try:
        chosen = {str(group): value for group, value in values.items()}
        chosen["generate"] = _of_generator(chosen.get("generate"))
        return Settings.model_validate({**chosen, "preset": preset})
    except ValidationError as error:
        raise _first_of(error, "") from error


def _defaults() -> dict[str, Any]:
    """Return the default of every setting by group; the group ``generate`` has those of all generators."""
    defaults = Settings().model_dump(mode="json", exclude={"preset"})
    for kind in classes_of("generate"):
        defaults["generate"] = kind().model_dump(mode="json") | defaults["generate"]
    return defaults


def _of_generator(values: Any) -> Any:
    """Drop the settings of the group ``generate`` that belong only to other generators than the chosen one."""
    kinds = {kind().model_dump()["backend"]: kind for kind in classes_of("generate")}
    if not isinstance(values, dict) or values.get("backend") not in kinds:
        # Validation reports the error.
        return values
    others = {name for kind in kinds.values() for name in kind.model_fields}
    left_out = others - kinds[values["backend"]].model_fields.keys()
    return {name: value for name, value in values.items() if name not in left_out}


def apply_caller_overrides(settings: Settings, overrides: Mapping[str, Any], locked: Sequence[str] = ()) -> Settings:
    """Return the settings with a caller's overrides, such as ``{"segment.count": 3}``; locked keys keep their value.

    Raises ``InvalidInput`` with the field ``overrides.KEY`` if the key is not in ``CALLER_KEYS``, or if the value has
    the wrong type or is out of range. The message does not repeat the value.
    """
    values = settings.model_dump()
    for key, value in overrides.items():
        if key not in CALLER_KEYS:
            raise InvalidInput(
                f"this setting cannot be changed; these can: {', '.join(CALLER_KEYS)}", field=f"overrides.{key}"[:100]
            )
        if key in locked:
            continue
        group, name = key.split(".")
        kind = class_with(settings, key)
        try:
            if isinstance(getattr(settings, group), kind):
                values[group][name] = value
                kind.model_validate(values[group], strict=True)
            else:
                # A setting of another generator: validated, but without effect.
                kind.model_validate({name: value}, strict=True)
        except ValidationError as error:
            raise _first_of(error, f"overrides.{group}.") from error
    return Settings.model_validate(values)


def _first_of(error: ValidationError, prefix: str) -> InvalidInput:
    location, message = sentence_of(error.errors(include_url=False))
    if location[:1] == ("generate",):
        # After the group, pydantic names the member of the union.
        location = (*location[:1], *location[2:])
    return InvalidInput(message, field=prefix + ".".join(map(str, location)))
