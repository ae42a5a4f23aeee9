"""Hypothesis strategies for job requests: valid ones, and ones with hostile or malformed parts."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from conf import CALLER_KEYS
from pipeline.settings import Settings, class_with
from worker.input import JobInput

CANARY = "kanarienvogel"
"""Contained in hostile texts; no message may repeat it."""


def _deep(levels: int, value: Any) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


_NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**31, 2**32, 2**32 - 1, 2**63, -1, -0.0, 5e-324, 1e308]),
    st.floats(),
)
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Cn", "Co")), max_size=5),
    st.sampled_from(["", "\0", f"\ud800{CANARY}", f"{CANARY}\0", "true", "NaN", "../" * 50 + CANARY, "${oc.env:HOME}"]),
    st.builds(lambda n: CANARY * n, st.integers(1, 600)),
)  # fmt: skip
_LEAVES = st.one_of(st.none(), st.booleans(), _NUMBERS, TEXTS)
ANYTHING = st.one_of(
    _LEAVES,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=8,
    ),
    st.builds(_deep, st.integers(1, 400), st.just(CANARY)),
)
HOSTILE_URLS = st.one_of(
    st.sampled_from(
        [
            "http://127.0.0.1:8000/a.mp4", "http://[::1]/a", "http://[::ffff:10.0.0.1]/a", "http://169.254.169.254/latest",
            "http://0x7f.1/", "http://2130706433/", "http://[64:ff9b::7f00:1]/", "http://user:pw@8.8.8.8/", "file:///etc/passwd",
            "gopher://127.0.0.1/", "http://", "http://[", "http://[::1", "http://a:99999/", "http://a:b/", "https://\udcff/",
            "http://" + "a" * 300, "http://xn--/", "http://ß.\u3002./", "concat:a|b", "//a/b", "http://a\r\nHost: b/",
        ]
    ),
    TEXTS.map(lambda text: f"http://{text}/a.mp4"),
    TEXTS,
)  # fmt: skip


def _good_override(key: str) -> st.SearchStrategy[Any]:
    """Return a strategy of values that the setting's own schema allows."""
    of = class_with(Settings(), key).model_fields[key.partition(".")[2]]
    schema = TypeAdapter(of.rebuild_annotation()).json_schema()
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "boolean":
        return st.booleans()
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum", 10)
    if schema.get("type") == "integer":
        return st.integers(int(low), int(high))
    open_low = "exclusiveMinimum" in schema
    return st.floats(low, high, exclude_min=open_low, allow_subnormal=False)


_OVERRIDES = st.lists(
    st.sampled_from(CALLER_KEYS).flatmap(lambda key: st.tuples(st.just(key), _good_override(key))), max_size=4
).map(dict)
_ARTIFACTS = st.lists(
    st.sampled_from(["analysis", "mask", "edit_region", "plate", "layer", "layers_debug", "report", "contact_sheet"]),
    unique=True,
    max_size=7,
)


def good_requests(urls: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of requests that satisfy the schema, with a clip from ``urls``."""
    seconds = st.floats(0, 1, allow_subnormal=False)
    return st.fixed_dictionaries(
        {"video_url": urls},
        optional={
            "prompt": st.text(max_size=20).map(lambda text: text.replace("\0", "")),
            "preset": st.just("preview"),
            "overrides": _OVERRIDES,
            "seed": st.integers(0, 2**32 - 1),
            "subject": st.one_of(
                st.sampled_from(["largest", "leftmost", "rightmost", "centre"]),
                st.integers(0, 63),
                points := st.fixed_dictionaries({"x": st.floats(0, 400), "y": st.floats(0, 400), "at_s": seconds}),
                st.lists(points, min_size=1, max_size=3),
            ),
            "on_lost": st.sampled_from(["warn", "error"]),
            "start_s": seconds,
            "end_s": st.floats(1.001, 3),
            "artifacts": _ARTIFACTS,
            "mode": st.just("replace"),
        },
    )


@st.composite
def spoiled(draw: st.DrawFn, good: st.SearchStrategy[dict[str, Any]], most: int = 3) -> Any:
    """Return a valid request with up to ``most`` spoiled parts; sometimes arbitrary JSON."""
    if draw(st.integers(0, 19)) == 0:
        return draw(ANYTHING)
    raw: dict[str, Any] = dict(draw(good))
    names = st.sampled_from(
        [*JobInput.model_fields, "overrides.", "subject.", "artifacts.", "unknown", "artifact_upload_urls."]
    )
    for _ in range(draw(st.integers(0, most))):
        name = draw(names)
        if name == "unknown":
            raw[draw(TEXTS)] = draw(ANYTHING)
        elif name == "overrides.":
            raw["overrides"] = {draw(st.sampled_from(CALLER_KEYS) | TEXTS): draw(ANYTHING)}
        elif name == "subject.":
            raw["subject"] = {key: draw(_NUMBERS | ANYTHING) for key in ("x", "y", "at_s")}
        elif name == "artifacts.":
            raw["artifacts"] = ["mask", draw(st.just("mask") | ANYTHING)]
        elif name == "artifact_upload_urls.":
            raw["artifact_upload_urls"] = {draw(st.just("mask") | TEXTS): draw(HOSTILE_URLS)}
        elif name in raw and draw(st.booleans()):
            del raw[name]
        else:
            raw[name] = draw(HOSTILE_URLS if name.endswith("_url") else ANYTHING)
    return raw  # fmt: skip
