"""Tables and JSON schemas of the request, its overrides and the answer, for the documentation.

``python -m worker.schema_tables`` rewrites all of them in place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from conf import CALLER_KEYS, compose_settings
from pipeline.mode_results import CharacterReport, PeopleReport, PersonReport
from pipeline.result import Estimate, Quality, Value
from pipeline.settings import Settings, class_with
from worker.input import JobInput
from worker.output import Answer, ErrorAnswer, JobAnswer

_ROOT = Path(__file__).resolve().parents[1]
SCHEMA_FOLDER = _ROOT / "docs" / "schema"


_REFERENCES = {
    "SubjectPoint": "{x, y, at_s}",
    "Quality": "object, see below",
    "Estimate": "object, see below",
    "PersonReport": "object, see below",
    "PersonPoint": "{x, y, at_s}",
    "BoxInStill": "{number, box_xyxy}",
    "SubjectInput": "{subject, reference_image_urls, prompt, seed}",
    "SubjectReport": "{number, frames_replaced, frames_absent, frames_uncertain, contacts, quality}",
    "FanOutEstimate": "{workers, seconds, cost_usd}",
    "FanOutReport": "{workers, chunks_here, chunks_elsewhere, chunks_taken_over}",
    "SegmentReport": "{shot, kind, start_frame, end_frame, start_s, end_s}",
}
"""How the tables show the type of an object."""


def request_table() -> str:
    """Return the request's schema as a Markdown table, for ``docs/api.md``."""
    rows = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in JobInput.model_json_schema()["properties"].items():
        required = name in JobInput.model_json_schema().get("required", ())
        default = "required" if required else f"`{_shown(field.get('default'))}`"
        rows.append(f"| `{name}` | {_type_of(field)} | {default} | {field['description']} |")
    return "\n".join(rows)


def override_table(settings: Settings) -> str:
    """Return the settings that a job may change as a Markdown table, for ``docs/settings.md``.

    ``settings`` have the defaults.
    """
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key in CALLER_KEYS:
        _, name = key.split(".")
        kind = class_with(settings, key)
        field = kind.model_json_schema()["properties"][name]
        meaning = " ".join(field["description"].replace("``", "`").split())
        rows.append(f"| `{key}` | {_type_of(field)} | `{_shown(kind().model_dump()[name])}` | {meaning} |")
    return "\n".join(rows)


def answer_table() -> str:
    """Return the answer of a job that produced a result as a Markdown table."""
    return _table_of(JobAnswer)


def quality_table() -> str:
    """Return the quality metrics as a Markdown table."""
    return _table_of(Quality)


def estimate_table() -> str:
    """Return the fields of an estimate as a Markdown table."""
    return _table_of(Estimate)


def people_table() -> str:
    """Return the answer in the mode ``people``, without its files, as a Markdown table."""
    return _table_of(PeopleReport)


def person_table() -> str:
    """Return the report on one person as a Markdown table."""
    return _table_of(PersonReport)


def character_table() -> str:
    """Return the answer in the mode ``character``, without its files, as a Markdown table."""
    return _table_of(CharacterReport)


def error_table() -> str:
    """Return the answer of a job that failed as a Markdown table."""
    return _table_of(ErrorAnswer)


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas (2020-12) of ``input`` and ``output``, by the name of their file."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    answer = TypeAdapter(Answer).json_schema()
    return {
        "input.schema.json": dialect | JobInput.model_json_schema(),
        "output.schema.json": dialect | {"title": "Answer"} | answer,
    }


def _table_of(model: type[Value]) -> str:
    rows = ["| key | type | what |", "|---|---|---|"]
    for name, field in model.model_json_schema()["properties"].items():
        meaning = " ".join(field.get("description", "").replace("``", "`").split())
        rows.append(f"| `{name}` | {_type_of(field)} | {meaning} |")
    return "\n".join(rows)


def _shown(value: Any) -> str:
    """Return a default in JSON notation; None is shown as "none"."""
    if value is None:
        return "none"
    return value if isinstance(value, str) and value else json.dumps(value)


def _type_of(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type_of(part) for part in field["anyOf"] if part.get("type") != "null")
    if "$ref" in field:
        return _REFERENCES[field["$ref"].rpartition("/")[2]]
    if "additionalProperties" in field:
        return "{name: " + _type_of(field["additionalProperties"]) + "}"
    if "prefixItems" in field:
        return "[" + ", ".join(_type_of(item) for item in field["prefixItems"]) + "]"
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


def tables() -> dict[str, str]:
    """Return every table by the name of the comments around it in the documents: ``<!-- name -->``."""
    return {
        "request": request_table(),
        "overrides": override_table(compose_settings("preview")),
        "answer": answer_table(),
        "quality": quality_table(),
        "estimate": estimate_table(),
        "people": people_table(),
        "person": person_table(),
        "character": character_table(),
        "error": error_table(),
    }


def schema_text(schema: dict[str, Any]) -> str:
    """Return the contents of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _write() -> None:
    SCHEMA_FOLDER.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        (SCHEMA_FOLDER / name).write_text(schema_text(schema), encoding="utf-8")
    for path in (_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for name, table in tables().items():
            begin, between, rest = text.partition(f"<!-- {name} -->\n")
            if between:
                _, end, after = rest.partition(f"<!-- /{name} -->")
                text = f"{begin}{between}{table}\n{end}{after}"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write()
