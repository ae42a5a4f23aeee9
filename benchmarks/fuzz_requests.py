"""Requests as nobody should write them, for ``benchmarks.fuzz``: strategies, and what has to hold for each."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import math
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from conf import CALLER_KEYS, apply_caller_overrides, compose_settings
from pipeline import errors
from pipeline.errors import InvalidInput, UnderstudyError
from pipeline.settings import Settings, class_with
from worker.answer import answer_job, error_answer
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.environment import read_worker_settings
from worker.input import JobInput, SubjectPoint, parse_request
from worker.models import ModelKeeper
from worker.output import wire_form
from worker.progress import PlatformProgress

CANARY = "kanarienvogel"
"""Part of hostile texts; no message may repeat it."""
CODES = frozenset(
    kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UnderstudyError)
) - {"INTERNAL"}
_WALK = Path(__file__).resolve().parents[1] / "assets" / "walk_a" / "sample.mp4"
_UNTIMED = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
_FIELD_MAX = 130
"""``overrides.`` and the cut key; an error answer must not grow with what a caller sends."""


def _deep(levels: int, value: Any) -> Any:
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


_NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([10**400, -(10**400), 2**31, 2**32, 2**32 - 1, 2**63, -1, -0.0, 5e-324, 1e308]),
    st.floats(),
)
_TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=("Cs", "Cc", "Cn", "Co")), max_size=5),
    st.sampled_from(["", "\0", f"\ud800{CANARY}", f"{CANARY}\0", "true", "NaN", "../" * 50 + CANARY, "${oc.env:HOME}"]),
    st.builds(lambda n: CANARY * n, st.integers(1, 600)),
)  # fmt: skip
_LEAVES = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
ANYTHING = st.one_of(
    _LEAVES,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
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
    _TEXTS.map(lambda text: f"http://{text}/a.mp4"),
    _TEXTS,
)  # fmt: skip


def _good_override(key: str) -> st.SearchStrategy[Any]:
    """Return values that the setting's own schema allows."""
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
    """Return requests that keep every rule of the schema, with a clip from ``urls``."""
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
    """Return a good request with up to ``most`` of its parts made wrong; sometimes no request at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(ANYTHING)
    raw: dict[str, Any] = dict(draw(good))
    names = st.sampled_from(
        [*JobInput.model_fields, "overrides.", "subject.", "artifacts.", "unknown", "artifact_upload_urls."]
    )
    for _ in range(draw(st.integers(0, most))):
        name = draw(names)
        if name == "unknown":
            raw[draw(_TEXTS)] = draw(ANYTHING)
        elif name == "overrides.":
            raw["overrides"] = {draw(st.sampled_from(CALLER_KEYS) | _TEXTS): draw(ANYTHING)}
        elif name == "subject.":
            raw["subject"] = {key: draw(_NUMBERS | ANYTHING) for key in ("x", "y", "at_s")}
        elif name == "artifacts.":
            raw["artifacts"] = ["mask", draw(st.just("mask") | ANYTHING)]
        elif name == "artifact_upload_urls.":
            raw["artifact_upload_urls"] = {draw(st.just("mask") | _TEXTS): draw(HOSTILE_URLS)}
        elif name in raw and draw(st.booleans()):
            del raw[name]
        else:
            raw[name] = draw(HOSTILE_URLS if name.endswith("_url") else ANYTHING)
    return raw  # fmt: skip


@dataclass
class Tally:
    """What came of the examples."""

    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str) -> None:
        self.total += 1
        self.outcomes[outcome] += 1


def check_parsing(raw: Any, base: Settings) -> str:
    """Parse a request and apply its overrides; return what came of it, by name.

    Raises ``AssertionError`` where a rule of the schema does not hold for what was let through, or where a refusal
    names no field, repeats the value or cannot be written as JSON. Any other error than ``InvalidInput`` passes: a bug.
    """
    try:
        request = parse_request(raw)
    except InvalidInput as error:
        _check_refusal(error)
        return "refused: schema"
    _check_rules(request)
    try:
        changed = apply_caller_overrides(base, request.overrides)
    except InvalidInput as error:
        _check_refusal(error)
        return "refused: overrides"
    assert changed.limits == base.limits and changed.preset == base.preset
    json.dumps(changed.model_dump(mode="json"), allow_nan=False)
    return "accepted"


def _check_refusal(error: InvalidInput) -> None:
    text = json.dumps(wire_form(error_answer(error)), allow_nan=False)
    assert error.message and error.field, "a refusal says what and where"
    assert CANARY not in error.message, "a refusal must not repeat the value"
    assert len(error.field) <= _FIELD_MAX and len(text) < 2000, "a refusal must not grow with the request"


def _check_rules(request: JobInput) -> None:
    """Assert README's rules over again, without the schema's help."""
    assert type(request.seed) is int and 0 <= request.seed < 2**32
    assert isinstance(request.video_url, str) and 0 < len(request.video_url) <= 4096
    for text in (request.video_url, request.prompt, request.negative_prompt, request.reference_image_url or ""):
        assert "\0" not in text
    assert len(request.prompt) <= 2000 and len(request.negative_prompt) <= 2000
    begin = 0.0 if request.start_s is None else request.start_s
    end = math.inf if request.end_s is None else request.end_s
    assert 0 <= begin < math.inf and (request.end_s is None or begin < end < math.inf)
    assert len(set(request.artifacts)) == len(request.artifacts)
    if isinstance(request.subject, SubjectPoint | list):
        points = request.subject if isinstance(request.subject, list) else [request.subject]
        assert 1 <= len(points) <= 32
        assert all(0 <= value < math.inf for point in points for value in (point.x, point.y, point.at_s))
    elif not isinstance(request.subject, str):
        assert type(request.subject) is int and 0 <= request.subject <= 63


def fuzz_parsing(examples: int, start: int = 0) -> Tally:
    """Draw ``examples`` requests through ``check_parsing``. Raises what it raises, with the smallest request."""
    tally = Tally()
    base = compose_settings()
    urls = st.sampled_from(["https://example.com/a.mp4", "clip.mp4"]) | HOSTILE_URLS

    @seed(start)
    @settings(parent=_UNTIMED, max_examples=examples)
    @given(spoiled(good_requests(urls)))
    def run(raw: Any) -> None:
        tally.add(check_parsing(raw, base))

    run()
    return tally


def fuzz_answers(examples: int, folder: Path, start: int = 0) -> Tally:
    """Have ``examples`` requests answered as by a local worker, on clips of some frames.

    Each answer is a result or a defined error (``INTERNAL`` is none), is JSON, and leaves nothing in the work folder.
    Nothing is looked up or reached outside this machine.
    """
    tally = Tally()
    arguments = Arguments(None, (), (), "local", ())
    worker = read_worker_settings(
        {"UNDERSTUDY_WORK": str(folder / "work"), "UNDERSTUDY_OUTPUTS": str(folder / "outputs")}, "local"
    )
    walk = str(small_walk(folder / "walk.mp4"))
    (folder / "text.mp4").write_text(CANARY)
    others = [str(folder / name) for name in ("text.mp4", "none.mp4", ".")]
    known = st.sampled_from([walk] * 8 + others)
    # Not one_of: it would give each of the many hostile kinds the weight of the one clip that works.
    urls = st.integers(0, 5).flatmap(lambda number: known if number else HOSTILE_URLS)
    # Not JSON's: the SDK hands over whatever the platform sent it as the id.
    ids = st.one_of(st.none(), _TEXTS, st.integers(), st.just("../../escape"), st.just("a" * 400))

    models = ModelKeeper()

    @seed(start)
    # A smaller example would cost a job for every step to it.
    @settings(parent=_UNTIMED, max_examples=examples, phases=[Phase.generate])
    @given(spoiled(good_requests(urls), most=1), ids)
    def run(raw: Any, job_id: Any) -> None:
        note(f"the request: {raw!r}")
        job = {"id": job_id, "input": raw}
        answer = answer_job(
            job, arguments, worker, CancelToken(None), lambda share: PlatformProgress(lambda update: None), models
        )
        json.dumps(answer, allow_nan=False)
        code = answer.get("error_code")
        if code is None:
            assert answer["frames_replaced"] >= 0
        else:
            assert code in CODES, f"{code}: {answer}"
            assert CANARY not in answer["error"], answer
        left = [path for path in (folder / "work").rglob("*") if path.is_file()]
        assert not left, left
        for path in (folder / "outputs").rglob("*"):
            if path.is_file():
                path.unlink()
        beside = {path.name for path in folder.iterdir()} - {"work", "outputs", "walk.mp4", "text.mp4"}
        assert not beside, f"written outside its folders: {beside}"
        tally.add(code or "OK")

    with _nothing_looked_up(), _quiet():
        run()
    return tally


def small_walk(target: Path, frames: int = 8, size_wh: tuple[int, int] = (256, 144)) -> Path:
    """Write some frames of walk_a, made small, from its second second on."""
    with av.open(str(_WALK)) as source, av.open(str(target), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *size_wh, "yuv420p"
        written = 0
        for picture in source.decode(video=0):
            if picture.time is None or picture.time < 2:
                continue
            small = picture.reformat(*size_wh, "yuv420p")
            small.pts = written
            small.time_base = Fraction(1, 25)
            output.mux(stream.encode(small))
            written += 1
            if written == frames:
                break
        output.mux(stream.encode(None))
    return target


@contextlib.contextmanager
def _nothing_looked_up() -> Iterator[None]:
    real = socket.getaddrinfo

    def only_numbers(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        named["flags"] = named.get("flags", 0) | socket.AI_NUMERICHOST
        found = real(host, port, *more, **named)
        if any(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found):
            raise socket.gaierror(socket.EAI_NONAME, "not in a fuzzer")
        return found

    with patch("socket.getaddrinfo", only_numbers):
        yield


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log to its errors: a bug's traceback is wanted."""
    log = logging.getLogger("understudy")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
