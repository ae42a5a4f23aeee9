"""Download a file that a caller names into the job's folder."""

from __future__ import annotations

import dataclasses
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import requests
import urllib3
from requests.cookies import RequestsCookieJar

from pipeline.errors import DownloadFailed, DownloadTimeout, TooLarge, UrlRejected
from pipeline.runtime.resources import FULL_DISK
from worker.retrying import ServerFailed, is_passing, try_until, wait_asked_for
from worker.source.decoding import CodingFailed, decoded
from worker.source.redirects import redirect_target
from worker.source.urls import HostUnknown, WebRequest, is_untrusted, open_request
from worker.threads import start_thread, wait_until

_CHUNK = 1 << 18
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 30.0
_TRIES = 5
"""Attempts if a server fails (no connection, 5xx, 408, 429): about ten seconds in all, unless it requests a longer
pause. A waiting worker costs money; an upload, whose work is done, waits longer."""
_MAX_REDIRECTS = 10
_LENGTH_DIGITS = 30
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE = re.compile(r"bytes\s+0-(\d{1,19})/(\d{1,19})", re.IGNORECASE)
"""``Content-Range`` of a partial response that covers the whole file."""


class _GivenUp(Exception):
    """The download was abandoned."""


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
    """Return the file at ``url``: downloaded to ``target``, or the path itself if it lies under ``local_root``.

    Only http and https, and only public addresses or ``private_hosts`` (every redirect is checked, and the connection
    goes to the checked address); at most ``max_bytes`` and ``seconds`` in all, whatever the server does. Transient
    failures are retried, respecting ``Retry-After``; cookies are kept until the end of this call. ``check`` is called
    several times a second and may raise. Raises ``UrlRejected``, ``DownloadFailed``, ``DownloadTimeout`` and
    ``TooLarge``; the messages contain nothing of the URL, and no partial file is left.
    """
    if "://" not in url:
        return _local_file(url, local_root, max_bytes, field)
    deadline = time.monotonic() + seconds
    download = _Download(url, target, field, max_bytes, private_hosts)
    ended = start_thread(lambda: try_until(deadline, download.run, download.stop, most_tries=_TRIES), "fetch")
    try:
        in_time = wait_until(ended.done, check, deadline)
    finally:
        download.stop.set()
        if not ended.done():
            target.unlink(missing_ok=True)
            # The thread may be blocked in a read to which the server sends a byte now and then.
            for sock in download.sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
    try:
        if not in_time:
            raise DownloadTimeout("the download did not finish in time", field=field)
        ended.result()
        if target.stat().st_size == 0:
            raise DownloadFailed("the server sent an empty file", field=field)
    except ServerFailed as error:
        target.unlink(missing_ok=True)
        kind = DownloadTimeout if isinstance(error.__cause__, requests.Timeout) else DownloadFailed
        raise kind(_with_tries(error, download.tries), field=field) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _with_tries(error: ServerFailed, tries: int) -> str:
    times = "once" if tries == 1 else f"{tries} times"
    later = f"; the server requests a pause of {error.wait_seconds:.0f} s" if error.wait_seconds else ""
    return f"{error} (tried {times}{later})"


def _local_file(name: str, local_root: Path | None, max_bytes: int, field: str) -> Path:
    if local_root is None:
        raise UrlRejected("only http and https URLs can be fetched", field=field)
    try:
        path = Path(name).expanduser()
        # Symbolic links and ".." are resolved before the location is checked.
        inside = path.resolve().is_relative_to(local_root.resolve())
        found = inside and path.is_file()
    except (OSError, RuntimeError, ValueError):
        # An overlong name, a loop of links, a folder without permission, an unknown ~user.
        found = False
    if not found:
        raise UrlRejected("there is no such file", field=field)
    if path.stat().st_size > max_bytes:
        raise TooLarge(f"the file is larger than {max_bytes} bytes", field=field)
    return path


