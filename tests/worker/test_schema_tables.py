"""The documents' tables and schemas are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from worker.output import read_answer, wire_form
from worker.schema_tables import SCHEMA_FOLDER, json_schemas, schema_text, tables

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(tables()))
def test_a_table_in_the_documents_is_the_schemas(name: str) -> None:
    documents = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
    mark = re.compile(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", re.DOTALL)
    found = [table for path in documents for table in mark.findall(path.read_text(encoding="utf-8"))]
    assert found == [tables()[name]], "run python -m worker.schema_tables"


@pytest.mark.parametrize("name", sorted(json_schemas()))
def test_a_schema_file_is_the_codes(name: str) -> None:
    text = (SCHEMA_FOLDER / name).read_text(encoding="utf-8")
    assert text == schema_text(json_schemas()[name]), "run python -m worker.schema_tables"


_QUALITY = {"changed_outside": 0, "foot_slide_percent": None}
_RESULT = {
    "video_url": "https://example.com/result.mp4", "video_content_type": "video/mp4",
    "artifacts": {"plate": ["a", "b"]},
    "preset": "preview", "seed": 1, "frames": 2, "frames_replaced": 2, "frames_absent": 0, "frames_uncertain": 0,
    "duration_s": 0.1, "width": 640, "height": 360,
    "segments": [
        {"shot": 0, "kind": "hold", "start_frame": 0, "end_frame": 2, "start_s": 0.0, "end_s": 0.1},
    ],
    "timings_s": {"survey": 1.0}, "quality": _QUALITY, "warnings": [], "versions": {"numpy": "2"},
}  # fmt: skip
_ESTIMATE = {
    "frames": 2, "windows": 1, "generator_calls": 4, "tflop": 9.5, "other_stages_s": 1.0,
    "seconds": {"A40": [1.0, 2.0, 3.0]}, "cost_usd": {"A40": [0.1, 0.2, 0.3]},
}  # fmt: skip
_ANSWERS = [
    _RESULT,
    {"preset": "preview", "estimate": _ESTIMATE, "warnings": []},
    {"error": "no", "error_code": "URL_REJECTED", "field": "video_url"},
    {"error": "no", "error_code": "GPU_ERROR", "refresh_worker": True},
]


@pytest.mark.parametrize("answer", _ANSWERS)
def test_an_answer_comes_back_as_it_was_and_fits_its_schema(answer: dict[str, object]) -> None:
    assert wire_form(read_answer(answer)) == answer
    jsonschema.validate(answer, json_schemas()["output.schema.json"])


def test_a_newer_workers_answer_can_be_read_and_an_invalid_one_cannot() -> None:
    assert wire_form(read_answer({**_RESULT, "new": 1, "quality": {**_QUALITY, "newer": 2}})) == _RESULT
    for raw in (None, [], {}, {"video_url": "x"}, {**_RESULT, "frames": "many"}):
        with pytest.raises(ValueError, match="JobAnswer"):
            read_answer(raw)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"video_url": "x"}, json_schemas()["output.schema.json"])
