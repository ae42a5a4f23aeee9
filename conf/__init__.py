"""Settings from ``conf/``: the only file that knows Hydra.

The YAML files hold values. Order: preset < operator's overrides < caller's overrides; a key that the operator locks
keeps the operator's value. A caller's overrides never reach Hydra: they are looked up in ``CALLER_KEYS`` and validated.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from conf.sentences import sentence_of
from pipeline.errors import InvalidInput
from pipeline.settings import Settings

_FOLDER = Path(__file__).resolve().parent
_LOCK = threading.Lock()
"""Hydra keeps a global state while it composes."""
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
"""What a caller may set: nothing here touches a file or opens a cap."""


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets."""
    return tuple(sorted(path.stem for path in (_FOLDER / "preset").glob("*.yaml")))


def group_names() -> tuple[str, ...]:
    """Return the names of the groups that have files to choose from, such as ``output``."""
    return tuple(sorted(path.name for path in _FOLDER.iterdir() if any(path.glob("*.yaml"))))


def compose_settings(preset: str = DEFAULT_PRESET, overrides: Sequence[str] = ()) -> Settings:
    """Compose a preset with the operator's overrides (Hydra's grammar), once for each pair.

    Raises ``InvalidInput`` for an unknown preset (field ``preset``), or an override that Hydra or a range refuses.
    """
    if preset not in preset_names():
        raise InvalidInput(f"there is no such preset; there are: {', '.join(preset_names())}", field="preset")
    return _composed(preset, tuple(overrides))


@lru_cache(maxsize=32)
def _composed(preset: str, overrides: tuple[str, ...]) -> Settings:
    with _LOCK:
        try:
            with initialize_config_dir(config_dir=str(_FOLDER), version_base="1.3"):
                composed = compose("config", overrides=[f"preset={preset}", *overrides])
            values = OmegaConf.to_container(composed, resolve=False)
        except (HydraException, OmegaConfBaseException) as error:
            told = str(error).strip().splitlines()[0]
            raise InvalidInput(f"the operator's overrides cannot be used: {told}", field="overrides") from error
    assert isinstance(values, dict)
    try:
        return Settings.model_validate({**{str(k): v for k, v in values.items()}, "preset": preset})
    except ValidationError as error:
        raise _first_of(error, "") from error


def apply_caller_overrides(settings: Settings, overrides: Mapping[str, Any], locked: Sequence[str] = ()) -> Settings:
    """Return the settings with a caller's ``{"segment.count": 3}`` in them; locked keys keep their value.

    Raises ``InvalidInput`` with the field ``overrides.KEY``: the key is not in ``CALLER_KEYS``, or the value has the
    wrong type or is out of range. The value is not repeated in the message.
    """
    values = settings.model_dump()
    for key, value in overrides.items():
        if key not in CALLER_KEYS:
            raise InvalidInput(
                f"this key cannot be set; these can: {', '.join(CALLER_KEYS)}", field=f"overrides.{key}"[:100]
            )
        if key in locked:
            continue
        group, name = key.split(".")
        values[group][name] = value
        try:
            type(getattr(settings, group)).model_validate(values[group], strict=True)
        except ValidationError as error:
            raise _first_of(error, f"overrides.{group}.") from error
    return Settings.model_validate(values)


def _first_of(error: ValidationError, prefix: str) -> InvalidInput:
    location, told = sentence_of(error.errors(include_url=False))
    return InvalidInput(told, field=prefix + ".".join(map(str, location)))
