"""Get a file that a caller names into the job's folder."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin

import backoff
import requests
import urllib3

from pipeline.errors import DownloadFailed, DownloadTimeout, TooLarge, UrlRejected
from pipeline.runtime.resources import FULL_DISK
from worker.source.urls import HostUnknown, open_request
from worker.threads import start_thread, wait_until

_CHUNK = 1 << 18
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 30.0
_TRIES = 3
"""Where a server fails (no connection, 5xx); another answer is not asked for again."""
_LONGEST_PAUSE_SECONDS = 4
_MAX_REDIRECTS = 5


class _ServerFailed(Exception):
    """A failure that another try may mend."""


class _GivenUp(Exception):
    """Nobody waits for this download any more."""


def fetch(
    url: str,
    target: Path,
    *,
    field: str,
    max_bytes: int,
    seconds: float,
    local_root: Path | None,
    private_hosts: frozenset[str] = frozenset(),
    check: Callable[[], None],
) -> Path:
    """Return the file that ``url`` names: downloaded to ``target``, or the path itself where ``local_root`` holds it.

    Only http and https, only public addresses or ``private_hosts`` (every redirect is checked, the checked address is
    dialled), at most ``max_bytes`` and ``seconds`` in all, whatever the server does. Connection errors and 5xx are
    tried again. ``check`` is called some times a second and may raise. Raises ``UrlRejected``, ``DownloadFailed``,
    ``DownloadTimeout`` and ``TooLarge``; messages repeat nothing of the URL, and no partial file is left.
    """
    if "://" not in url:
        return _local_file(url, local_root, max_bytes, field)
    stop = threading.Event()
    sockets: list[socket.socket] = []

    @backoff.on_exception(backoff.expo, _ServerFailed, max_tries=_TRIES, max_value=_LONGEST_PAUSE_SECONDS, logger=None)
    def download() -> None:
        _download(url, target, field, max_bytes, private_hosts, stop, sockets)

    ended = start_thread(download, "fetch")
    try:
        in_time = wait_until(ended.done, check, time.monotonic() + seconds)
    finally:
        stop.set()
        if not ended.done():
            target.unlink(missing_ok=True)
            # The thread may sit in a read for which the server sends a byte now and then.
            for sock in sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
    try:
        if not in_time:
            raise DownloadTimeout("the download did not end in time", field=field)
        ended.result()
        if target.stat().st_size == 0:
            raise DownloadFailed("the server delivered an empty file", field=field)
    except _ServerFailed as error:
        target.unlink(missing_ok=True)
        kind = DownloadTimeout if isinstance(error.__cause__, requests.Timeout) else DownloadFailed
        raise kind(f"{error} (asked {_TRIES} times)", field=field) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _local_file(name: str, local_root: Path | None, max_bytes: int, field: str) -> Path:
    if local_root is None:
        raise UrlRejected("only http and https URLs can be fetched", field=field)
    try:
        path = Path(name).expanduser()
        # Links and ".." are followed before the question where the file lies.
        inside = path.resolve().is_relative_to(local_root.resolve())
        found = inside and path.is_file()
    except (OSError, RuntimeError, ValueError):
        # A name that is too long, a loop of links, a folder that may not be entered, an unknown ~user.
        found = False
    if not found:
        raise UrlRejected("there is no such file", field=field)
    if path.stat().st_size > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes", field=field)
    return path


def _download(
    url: str,
    target: Path,
    field: str,
    max_bytes: int,
    private_hosts: frozenset[str],
    stop: threading.Event,
    sockets: list[socket.socket],
) -> None:
    """Follow redirects and save the body. Runs in a thread of its own."""
    for _ in range(_MAX_REDIRECTS + 1):
        if stop.is_set():
            raise _GivenUp
        try:
            with open_request(
                "GET",
                url,
                field=field,
                private_hosts=private_hosts,
                headers={"Accept-Encoding": "identity", "User-Agent": "understudy"},
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                on_socket=sockets.append,
            ) as response:
                if response.is_redirect or response.is_permanent_redirect:
                    url = urljoin(url, response.headers["Location"])
                    continue
                _save(response, target, field, max_bytes, stop)
                return
        except HostUnknown:
            raise _ServerFailed("the server's name is not known") from None
        except ValueError as error:
            # What requests makes of a URL or a redirect that is none.
            raise UrlRejected("this URL cannot be used", field=field) from error
        except requests.Timeout as error:
            raise _ServerFailed("the server did not answer in time") from error
        except (OSError, urllib3.exceptions.HTTPError) as error:
            if isinstance(error, OSError) and error.errno in FULL_DISK:
                raise
            raise _ServerFailed("the file could not be downloaded") from error
    raise UrlRejected(f"the URL redirects more than {_MAX_REDIRECTS} times", field=field)


def _save(response: requests.Response, target: Path, field: str, max_bytes: int, stop: threading.Event) -> None:
    status = response.status_code
    if status >= 500:
        raise _ServerFailed(f"the server answered {status}")
    if status in (301, 302, 303, 307, 308):
        raise UrlRejected("the server redirects to nowhere", field=field)
    if status != requests.codes.ok:
        raise DownloadFailed(f"the server answered {status}", field=field)
    told = response.headers.get("Content-Length", "")
    if told.isdecimal() and int(told) > max_bytes:
        raise TooLarge(f"the file is over {max_bytes} bytes", field=field)
    if stop.is_set():
        # What looks like a response may be the rest of a socket that was shut down.
        raise _GivenUp
    done = 0
    with target.open("wb") as file:
        # Not iter_content: it waits until a chunk is full.
        while part := response.raw.read1(_CHUNK, decode_content=True):
            if stop.is_set():
                raise _GivenUp
            done += len(part)
            if done > max_bytes:
                raise TooLarge(f"the file is over {max_bytes} bytes", field=field)
            file.write(part)
    if told.isdecimal() and "Content-Encoding" not in response.headers and done != int(told):
        raise _ServerFailed("the download ended early")
