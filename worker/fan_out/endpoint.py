"""The worker's own endpoint through RunPod's API: send jobs, query their status, cancel them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests

from pipeline.errors import InvalidInput, UnderstudyError
from worker.retrying import ServerFailed, is_passing, try_until, wait_asked_for

ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
_API = "https://api.runpod.ai/v2"
_TIMEOUT = (5.0, 30.0)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class EndpointFailed(UnderstudyError):
    """The endpoint's API failed; the job continues without other workers."""


@dataclass(frozen=True, slots=True)
class OwnEndpoint:
    """URL and key of this worker's endpoint; its ``repr`` shows no key."""

    url: str
    """Includes the endpoint's id."""
    api_key: str = field(repr=False)


def read_endpoint(environment: Mapping[str, str]) -> OwnEndpoint | None:
    """Return the endpoint that this worker belongs to, or None if its id or a key is not set.

    Raises ``InvalidInput`` for an invalid id.
    """
    endpoint_id = environment.get("RUNPOD_ENDPOINT_ID", "").strip()
    api_key = environment.get("RUNPOD_API_KEY", "").strip()
    if not endpoint_id or not api_key:
        return None
    if not _ID.fullmatch(endpoint_id):
        raise InvalidInput("not a valid endpoint id", field="RUNPOD_ENDPOINT_ID")
    base = environment.get("RUNPOD_ENDPOINT_BASE_URL", "").strip() or _API
    return OwnEndpoint(f"{base.rstrip('/')}/{endpoint_id}", api_key)


class EndpointCalls:
    """API calls of one job, with retries of transient failures. Not thread-safe."""

    def __init__(self, endpoint: OwnEndpoint, stop: threading.Event) -> None:
        self._endpoint = endpoint
        self._stop = stop
        self._session = requests.Session()
        # Ignores the machine's own settings (.netrc, proxies with passwords).
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {endpoint.api_key}"

    def send(self, job_input: Mapping[str, Any], execution_seconds: float, ttl_seconds: float) -> str:
        """Send a job and return its id. Raises ``EndpointFailed``."""
        policy = {"executionTimeout": round(execution_seconds * 1000), "ttl": round(ttl_seconds * 1000)}
        answer = self._call("POST", "run", {"input": dict(job_input), "policy": policy}, seconds=20.0)
        job_id = answer.get("id")
        if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
            raise EndpointFailed("the endpoint's API returned no job id")
        return job_id

    def status(self, job_id: str) -> tuple[str, Any]:
        """Return a job's status and output. Raises ``EndpointFailed``."""
        answer = self._call("GET", f"status/{job_id}", None, seconds=10.0)
        return str(answer.get("status", "")), answer.get("output")

    def cancel(self, job_id: str) -> None:
        """Cancel a job; if that fails, its timeouts end it."""
        with suppress(requests.RequestException):
            self._session.post(f"{self._endpoint.url}/cancel/{job_id}", timeout=_TIMEOUT)

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        def once() -> dict[str, Any]:
            try:
                response = self._session.request(
                    method, f"{self._endpoint.url}/{path}", json=body, timeout=_TIMEOUT, allow_redirects=False
                )
                if is_passing(response.status_code):
                    raise ServerFailed(
                        f"the endpoint's API answered {response.status_code}", wait_asked_for(response.headers)
                    )
                if response.status_code != 200:
                    raise EndpointFailed(f"the endpoint's API answered {response.status_code}")
                answer = response.json()
            except requests.ConnectionError as error:
                raise ServerFailed(f"the endpoint's API cannot be reached ({type(error).__name__})") from None
            except (requests.RequestException, ValueError) as error:
                raise EndpointFailed(f"the endpoint's API cannot be used ({type(error).__name__})") from None
            if not isinstance(answer, dict):
                raise EndpointFailed("the endpoint's API did not return a JSON object")
            return answer

        try:
            return try_until(time.monotonic() + seconds, once, self._stop)[0]
        except ServerFailed as error:
            raise EndpointFailed(str(error)) from None
