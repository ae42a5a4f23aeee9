"""The worker's log: a JSON line per event on the platform, plain lines locally, secrets in neither."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any

job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
"""The job that the running thread works on."""
# Begins with fixed characters: a scheme in front, however it is bounded, is looked for at every letter of a long word.
_URL = re.compile(r"(://)([^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?")
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|SIGNATURE|AUTH", re.IGNORECASE)
_LOOSE = re.compile(
    r"((?:X-Amz-)?(?:Signature|Credential|Security-Token)|Authorization|api[_-]?key|token|password)"
    r"(\"?\s{0,8}[=:]\s{0,8}\"?)(Bearer\s{1,8})?[^\s&\"',}]+",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
_LONGEST_TEXT = 16_384
"""Of one text: an answer with a video in it is no message."""
_MARGIN = 4_096
"""Searched beyond what is kept, and dropped: a secret that the cut goes through is not half shown."""
_MOST_ITEMS = 100
"""Of a list or a dict that is logged."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Redactor:
    """Takes secrets out of texts: queries and credentials of URLs, signatures, values of the environment's secrets."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values = {
            value
            for name, value in environment.items()
            if len(value) >= _SHORTEST_SECRET and (_SECRET_NAME.search(name) or name == "BUCKET_ENDPOINT_URL")
            # A path (SSL_CERT_FILE and the like) is no secret, and would blot out half the log.
            if not value.startswith("/")
        }
        self._secrets = sorted(values, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return a text without its secrets, in bounded time: what is too long is cut before it is searched."""
        if len(text) <= _LONGEST_TEXT:
            return self.searched(text)
        begin = self.searched(text[: _LONGEST_TEXT + _MARGIN])
        return f"{begin[:-_MARGIN]}... ({len(text)} characters)"

    def searched(self, text: str) -> str:
        """Return the whole text without its secrets, in time that grows with its length."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _URL.sub(lambda found: found[1] + found[3] + ("?***" if found[4] else ""), text)
        return _LOOSE.sub(lambda found: f"{found[1]}{found[2]}***", text)


class _JsonFormatter(logging.Formatter):
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
        told = {key: self._shortened(value) for key, value in line.items() if value is not None}
        # Searched after the JSON is made as well: a name and its value stand side by side only there.
        return self._redact.searched(json.dumps(told))

    def _shortened(self, value: Any) -> Any:
        if isinstance(value, bool | int | float | None):
            return value
        if isinstance(value, Mapping):
            return {self._redact(str(key)): self._shortened(value[key]) for key in islice(value, _MOST_ITEMS)}
        if isinstance(value, list | tuple):
            return [self._shortened(item) for item in islice(value, _MOST_ITEMS)]
        return self._redact(str(value))


class _PlainFormatter(logging.Formatter):
    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        told = " ".join(f"{name}={value}" for name, value in extra.items())
        return self._redact(super().format(record) + (f" ({told})" if told else ""))


def set_up_logging(environment: Mapping[str, str], *, as_json: bool, level: int = logging.INFO) -> None:
    """Send everything that is logged, by us, by libraries and by the SDK, through the redactor to stderr."""
    redact = Redactor(environment)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(redact) if as_json else _PlainFormatter(redact))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # botocore and urllib3 tell signed URLs and headers at DEBUG.
    for name in ("botocore", "boto3", "s3transfer", "urllib3", "asyncio", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def redact_sdk_log(environment: Mapping[str, str]) -> None:
    """Let the SDK's own logger, which prints by itself, redact as well: its errors hold URLs of the job API."""
    from runpod.serverless.modules.rp_logger import LOG_LEVELS, RunPodLogger

    redact, original = Redactor(environment), RunPodLogger.log

    def log(self: Any, message: Any, message_level: str = "INFO", job_id: str | None = None) -> None:
        # Asked before anything is searched: at DEBUG the SDK hands over whole answers, twice each.
        is_told = message_level == "TIP" or LOG_LEVELS.index(message_level) >= LOG_LEVELS.index(self.level)
        if is_told and self.level != "NOTSET":
            original(self, redact(str(message)), message_level, job_id)

    RunPodLogger.log = log
