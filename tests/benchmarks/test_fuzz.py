"""Short runs of the fuzzers, and that they detect planted bugs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz_media as media
from benchmarks import fuzz_requests as requests
from conf import compose_settings
from pipeline.errors import InvalidInput
from tests.support.media import make_clip, spec
from worker.input import parse_request


def test_requests_are_let_through_or_refused_in_order() -> None:
    tally = requests.fuzz_parsing(300)
    assert tally.outcomes["accepted"] > 15 and tally.outcomes["refused: schema"] > 15


def test_answers_are_results_or_defined_errors(tmp_path: Path) -> None:
    tally = requests.fuzz_answers(8, tmp_path)
    assert tally.outcomes["OK"] and len(tally.outcomes) > 1


@pytest.mark.parametrize(
    ("key", "field"),
    [("strength", "strength"), ("integer", "integer"), ("", "input"), ("k" * 5000, "k" * 100)],
)
def test_an_unknown_key_is_named_whatever_it_is(key: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request({"video_url": "a", key: 1})
    assert caught.value.field == field


def test_an_override_of_any_name_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request({"video_url": "a", "overrides": {"interest" * 900: []}})
    assert caught.value.field is not None and caught.value.field.startswith("overrides.interest")
    assert len(caught.value.field) == 100


def test_a_refusal_that_repeats_the_value_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    def telling(raw: Any) -> None:
        raise InvalidInput(f"wrong: {raw}", field="input")

    monkeypatch.setattr(requests, "parse_request", telling)
    with pytest.raises(AssertionError, match="must not repeat"):
        requests.check_parsing({"prompt": requests.CANARY}, compose_settings())


def test_damaged_media_end_in_defined_errors(tmp_path: Path) -> None:
    priority = os.sched_getscheduler(0)
    tally = media.fuzz_media(60, tmp_path, seconds=300)
    assert os.sched_getscheduler(0) == priority
    assert not tally.bugs
    assert sum(number for name, number in tally.outcomes.items() if name.startswith("read")) > 10
    assert tally.outcomes["refused: UNSUPPORTED_MEDIA"] > 5


def test_mutations_are_the_same_again_and_differ_from_their_source() -> None:
    files = [bytes(range(256)) * 40, b"\0\0\0\x20ftypisom" * 500]
    damaged = [media.mutate(files, number) for number in range(60)]
    assert damaged == [media.mutate(files, number) for number in range(60)]
    assert sum(data != files[which] for _, which, data in damaged) > 50


def _break_a_reader(path: Path, scratch: Path) -> str:
    """Simulate libav: the file's text selects what happens."""
    what = path.read_text()
    if what == "hang":
        time.sleep(600)
    if what == "crash":
        os.abort()
    if what == "bug":
        raise IndexError("list index out of range")
    if what == "litter":
        (scratch / "left").write_text("")
    return "read"


def _serve_broken(pipe: Any, scratch: Path) -> None:
    media.read_wholly = _break_a_reader
    media.serve(pipe, scratch)


def test_hangs_crashes_bugs_and_leftovers_are_detected(tmp_path: Path) -> None:
    file = tmp_path / "file"

    def said(reader: media.Reader, what: str, seconds: float) -> media.Reply | str:
        file.write_text(what)
        return reader.read(file, seconds)

    with media.a_reader(tmp_path / "scratch", _serve_broken) as reader:
        first = reader.process
        assert said(reader, "hang", 0.2) == "hang: no end after 0.2 s"
        assert not first.is_alive()
        assert said(reader, "crash", 300) == "crash: exit code -6"
        for what, outcome in (("bug", "IndexError: list index out of range"), ("litter", "left behind: ['left']")):
            reply = said(reader, what, 300)
            assert isinstance(reply, media.Reply) and reply.is_bug and reply.outcome == outcome
        last = reader.process
    assert not last.is_alive()


def test_a_clip_that_contradicts_its_facts_is_detected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path, spec("cfr"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert media.read_wholly(path, scratch) == "read"
    whole = media.open_clip

    class _Short:
        def __init__(self, clip: Any) -> None:
            self.info = clip.info
            self._clip = clip

        def frames(self) -> Any:
            return self._clip.frames(0, 10)

    monkeypatch.setattr(media, "open_clip", lambda *given, **named: _Short(whole(*given, **named)))
    with pytest.raises(AssertionError):
        media.read_wholly(path, scratch)


def test_growth_is_detected() -> None:
    def replies(per_file: float, files: int) -> list[media.Reply]:
        return [media.Reply("read", False, 100 + per_file * n, 10 + files * n, 4) for n in range(200)]

    assert media.MediaTally(replies=[replies(0, 0)]).growth_mib() == 0
    grown = media.MediaTally(replies=[replies(0, 0), replies(0.5, 1)])
    assert grown.growth_mib() == 50 and grown.more_files() > 0
