"""Upload files to presigned URLs of the caller."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import requests
import urllib3

from pipeline.errors import UploadFailed
from worker.delivery.signed_url import AZURE_HEADERS, headers_for
from worker.delivery.upload_limits import TOO_SLOW, UploadLimits, content_type
from worker.retrying import ServerFailed, error_code, is_passing, try_until, wait_asked_for
from worker.source.urls import HostUnknown, WebRequest, is_untrusted, open_request
from worker.threads import start_thread, wait_until

_ANSWER_BYTES = 4096
"""Bytes read of an error response; its error code is near the beginning."""


class _GivenUp(Exception):
    """The upload was abandoned."""


class _HeaderMissing(Exception):
    """Azure under a custom domain, which asks for its header."""


class _Body:
    """A file as a request body: of known length, read in blocks; reading raises ``_GivenUp`` once ``stop`` is set."""

    def __init__(self, file: BufferedReader, size: int, stop: threading.Event) -> None:
        self._file = file
        self._size = size
        self._stop = stop

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        # ``requests`` checks for this method to tell a stream from form data; only ``read`` is called.
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            raise _GivenUp
        return self._file.read(size)


@dataclass(slots=True)
class _Upload:
    """The upload of one file to one URL."""

    url: str
    path: Path
    field: str
    headers: Mapping[str, str]
    private_hosts: frozenset[str]
    limits: UploadLimits
    stop: threading.Event
    sockets: list[socket.socket]

    def send(self) -> None:
        """Send the file once. Raises ``ServerFailed`` if a retry may help."""
        try:
            self._send()
        except _HeaderMissing:
            self.headers = {**AZURE_HEADERS, **self.headers}
            self._send()

    def _request(self, file: BufferedReader) -> WebRequest:
        return WebRequest(
            "PUT",
            self.url,
            field=self.field,
            private_hosts=self.private_hosts,
            data=_Body(file, self.path.stat().st_size, self.stop),
            headers=self.headers,
            timeout=(self.limits.connect_seconds, self.limits.answer_seconds),
        )

    def _send(self) -> None:
        if self.stop.is_set():
            raise _GivenUp
        try:
            with self.path.open("rb") as file, open_request(self._request(file), self.sockets.append) as response:
                status = response.status_code
                wait = wait_asked_for(response.headers)
                code = "" if status < 400 else error_code(_beginning(response))
        except (requests.RequestException, urllib3.exceptions.HTTPError, HostUnknown) as error:
            if is_untrusted(error):
                raise UploadFailed("the server's certificate is not trusted", field=self.field) from None
            raise ServerFailed("the server did not take the result") from None
        if 200 <= status < 300:
            return
        if code == "MissingRequiredHeader" and not AZURE_HEADERS.keys() <= self.headers.keys():
            raise _HeaderMissing
        message = f"the server answered {status}{f' ({code})' if code else ''}"
        if is_passing(status, code):
            raise ServerFailed(message, wait)
        raise UploadFailed(message, field=self.field)


def put_file(
    url: str,
    path: Path,
    *,
    field: str,
    private_hosts: frozenset[str],
    check: Callable[[], None],
    deadline: float,
    limits: UploadLimits,
    headers: Mapping[str, str] | None = None,
) -> None:
    """PUT a file to a URL of the caller, with its length and content type, read from disk block by block.

    The address is checked again when it is connected to, and redirects are not followed. Transient failures (no
    connection, no response, 5xx, 408, 429, and those that S3 reports with status 400) are retried until ``deadline``
    (of ``time.monotonic``), respecting ``Retry-After``. ``check`` is called several times a second and may raise.
    ``headers`` are the caller's and override ours. Raises ``UploadFailed`` and ``UrlRejected``, whose messages contain
    nothing of the URL.
    """
    stop = threading.Event()
    sockets: list[socket.socket] = []
    sent = headers_for(url, content_type(path), headers or {})
    upload = _Upload(url, path, field, sent, private_hosts, limits, stop, sockets)
    # In a thread, so that an unresponsive server does not delay a cancellation.
    ended = start_thread(lambda: try_until(deadline, upload.send, stop), "put")
    try:
        in_time = wait_until(ended.done, check, deadline)
    finally:
        stop.set()
        if not ended.done():
            for sock in sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
    if not in_time:
        raise UploadFailed(TOO_SLOW, field=field)
    try:
        ended.result()
    except ServerFailed as error:
        raise UploadFailed(f"{error}, until the time limit of the upload", field=field) from None


def _beginning(response: requests.Response) -> bytes:
    """Return the beginning of a response body; empty if it cannot be read."""
    with suppress(OSError, urllib3.exceptions.HTTPError):
        return response.raw.read(_ANSWER_BYTES, decode_content=True) or b""
    return b""
