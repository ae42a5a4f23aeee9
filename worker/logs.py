"""The worker's log: one JSON object per event on the platform, plain lines locally; secrets are redacted in both."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
"""Id of the job that the current thread works on."""
# Starts with a literal: an optional scheme before it, however bounded, would be tried at every letter of a long word.
_URL = re.compile(r"(://)([^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|SIGNATURE|AUTH", re.IGNORECASE)
# The same inside another URL or a form, percent-encoded once or twice. Bounded repetitions prevent backtracking.
_ENCODED_URL = re.compile(
    r"(%(?:25)?3A(?:%(?:25)?2F){2})([^\s\"'<>%]{1,256}(?:%(?:25)?3A[^\s\"'<>%]{0,256})?%(?:25)?40)?"
    r"((?:[^\s\"'<>%]{1,256}|(?!%(?:25)?3F)%(?:25)?[0-9A-F]{2}){0,64})(%(?:25)?3F[^\s\"'<>]*)?",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"((?:X-Amz-|X-Goog-)?(?:Signature|Credential|Security-Token)|Authorization|(?:api|access|secret)[_-]?key(?:[_-]?id)?"
    r"|secret|token|passw(?:or)?d|(?:set-)?cookie|(?<![a-z])sig)"
    r"(\\{0,3}[\"']?\s{0,8}(?:[=:]|%3[AD])\s{0,8}(?:(?:Bearer|Basic)\s{1,8})?\\{0,3})"
    r"(\"(?:[^\"\\]|\\.){0,512}\"|'(?:[^'\\]|\\.){0,512}'|[\"']?[^\s&\"',}\\]+)",
    re.IGNORECASE,
)
_PATH_NAME = re.compile(r"(?:FILE|PATH|DIR|HOME|ROOT|SOCK|BUNDLE)$", re.IGNORECASE)
_LOWER = re.compile(r"%[0-9A-F]{2}")
_SHORTEST_SECRET = 6
_LONGEST_TEXT = 16_384
"""Characters kept of one message; an answer with a base64 video in it is far longer."""
_MARGIN = 4_096
"""Characters searched beyond the cut and then dropped, so that no secret is shown in part."""
_MOST_ITEMS = 100
"""Items of a list or dictionary that are logged."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Removes secrets from texts: queries and credentials of URLs, signatures, and the environment's secret values."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = {
            value
            for name, value in environment.items()
            if len(value) >= _SHORTEST_SECRET and (_SECRET_NAME.search(name) or name == "BUCKET_ENDPOINT_URL")
            if not _is_path(name, value)
        }
        self._secrets = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without its secrets, in bounded time: overlong texts are truncated before the search."""
        if len(text) <= _LONGEST_TEXT:
            return self.searched(text)
        begin = self.searched(text[: _LONGEST_TEXT + _MARGIN])
        return f"{begin[:-_MARGIN]}... ({len(text)} characters)"

    def searched(self, text: str) -> str:
        """Return the whole text without its secrets, in time linear in its length."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _URL.sub(lambda found: found[1] + found[3] + ("?***" if found[4] else ""), text)
        text = _ENCODED_URL.sub(lambda found: found[1] + found[3] + ("%3F***" if found[4] else ""), text)
        return _LOOSE.sub(_starred, text)

    def of_value(self, name: str, value: Any) -> Any:
        """Return a value without its secrets; a value whose name marks it as secret is replaced entirely."""
        if _SECRET_NAME.search(name) and not isinstance(value, bool | None):
            return "***"
        return self._shortened(value)

    def _shortened(self, value: Any) -> Any:
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, Mapping):
            return {self(str(key)): self.of_value(str(key), value[key]) for key in islice(value, _MOST_ITEMS)}
        if isinstance(value, list | tuple):
            return [self._shortened(item) for item in islice(value, _MOST_ITEMS)]
        return self(str(value))


def _starred(found: re.Match[str]) -> str:
    """Return the name with asterisks for its value, keeping the value's quotes so that a JSON line stays valid."""
    value = found[3]
    opened = value[0] if value[0] in "\"'" else ""
    closed = opened if len(value) > 1 and value.endswith(opened) else ""
    return f"{found[1]}{found[2]}{opened}***{closed}"


def _is_path(name: str, value: str) -> bool:
    """Whether a variable holds a path (SSL_CERT_FILE and the like), which is no secret and common in the log.

    A secret may start with a slash as well, so the name must end like a path's, or the path must exist.
    """
    return value.startswith("/") and (bool(_PATH_NAME.search(name)) or Path(value).exists())


def _forms(secret: str) -> set[str]:
    """Return a secret in every spelling: plain, and as written in JSON, Python, URLs, HTML and base64."""
    raw = secret.encode("utf-8", "surrogateescape")
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        html.escape(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        forms |= {quoted, _LOWER.sub(lambda found: found[0].lower(), quoted), quoted.replace("%", "%25")}
    # Inside a text that was itself encoded as JSON, as the SDK does with an answer.
    forms |= {json.dumps(form)[1:-1] for form in list(forms)}
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}


class _JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object.

    Not python-json-logger (4.2 was tried): values are redacted before JSON encoding and the line after it, so a
    subclass is as long as this one; a line takes 165 µs instead of 90; and a library that logs a dictionary overwrites
    ``time``, ``level`` and ``job_id`` with its keys.
    """

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "event": record.getMessage(),
            "job_id": job_id.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        redacted = {key: self._redact.of_value(key, value) for key, value in line.items() if value is not None}
        # Values are searched before JSON escapes them, and the whole line afterwards, since only there does a name
        # stand beside its value.
        return self._redact.searched(json.dumps(redacted))


class _PlainFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        extras = " ".join(f"{name}={self._redact.of_value(name, value)}" for name, value in extra.items())
        return self._redact(super().format(record) + (f" ({extras})" if extras else ""))


def set_up_logging(environment: Mapping[str, str], *, as_json: bool, level: int = logging.INFO) -> None:
    """Send all log records, ours and the libraries', through the redactor to stderr."""
    redact = Redactor(environment)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redact) if as_json else _PlainFormatter(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # At DEBUG, botocore and urllib3 log signed URLs and headers.
    for name in ("botocore", "boto3", "s3transfer", "urllib3", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def redact_sdk_log(environment: Mapping[str, str]) -> None:
    """Redact the SDK's own logger too, which prints directly: its errors contain URLs of the job API."""
    from runpod.serverless.modules.rp_logger import LOG_LEVELS, RunPodLogger

    redact = Redactor(environment)
    original = RunPodLogger.log

    def log(self: Any, message: Any, message_level: str = "INFO", job_id: str | None = None) -> None:
        # The level is checked before the text is searched: at DEBUG the SDK logs whole answers, twice each.
        is_told = message_level == "TIP" or LOG_LEVELS.index(message_level) >= LOG_LEVELS.index(self.level)
        if is_told and self.level != "NOTSET":
            original(self, redact(str(message)), message_level, job_id)

    RunPodLogger.log = log