@dataclasses.dataclass(slots=True)
class _Download:
    """The download of one file, run in its own thread; setting ``stop`` and shutting down ``sockets`` ends it."""

    url: str
    target: Path
    field: str
    max_bytes: int
    private_hosts: frozenset[str]
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    sockets: list[socket.socket] = dataclasses.field(default_factory=list)
    cookies: RequestsCookieJar = dataclasses.field(default_factory=RequestsCookieJar)
    """Cookies that the servers on the way set: some require them back."""
    tries: int = 0

    def run(self) -> None:
        """Follow redirects and save the body. Raises ``ServerFailed`` if a retry may help."""
        self.tries += 1
        url = self.url
        for _ in range(_MAX_REDIRECTS + 1):
            if self.stop.is_set():
                raise _GivenUp
            try:
                with open_request(self._request(url), self.sockets.append) as response:
                    if response.status_code not in _REDIRECTS:
                        self._save(response)
                        return
                    url = self._redirected(url, response)
            except HostUnknown:
                raise ServerFailed("the server's name cannot be resolved") from None
            except (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError, UnicodeError) as error:
                raise UrlRejected("this URL cannot be used", field=self.field) from error
            except requests.Timeout as error:
                raise ServerFailed("the server did not answer in time") from error
            except (OSError, urllib3.exceptions.HTTPError) as error:
                if isinstance(error, OSError) and error.errno in FULL_DISK:
                    raise
                if is_untrusted(error):
                    raise DownloadFailed("the server's certificate is not trusted", field=self.field) from None
                raise ServerFailed("the file could not be downloaded") from error
            except ValueError as error:
                # Headers that the library cannot parse, such as a length of 5,000 digits.
                raise DownloadFailed("the server's response cannot be read", field=self.field) from error
        raise UrlRejected(f"the URL redirects more than {_MAX_REDIRECTS} times", field=self.field)

    def _request(self, url: str) -> WebRequest:
        return WebRequest(
            "GET",
            url,
            field=self.field,
            private_hosts=self.private_hosts,
            headers={"Accept-Encoding": "identity", "User-Agent": "understudy"},
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            cookies=self.cookies,
        )

    def _redirected(self, url: str, response: requests.Response) -> str:
        location = response.headers.get("Location", "").strip()
        if not location:
            raise UrlRejected("the server sent a redirect without a location", field=self.field)
        try:
            return redirect_target(url, location)
        except ValueError:
            raise UrlRejected("the server sent a redirect to an invalid URL", field=self.field) from None

    def _save(self, response: requests.Response) -> None:
        status = response.status_code
        if is_passing(status):
            raise ServerFailed(f"the server answered {status}", wait_asked_for(response.headers))
        if not _has_whole_file(response):
            raise DownloadFailed(f"the server answered {status}", field=self.field)
        length = _content_length(response)
        if length is not None and length > self.max_bytes:
            raise TooLarge(f"the file is larger than {self.max_bytes} bytes", field=self.field)
        if self.stop.is_set():
            # The response may be the remaining data of a socket that was shut down.
            raise _GivenUp
        read: list[int] = []
        done = 0
        try:
            with self.target.open("wb") as file:
                for part in decoded(self._read(response, read), response.headers.get("Content-Encoding", "")):
                    done += len(part)
                    if done > self.max_bytes:
                        raise TooLarge(f"the file is larger than {self.max_bytes} bytes", field=self.field)
                    file.write(part)
        except CodingFailed as error:
            raise ServerFailed(str(error)) from None
        if length is not None and sum(read) != length:
            raise ServerFailed("the download was incomplete")

    def _read(self, response: requests.Response, read: list[int]) -> Iterator[bytes]:
        """Yield the body as received and append the number of bytes of each piece to ``read``."""
        # Not iter_content, which waits until a chunk is full.
        while part := response.raw.read1(_CHUNK, decode_content=False):
            if self.stop.is_set():
                raise _GivenUp
            read.append(len(part))
            yield part


def _has_whole_file(response: requests.Response) -> bool:
    """Whether a response has the whole file: 200, a proxy's 203, or an unrequested 206 that covers all of it."""
    if response.status_code in (200, 203):
        return True
    if response.status_code != 206 or response.headers.get("Content-Type", "").startswith("multipart/"):
        return False
    content_range = response.headers.get("Content-Range")
    found = _WHOLE.fullmatch(content_range.strip()) if content_range is not None else None
    return content_range is None or (found is not None and int(found[1]) + 1 == int(found[2]))


def _content_length(response: requests.Response) -> int | None:
    """Return ``Content-Length``, or None if it is missing or contradictory; the same value twice is accepted."""
    lengths = {part.strip() for part in response.headers.get("Content-Length", "").split(",")}
    text = lengths.pop() if len(lengths) == 1 else ""
    # Truncated, since Python refuses to parse thousands of digits; such a length is over any limit anyway.
    return int(text[:_LENGTH_DIGITS]) if text.isascii() and text.isdecimal() else None
