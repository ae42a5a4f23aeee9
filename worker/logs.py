"""The worker's log: a JSON line per event on the platform, plain lines locally, secrets in neither."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
"""The job that the running thread works on."""
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)([^\s/?#\"'<>]*@)?([^\s?#\"'<>]*)([?#][^\s\"'<>]*)?", re.IGNORECASE)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|SIGNATURE|AUTH", re.IGNORECASE)
_LOOSE = re.compile(
    r"((?:X-Amz-)?(?:Signature|Credential|Security-Token)|Authorization|api[_-]?key|token|password)"
    r"(\"?\s*[=:]\s*\"?)(Bearer\s+)?[^\s&\"',}]+",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
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
        # Redacted after the JSON is made, so that no value is forgotten; its own marks are harmless in JSON.
        return self._redact(json.dumps({key: value for key, value in line.items() if value is not None}, default=str))


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
    from runpod.serverless.modules.rp_logger import RunPodLogger

    redact, original = Redactor(environment), RunPodLogger.log

    def log(self: Any, message: Any, message_level: str = "INFO", job_id: str | None = None) -> None:
        original(self, redact(str(message)), message_level, job_id)

    RunPodLogger.log = log
