"""The log's redaction takes bounded time for any input."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

import pytest

from worker.logs import Redactor, _JsonFormatter, _PlainFormatter, redact_sdk_log

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
    "open quotes": lambda size: 'token="' * (size // 7),
    "an open quote": lambda size: 'token="' + "a" * size,
    "backslashes": lambda size: 'token="' + "\\" * size,
    "encoded URLs": lambda size: "%3A%2F%2F" * (size // 9),
    "an encoded URL": lambda size: "%3A%2F%2F" + "%2Fa" * (size // 4),
    "encoded users": lambda size: "%3A%2F%2F" + "u%3A" * (size // 4),
}


@pytest.fixture
def redactor() -> Redactor:
    return Redactor({"MY_API_KEY": _SECRET})


def _seconds(work: Callable[[], object]) -> float:
    # CPU time of this process: the machine's load is irrelevant.
    begin = time.process_time()
    work()
    return time.process_time() - begin


@pytest.mark.parametrize("fill", _FILLS.values(), ids=_FILLS)
def test_redaction_time_is_linear_in_the_text(fill: Callable[[int], str], redactor: Redactor) -> None:
    short = fill(100_000)
    long = fill(800_000)
    quick = min(_seconds(lambda: redactor.searched(short)) for _ in range(3))
    # Eight times the text: quadratic work would take 64 times as long.
    assert any(_seconds(lambda: redactor.searched(long)) < 24 * max(quick, 0.001) for _ in range(3))


@pytest.mark.parametrize("fill", _FILLS.values(), ids=_FILLS)
def test_a_message_of_ten_megabytes_is_redacted_quickly(fill: Callable[[int], str], redactor: Redactor) -> None:
    text = fill(10 * _MEGABYTE)
    shown: list[str] = []
    assert _seconds(lambda: shown.append(redactor(text))) < 0.5
    assert len(shown[0]) < 20_000


@pytest.mark.parametrize("distance", [-40, -10, -1, 0, 1, 10])
def test_a_truncated_message_shows_no_part_of_a_secret(distance: int, redactor: Redactor) -> None:
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


_AWKWARD = [
    'quo"ted"secret', "back\\slash\\secret", "sécrèt-größe", "/begins/with+slash=40", "pct%20&secret?=",
    "<html>&secret", "new\nline-secret", "it's-a-secret", "emoji-\U0001f511-secret",
]  # fmt: skip


def _written(secret: str) -> dict[str, str]:
    """Return the ways in which a secret comes into a log."""
    return {
        "plain": secret,
        "json": json.dumps({"x": secret}),
        "json, unescaped": json.dumps({"x": secret}, ensure_ascii=False),
        "json in json": json.dumps(json.dumps({"x": secret})),
        "python": str({"x": secret}),
        "query": quote(secret, safe=""),
        "query, lower": re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(secret, safe="")),
        "form": quote_plus(secret),
        "html": html.escape(secret),
        "base64": base64.b64encode(secret.encode()).decode(),
    }


@pytest.mark.parametrize("secret", _AWKWARD)
def test_a_secret_is_found_in_every_encoding(secret: str) -> None:
    redactor = Redactor({"BUCKET_SECRET_ACCESS_KEY": secret})
    plain = _written(secret)
    for name, text in plain.items():
        core = json.dumps(secret)[1:-1] if name == "json" else text.strip("{}'\"")
        assert core not in redactor(f"before {text} after"), name
        assert secret not in redactor(f"before {text} after"), name
    # And as a value that the formatter itself writes.
    record = logging.makeLogRecord({"msg": f"it is {secret}", "levelname": "INFO"})
    record.where = {"deep": [secret, {"more": f"a {secret} b"}]}
    for text in _written(secret).values():
        record.other = text
        line = _JsonFormatter(redactor).format(record)
        assert json.dumps(secret)[1:-1] not in line and secret not in line
        told = json.loads(line)
        assert told["event"] == "it is ***" and told["where"] == {"deep": ["***", {"more": "a *** b"}]}


def test_values_of_secret_fields_are_redacted(redactor: Redactor) -> None:
    record = logging.makeLogRecord({"msg": "m", "levelname": "INFO"})
    record.headers = {
        "Authorization": "Bearer abcdef",
        "Set-Cookie": "sid=abcdef",
        "X-Api-Key": ["abcdef"],
        "Host": "h",
    }
    record.secret_access_key = "abcdef"
    line = _JsonFormatter(redactor).format(record)
    assert "abcdef" not in line and json.loads(line)["headers"]["Host"] == "h"
    assert "abcdef" not in _PlainFormatter(redactor).format(record)


@pytest.mark.parametrize(
    "text",
    [
        "{'password': 'abcdef'}", "{'password': 'ab cdef'}", '{"token": "ab\\"cdef"}', "sig=abcdef",
        "?sv=1&sig=abcdef&x=1",
        "password=abcdef", "Authorization: Bearer abcdef", "Authorization: Basic abcdef", "Cookie: abcdef",
        "https%3A%2F%2Fstore%2Fa%3FX-Amz-Signature%3Dabcdef%26x%3D1", "https%253A%252F%252Fs%252Fa%253Fsig%253Dabcdef",
        "https%3a%2f%2fuser%3aabcdef%40store%2fa", "token%3Dabcdef", "aws_secret_access_key = abcdef", "passwd: abcdef",
        'said \\"token\\": \\"abcdef\\" twice', "X-Goog-Signature=abcdef", "https://u:abcdef@h/x", "https://h/x?y=abcdef",
    ],
)  # fmt: skip
def test_texts_that_look_like_secrets_are_redacted(text: str, redactor: Redactor) -> None:
    assert "cdef" not in redactor(text)


def test_paths_are_logged_and_secrets_that_look_like_paths_are_not() -> None:
    secret = "/q8Zb+kW1/not/a/path"
    redactor = Redactor({"MY_SECRET": secret, "SSL_CERT_FILE_KEY_PATH": "/etc/ssl/key.pem", "AUTH_TMP": "/tmp"})
    assert redactor(f"{secret} /etc/ssl/key.pem /tmp/x") == "*** /etc/ssl/key.pem /tmp/x"
    assert redactor("designed by signal=5, keyboard=us") == "designed by signal=5, keyboard=us"


@pytest.fixture
def sdk_log() -> Iterator[None]:
    from runpod.serverless.modules.rp_logger import RunPodLogger

    log = RunPodLogger.log
    level = RunPodLogger.level
    redact_sdk_log({"MY_API_KEY": _SECRET})
    yield
    RunPodLogger.log = log
    RunPodLogger.level = level


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
