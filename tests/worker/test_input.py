from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InvalidInput
from worker.input import SubjectPoint, parse_request

_URL = {"video_url": "https://example.com/a.mp4"}


def test_the_shortest_request_and_its_defaults() -> None:
    request = parse_request(_URL)
    assert (request.subject, request.on_lost, request.seed, request.artifacts) == ("largest", "warn", 0, [])


def test_a_whole_request() -> None:
    request = parse_request(
        {
            **_URL,
            "subject": {"x": 10, "y": 20.5, "at_s": 0},
            "start_s": 1,
            "end_s": 2.5,
            "artifacts": ["mask", "report"],
        }
    )
    assert isinstance(request.subject, SubjectPoint) and request.subject.y == 20.5
    assert parse_request({**_URL, "subject": 2}).subject == 2
    several = parse_request({**_URL, "subject": [{"x": 1, "y": 2, "at_s": 0}, {"x": 3, "y": 4, "at_s": 1}]}).subject
    assert isinstance(several, list) and [point.x for point in several] == [1, 3]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"video_url": 5}, "video_url"),
        ({"video_url": ""}, "video_url"),
        ({"prompt": "x" * 10_000}, "prompt"),
        ({"prompt": "sec\0ret"}, "prompt"),
        ({"seed": True}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"start_s": float("nan")}, "start_s"),
        ({"end_s": float("inf")}, "end_s"),
        ({"start_s": 3, "end_s": 2}, "end_s"),
        ({"artifacts": ["mask", "mask"]}, "artifacts"),
        ({"artifacts": ["secrets"]}, "artifacts.0"),
        ({"reference_image_urls": ["https://example.com/a.png"] * 5}, "reference_image_urls"),
        ({"reference_image_urls": ["https://example.com/a.png", ""]}, "reference_image_urls.1"),
        (
            {"reference_image_url": "https://x.org/a.png", "reference_image_urls": ["https://x.org/b.png"]},
            "reference_image_urls",
        ),
        ({"subject": "biggest"}, "subject"),
        ({"subjects": [{"subject": 0}] * 5}, "subjects"),
        ({"subjects": [{"subject": 0}, {"prompt": "who"}]}, "subjects.1.subject"),
        ({"subjects": [{"subject": 0, "seed": -1}]}, "subjects.0.seed"),
        ({"subjects": [{"subject": 0, "preset": "high"}]}, "subjects.0.preset"),
        ({"subjects": [{"subject": 0}], "subject": 1}, "subject"),
        ({"subjects": [{"subject": 0}], "prompt": "a man"}, "prompt"),
        ({"subjects": [{"subject": 0}], "reference_image_url": "https://x.org/a.png"}, "reference_image_url"),
        ({"subject": True}, "subject"),
        ({"subject": []}, "subject"),
        ({"preset": ["preview"]}, "preset"),
        ({"mode": "guess"}, "mode"),
        ({"color": "red"}, "color"),
        ({"overrides": {"a": [1]}}, "overrides.a"),
    ],
)
def test_each_mistake_names_its_field_and_does_not_repeat_the_value(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request({**_URL, **change})
    assert caught.value.field is not None and caught.value.field.startswith(field)
    assert "ret" not in caught.value.message and "xxxx" not in caught.value.message


@pytest.mark.parametrize("raw", [None, [], "x", {}, 5])
def test_no_object_is_no_request(raw: object) -> None:
    with pytest.raises(InvalidInput):
        parse_request(raw)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ["video_url", "prompt", "seed", "subject", "overrides", "start_s", "end_s", "artifacts", "mode", "x"]
)


# The machine may be busy: the time of a draw is irrelevant here.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_KEYS, _JSON, max_size=5))
def test_anything_else_is_refused_in_order(raw: dict[str, object]) -> None:
    try:
        parse_request(raw)
    except InvalidInput as error:
        assert error.field
