"""Tables of the request and of its overrides, for the documents."""

from __future__ import annotations

import json
from typing import Any

from conf import CALLER_KEYS
from pipeline.settings import Settings
from worker.input import JobInput


def request_table() -> str:
    """Return the schema as a Markdown table, for ``docs/api.md``."""
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in JobInput.model_json_schema()["properties"].items():
        required = name in JobInput.model_json_schema()["required"]
        default = "required" if required else f"`{_shown(field.get('default'))}`"
        rows.append(f"| `{name}` | {_type_of(field)} | {default} | {field['description']} |")
    return "\n".join(rows)


def override_table(settings: Settings) -> str:
    """Return the settings that a job may change as a Markdown table, for ``docs/settings.md``.

    ``settings`` have the defaults.
    """
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    values = settings.model_dump()
    for key in CALLER_KEYS:
        group, name = key.split(".")
        field = type(getattr(settings, group)).model_json_schema()["properties"][name]
        meaning = " ".join(field["description"].replace("``", "`").split())
        rows.append(f"| `{key}` | {_type_of(field)} | `{_shown(values[group][name])}` | {meaning} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    """Return a default as JSON has it; nothing at all is "none"."""
    return "none" if value is None else value if isinstance(value, str) and value else json.dumps(value)


def _type_of(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type_of(part) for part in field["anyOf"] if part.get("type") != "null")
    if "$ref" in field:
        return "{x, y, at_s}"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return "list of " + _type_of(field["items"])
    bounds = [
        f"{sign} {field[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in field
    ]
    return str(field["type"]) + (f" ({', '.join(bounds)})" if bounds else "")
