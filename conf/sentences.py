"""pydantic's validation errors as plain sentences: what is expected, and what was given if that may be repeated."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

_LONGEST_ECHO = 20
"""Characters of a number that is repeated. Strings never are: they may be long, or a misplaced secret."""
_LONGEST_WORD = 200
"""Characters of a word that are compared with known ones, which are far shorter: a caller's may have millions."""
_MISMATCHES: Mapping[str, str] = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_from_float": "an integer",
    "int_parsing_size": "a smaller integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "dict_type": "an object",
    "mapping_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "none_required": "null",
}
"""What is expected, by pydantic's type of error; for a union all alternatives are listed."""


def sentence_of(errors: Sequence[ErrorDetails]) -> tuple[tuple[str | int, ...], str]:
    """Return the location of the first invalid field and a sentence about it that repeats no string.

    ``errors`` are pydantic's, with input and context. A union has one error for each of its members: the member that
    the value was meant for is reported, or all of them if it matches none.
    """
    first = errors[0]
    same = [error for error in errors if error["loc"][:1] == first["loc"][:1]]
    if not _are_of_a_union(same):
        return first["loc"], _sentence(first)
    meant = [error for error in same if len(error["loc"]) > 2 or not _is_mismatch(error)]
    if meant:
        return meant[0]["loc"], _sentence(meant[0])
    *others, last = dict.fromkeys(_wanted(error) for error in same)
    wanted = f"{', '.join(others)} or {last}" if others else last
    return first["loc"], f"must be {wanted}, got {_shown(first['input'])}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the most similar known word; empty where none is similar."""
    near = difflib.get_close_matches(word[:_LONGEST_WORD], known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _are_of_a_union(errors: Sequence[ErrorDetails]) -> bool:
    """Whether one value was validated against several types, whose names pydantic appends to the location."""
    if not all(len(error["loc"]) > 1 and isinstance(error["loc"][1], str) for error in errors):
        return False
    values = {id(error["input"]) for error in errors if len(error["loc"]) == 2}
    return len({error["loc"][1] for error in errors}) > 1 and len(values) == 1


def _is_mismatch(error: ErrorDetails) -> bool:
    return error["type"] in _MISMATCHES or error["type"] in ("literal_error", "enum")


def _wanted(error: ErrorDetails) -> str:
    if error["type"] in ("literal_error", "enum"):
        # pydantic's own list, without its quotes.
        return str(error.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ")
    return _MISMATCHES.get(error["type"], "something else")


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    context = error.get("ctx", {})
    given = _shown(error["input"])
    if kind in _MISMATCHES:
        return f"must be {_MISMATCHES[kind]}, got {given}"
    bounds = {
        "greater_than": ("more than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
        "multiple_of": ("a multiple of", "multiple_of"),
    }
    if kind in bounds:
        word, key = bounds[kind]
        return f"must be {word} {context.get(key)}, got {given}"
    lengths = {
        "string_too_short": ("at least", "min_length", "characters"),
        "string_too_long": ("at most", "max_length", "characters"),
        "too_short": ("at least", "min_length", "entries"),
        "too_long": ("at most", "max_length", "entries"),
    }
    if kind in lengths:
        word, key, unit = lengths[kind]
        number = context.get(key)
        return f"must have {word} {number} {unit if number != 1 else unit.replace('ies', 'y').removesuffix('s')}"
    if kind in ("literal_error", "enum"):
        return f"must be one of: {_wanted(error)}; got {given}"
    if kind == "union_tag_invalid":
        field, names = (str(context.get(key, "")).replace("'", "") for key in ("discriminator", "expected_tags"))
        return f"{field or 'the kind'} must be one of: {names}"
    if kind == "value_error":
        return str(context.get("error", "")) or "is not an accepted value"
    return {
        "missing": "is required",
        "extra_forbidden": "unknown field",
        "finite_number": f"must be a finite number, got {given}",
        "string_unicode": "must be text in Unicode",
        "string_pattern_mismatch": "does not have the required form",
        "invalid_key": "must have strings for its keys",
        "recursion_loop": "must not contain itself",
    }.get(kind, "is not an accepted value")


def _shown(value: Any) -> str:
    """Return the given value if it may be repeated (JSON literals, short numbers), else only its kind."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity"
    if isinstance(value, int | float):
        if isinstance(value, int) and value.bit_length() > 4 * _LONGEST_ECHO:
            return "a longer number"
        text = repr(value)
        return text if len(text) <= _LONGEST_ECHO else "a longer number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, Mapping) else "something else"
