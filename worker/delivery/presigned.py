"""Send files to URLs that the caller signed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

import backoff
import requests
import urllib3

from pipeline.errors import UploadFailed
from worker.delivery.upload_limits import TOO_SLOW, UploadLimits, content_type
from worker.source.urls import HostUnknown, open_request
from worker.threads import start_thread, wait_until

_LONGEST_PAUSE_SECONDS = 4


class _ServerFailed(Exception):
    """A failure that another try may mend: no connection, no answer, or a 5xx."""


class _GivenUp(Exception):
    """Nobody waits for this upload any more."""


class _Body:
    """A file for ``requests``: its length is known, it is read in blocks, and reading ends when ``stop`` is set."""

    def __init__(self, file: BufferedReader, size: int, stop: threading.Event) -> None:
        self._file, self._size, self._stop = file, size, stop

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        # ``requests`` asks for it to know a stream from a form; ``read`` is what is used.
        return iter(self._file)

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            raise _GivenUp
        return self._file.read(size)


def put_file(
    url: str,
    path: Path,
    *,
    field: str,
    private_hosts: frozenset[str],
    check: Callable[[], None],
    deadline: float,
    limits: UploadLimits,
) -> None:
    """PUT a file to a URL of the caller, with its length and content type, read from the disk block by block.

    The address is checked again when it is connected to, and no redirect is followed. Connection errors and 5xx are
    tried again. ``check`` is called some times a second and may raise; ``deadline`` is of ``time.monotonic``. Raises
    ``UploadFailed`` and ``UrlRejected``, whose sentences hold nothing of the URL.
    """
    stop = threading.Event()
    sockets: list[socket.socket] = []

    @backoff.on_exception(
        backoff.expo, _ServerFailed, max_tries=limits.tries, max_value=_LONGEST_PAUSE_SECONDS, logger=None
    )
    def try_again() -> None:
        _put(url, path, field, private_hosts, limits, stop, sockets)

    # In a thread, so that a server that says nothing holds up no cancel.
    ended = start_thread(try_again, "put")
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
    except _ServerFailed as error:
        raise UploadFailed(f"{error} (asked {limits.tries} times)", field=field) from None


def _put(
    url: str,
    path: Path,
    field: str,
    private_hosts: frozenset[str],
    limits: UploadLimits,
    stop: threading.Event,
    sockets: list[socket.socket],
) -> None:
    if stop.is_set():
        raise _GivenUp
    try:
        with (
            path.open("rb") as file,
            open_request(
                "PUT",
                url,
                field=field,
                private_hosts=private_hosts,
                data=_Body(file, path.stat().st_size, stop),
                headers={"Content-Type": content_type(path)},
                timeout=(limits.connect_seconds, limits.answer_seconds),
                on_socket=sockets.append,
            ) as response,
        ):
            status = response.status_code
    except (requests.RequestException, urllib3.exceptions.HTTPError, HostUnknown):
        raise _ServerFailed("the server did not take the result") from None
    if status >= 500:
        raise _ServerFailed(f"the server answered {status}")
    if not 200 <= status < 300:
        raise UploadFailed(f"the server answered {status}", field=field)
