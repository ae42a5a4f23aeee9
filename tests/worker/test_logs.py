"""The log's redaction takes a bounded time, whatever it is handed."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator

import pytest

from worker.logs import Redactor, _JsonFormatter, redact_sdk_log

_SECRET = "hunter22-of-the-operator"
_MEGABYTE = 10**6
_FILLS: dict[str, Callable[[int], str]] = {
    "one letter": lambda size: "A" * size,
    "zeros in base64": lambda size: base64.b64encode(bytes(size)).decode(),
    "schemes": lambda size: "a://" * (size // 4),
    "half schemes": lambda size: "a:" * (size // 2),
    "users": lambda size: "https://" + "u" * size,
    "at signs": lambda size: "https://" + "u@" * (size // 2),
    "names": lambda size: "token" * (size // 5),
    "names and spaces": lambda size: ("token" + " " * 200) * (size // 205),
    "bearers": lambda size: "token=Bearer" + " " * size,
    "spaces": lambda size: "password" + " " * size,
    "quotes": lambda size: '"' * size,
}


@pytest.fixture
def redactor() -> Redactor:
    return Redactor({"MY_API_KEY": _SECRET})


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@pytest.mark.parametrize("fill", _FILLS.values(), ids=_FILLS)
def test_redaction_grows_with_the_text_and_no_quicker(fill: Callable[[int], str], redactor: Redactor) -> None:
    short, long = fill(100_000), fill(800_000)
    quick = min(_seconds(lambda: redactor.searched(short)) for _ in range(3))
    slow = min(_seconds(lambda: redactor.searched(long)) for _ in range(3))
    # Eight times the text: quadratic work would take 64 times as long.
    assert slow < 24 * max(quick, 0.001)


@pytest.mark.parametrize("fill", _FILLS.values(), ids=_FILLS)
def test_a_message_of_ten_megabytes_takes_no_time(fill: Callable[[int], str], redactor: Redactor) -> None:
    text = fill(10 * _MEGABYTE)
    assert _seconds(lambda: redactor(text)) < 0.5
    assert len(redactor(text)) < 20_000


@pytest.mark.parametrize("distance", [-40, -10, -1, 0, 1, 10])
def test_a_secret_at_the_cut_is_not_half_told(distance: int, redactor: Redactor) -> None:
    for end in (16_384, 16_384 + 4_096):
        text = "x " * ((end + distance) // 2 - 6) + _SECRET + " y" * 10_000
        assert not any(_SECRET[:size] in redactor(text) for size in (6, 12, len(_SECRET)))


def test_json_lines_stay_json_and_bounded(redactor: Redactor) -> None:
    record = logging.makeLogRecord({"msg": "a" * _MEGABYTE, "levelname": "INFO"})
    record.answer = {"video_base64": "A" * _MEGABYTE, "password": "abcdef", "many": ["b" * 50_000] * 3}
    line = _JsonFormatter(redactor).format(record)
    told = json.loads(line)
    assert len(line) < 120_000
    assert "abcdef" not in line and told["answer"]["video_base64"].startswith("AAAA")


@pytest.fixture
def sdk_log() -> Iterator[None]:
    from runpod.serverless.modules.rp_logger import RunPodLogger

    log, level = RunPodLogger.log, RunPodLogger.level
    redact_sdk_log({"MY_API_KEY": _SECRET})
    yield
    RunPodLogger.log, RunPodLogger.level = log, level


class _NeverAsked:
    def __str__(self) -> str:
        raise AssertionError("a message that is not printed was made into text")


@pytest.mark.usefixtures("sdk_log")
def test_the_sdk_s_log_asks_the_level_before_it_searches(capsys: pytest.CaptureFixture[str]) -> None:
    from runpod.serverless.modules.rp_logger import RunPodLogger

    log = RunPodLogger()
    RunPodLogger.level = "INFO"
    log.debug(_NeverAsked())
    RunPodLogger.level = "NOTSET"
    log.error(_NeverAsked())
    assert capsys.readouterr().out == ""
    RunPodLogger.level = "DEBUG"
    answer = str({"output": {"video_base64": "A" * (10 * _MEGABYTE), "link": f"https://a/b?{_SECRET}"}})
    assert _seconds(lambda: log.debug(f"Handler output: {answer}", "job")) < 1.0
    log.warn(f"the key is {_SECRET}")
    out = capsys.readouterr().out
    assert "Handler output" in out and "the key is ***" in out and _SECRET not in out and len(out) < 10_000
