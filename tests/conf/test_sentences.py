"""Every error type of pydantic has a sentence of ours that repeats none of the caller's text."""

from __future__ import annotations

import tracemalloc
from typing import Any, get_args

import pytest
from pydantic_core import ErrorDetails, core_schema

from conf import apply_caller_overrides, compose_settings
from conf.sentences import nearest, sentence_of
from pipeline.errors import InvalidInput
from worker.input import parse_request

_GOOD = {"video_url": "a.mp4"}
_NAN = float("nan")
_ANYBODY = "largest, leftmost, rightmost, centre, an integer, an object or a list"


@pytest.mark.parametrize("kind", get_args(core_schema.ErrorType))
def test_no_error_uses_pydantics_wording(kind: str) -> None:
    error = ErrorDetails(type=kind, loc=("field",), msg="Input should be a valid thing", input="geheim")
    place, told = sentence_of([error])
    assert place == ("field",) and told and told[0].islower()
    assert "geheim" not in told and "Input should" not in told and "valid" not in told.split()


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"seed": True}, "seed", "must be an integer, got true"),
        ({"seed": "geheim"}, "seed", "must be an integer, got a string"),
        ({"seed": None}, "seed", "must be an integer, got null"),
        ({"seed": 1.5}, "seed", "must be an integer, got 1.5"),
        ({"seed": [1]}, "seed", "must be an integer, got a list"),
        ({"seed": {"a": 1}}, "seed", "must be an integer, got an object"),
        ({"seed": _NAN}, "seed", "must be an integer, got NaN"),
        ({"seed": -1}, "seed", "must be at least 0, got -1"),
        ({"seed": 10**30}, "seed", "must be less than 4294967296, got a longer number"),
        ({"start_s": _NAN}, "start_s", "must be a finite number, got NaN"),
        ({"end_s": 0}, "end_s", "must be more than 0.0, got 0"),
        ({"start_s": "geheim"}, "start_s", "must be a number, got a string"),
        ({"prompt": "x" * 2001}, "prompt", "must have at most 2000 characters"),
        ({"prompt": "a\0"}, "prompt", "must not contain a NUL character"),
        ({"prompt": 5}, "prompt", "must be a string, got 5"),
        ({"upload_url": ""}, "upload_url", "must have at least 1 character"),
        ({"on_lost": "geheim"}, "on_lost", "must be one of: warn, error; got a string"),
        ({"artifacts": "mask"}, "artifacts", "must be a list, got a string"),
        ({"artifacts": ["mask", "geheim"]}, "artifacts.1", "must be one of: "),
        ({"artifacts": ["mask", "mask"]}, "artifacts", "must list each artifact only once"),
        ({"geheim": 1}, "geheim", "unknown field"),
        ({"overrides": 5}, "overrides", "must be an object, got 5"),
        ({"upload_headers": {"x-amz-acl": 5}}, "upload_headers.x-amz-acl", "must be a string, got 5"),
        ({"artifact_upload_urls": {"mask": 5, "plate": 5}}, "artifact_upload_urls.mask", "must be a string, got 5"),
        # Unions: the intended member, or all.
        ({"subject": True}, "subject", f"must be {_ANYBODY}, got true"),
        ({"subject": "geheim"}, "subject", f"must be {_ANYBODY}, got a string"),
        ({"subject": -1}, "subject", "must be at least 0, got -1"),
        ({"subject": {"x": 1, "y": 2}}, "subject.at_s", "is required"),
        ({"subject": {"x": "geheim", "y": 2, "at_s": 1}}, "subject.x", "must be a number, got a string"),
        ({"subject": {"x": 1, "y": 2, "at_s": 1, "z": 1}}, "subject.z", "unknown field"),
        # The error names what this setting accepts, not the union of all settings' types.
        ({"overrides": {"segment.count": None}}, "overrides.segment.count", "must be an integer, got null"),
        ({"overrides": {"segment.count": [3]}}, "overrides.segment.count", "must be an integer, got a list"),
        ({"overrides": {"segment.count": _NAN}}, "overrides.segment.count", "must be an integer, got NaN"),
        ({"overrides": {"plate.method": {}}}, "overrides.plate.method", "must be one of: "),
        ({"overrides": {"geheim": []}}, "overrides.geheim", "this setting cannot be changed"),
    ],
)  # fmt: skip
def test_a_sentence_states_what_is_expected(change: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request({**_GOOD, **change})
    assert caught.value.field == field and caught.value.message.startswith(told)
    assert "geheim" not in caught.value.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"video": "clip.mp4"}, "unknown field; did you mean video_url?"),
        ({"prompts": "a man"}, "unknown field; did you mean prompt?"),
        ({"subjects": [{"subject": 0, "prompts": "a man"}]}, "unknown field; did you mean prompt?"),
        # Fields of the job itself are none of an entry's.
        ({"subjects": [{"subject": 0, "override": {}}]}, "unknown field"),
        ({"wallpaper": "a man"}, "unknown field"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_known_one(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request({**_GOOD, **change})
    assert caught.value.message == told


def test_a_field_name_of_millions_of_characters_is_not_compared_as_a_whole() -> None:
    name = "video_url" * 50_000
    tracemalloc.start()
    try:
        assert nearest(name, ("video_url", "prompt")) == ""
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("segment.count", 99, "must be at most 12, got 99"),
        ("segment.count", "geheim", "must be an integer, got a string"),
        ("composite.complete_mask", 1, "must be true or false, got 1"),
        ("composite.feather_px", _NAN, "must be a"),
    ],
)
def test_a_setting_composes_as_well(key: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        apply_caller_overrides(compose_settings(), {key: value})
    assert caught.value.field == f"overrides.{key}" and caught.value.message.startswith(told)
