"""Check generated requests for ``benchmarks.fuzz``: the rules that must hold for each."""

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

from benchmarks.fuzz_strategies import CANARY, HOSTILE_URLS, TEXTS, good_requests, spoiled
from conf import apply_caller_overrides, compose_settings
from pipeline import errors
from pipeline.errors import InvalidInput, UnderstudyError
from pipeline.settings import Settings
from worker.answer import answer_job
from worker.cancellation import CancelToken
from worker.command_line import Arguments
from worker.environment import read_worker_settings
from worker.error_answers import error_answer
from worker.input import JobInput, SubjectPoint, parse_request
from worker.models import ModelKeeper
from worker.output import wire_form
from worker.progress import PlatformProgress

CODES = frozenset(
    kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UnderstudyError)
) - {"INTERNAL"}
_WALK = Path(__file__).resolve().parents[1] / "assets" / "walk_a" / "sample.mp4"
_UNTIMED = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
_FIELD_MAX = 130
"""``overrides.`` and the truncated key; an error answer must not grow with the request."""


@dataclass
class Tally:
    """Outcomes of the examples."""

    total: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str) -> None:
        self.total += 1
        self.outcomes[outcome] += 1


def check_parsing(raw: Any, base: Settings) -> str:
    """Parse a request and apply its overrides; return the name of the outcome.

    Raises ``AssertionError`` where an accepted request violates a rule of the schema, or a refusal names no field,
    repeats the value or is not valid JSON. Any error other than ``InvalidInput`` is raised, as a bug.
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
    """Assert the documented rules again, independently of the schema."""
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
    """Have ``examples`` requests answered as by a local worker, on clips of a few frames.

    Each answer is a result or a defined error (``INTERNAL`` is not), is valid JSON, and leaves nothing in the work
    folder. No name is resolved and nothing outside this machine is contacted.
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
    # Not one_of: it would give each of the many hostile kinds the same weight as the one valid clip.
    urls = st.integers(0, 5).flatmap(lambda number: known if number else HOSTILE_URLS)
    # Not only strings: the SDK passes on whatever the platform sent as the id.
    ids = st.one_of(st.none(), TEXTS, st.integers(), st.just("../../escape"), st.just("a" * 400))

    models = ModelKeeper()

    @seed(start)
    # Shrinking would cost a job per step.
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
    """Write a few downscaled frames of walk_a, starting at two seconds."""
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
    """Limit the log to errors: a bug's traceback is wanted."""
    log = logging.getLogger("understudy")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)
