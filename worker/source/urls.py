"""Protection against server-side request forgery: which URLs a caller may use, and requests to checked addresses.

Only public addresses and the operator's private hosts, a rule for ports, no credentials. The SDK's ``rp_ssrf`` connects
to the address that was checked, and the peer's address is checked again before a byte is sent. Proxies from the
environment are not used: behind one it would be unknown which address is contacted.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.cookies import RequestsCookieJar

from pipeline.errors import UrlRejected
from worker.sdk import PinnedIPAdapter
from worker.source.addresses import is_public

_UNUSUAL = re.compile(r"[\x00-\x20\x7f\\]")
_WELL_KNOWN_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024
"""Lower ports belong to services such as SSH and mail, which must not receive HTTP requests."""


class HostUnknown(Exception):
    """The host name cannot be resolved at the moment; a retry may succeed."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL that passed the checks; its address has not been looked up yet."""

    url: str
    host: str
    port: int
    is_private_host: bool
    """Whether the operator allows this host, so that its address may be private."""


def read_url(url: str, *, field: str, private_hosts: frozenset[str]) -> Target:
    """Parse an http(s) URL. Raises ``UrlRejected``, whose message contains nothing of the URL.

    Rejected are other schemes, credentials, blanks and control characters, a host that ends with a dot or has a percent
    sign, and ports below 1024 other than 80 and 443. ``private_hosts`` holds ``host`` or ``host:port``, in lower case.
    """
    if _UNUSUAL.search(url):
        raise UrlRejected("the URL contains a space or a control character", field=field)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError:
        raise UrlRejected("not a valid URL", field=field) from None
    if parts.scheme not in ("http", "https"):
        raise UrlRejected("only http and https URLs can be used", field=field)
    if parts.username is not None or parts.password is not None:
        raise UrlRejected("the URL must not contain a user name or a password", field=field)
    # A zone, or letters in disguise: neither names a public host, and looking it up would only take time.
    if not host or host.endswith(".") or "%" in host:
        raise UrlRejected("the URL has no usable host", field=field)
    if port is None:
        port = 443 if parts.scheme == "https" else 80
    is_private_host = host in private_hosts or f"{host}:{port}" in private_hosts
    if port not in _WELL_KNOWN_PORTS and port < _FIRST_FREE_PORT and not is_private_host:
        raise UrlRejected("only the ports 80, 443 and 1024 to 65535 can be used", field=field)
    return Target(url, host, port, is_private_host)


def check_url(url: str, *, field: str, private_hosts: frozenset[str]) -> None:
    """Raise ``UrlRejected`` for a URL that this worker may not contact; its address is looked up."""
    try:
        addresses_of(read_url(url, field=field, private_hosts=private_hosts), field=field)
    except HostUnknown:
        raise UrlRejected("the URL's host cannot be resolved", field=field) from None


def addresses_of(target: Target, *, field: str) -> list[str]:
    """Look up the host. Raises ``UrlRejected`` if any address is not public, ``HostUnknown`` if there is none."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise UrlRejected("the URL has no usable host", field=field) from None
    except socket.gaierror as error:
        raise HostUnknown from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not target.is_private_host and not all(is_public(address) for address in addresses):
        raise UrlRejected("this URL cannot be used: its host is not public", field=field)
    if not addresses:
        raise HostUnknown
    return addresses


@dataclass(frozen=True, slots=True)
class WebRequest:
    """One HTTP request to a URL of a caller."""

    method: str
    url: str
    field: str
    """The request field that holds the URL, for errors."""
    private_hosts: frozenset[str]
    data: Any = None
    headers: Mapping[str, str] | None = None
    timeout: tuple[float, float] = (5.0, 30.0)
    """Seconds for connecting, and for each read."""
    cookies: RequestsCookieJar | None = None
    """Sent to the hosts that set them, and updated from the response."""


@contextmanager
def open_request(
    request: WebRequest, on_socket: Callable[[socket.socket], None] = lambda sock: None
) -> Iterator[requests.Response]:
    """Send a request and yield its response with the body unread. Redirects are not followed.

    The host's addresses are tried in turn until one accepts the connection. ``on_socket`` receives every connected
    socket; shutting it down ends the request. Raises ``UrlRejected``, ``HostUnknown`` and the errors of ``requests``.
    """
    target = read_url(request.url, field=request.field, private_hosts=request.private_hosts)
    addresses = addresses_of(target, field=request.field)
    with _OneRequest() as session:
        session.trust_env = False
        if request.cookies is not None:
            session.cookies = request.cookies
        # The only setting taken from the environment: the operator's certificates.
        session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            adapter = _WatchedAdapter(address, on_socket, target.is_private_host, request.field)
            session.mount("http://", adapter)
            session.mount("https://", adapter)
            try:
                response = session.request(
                    request.method,
                    request.url,
                    data=request.data,
                    headers=request.headers,
                    timeout=request.timeout,
                    allow_redirects=False,
                    stream=True,
                )
            except requests.ConnectionError as error:
                if left and _is_unconnected(error):
                    continue
                raise
            with response:
                yield response
            return


class _OneRequest(requests.Session):
    """A session that ignores redirects: ``requests`` would read the whole body, however long, to prepare one."""

    def resolve_redirects(self, *_: Any, **__: Any) -> Iterator[Any]:
        return iter(())


class _WatchedAdapter(PinnedIPAdapter):  # type: ignore[misc]
    """Connects to one address, checks the peer's address, and reports its sockets."""

    def __init__(
        self, address: str, on_socket: Callable[[socket.socket], None], may_be_private: bool, field: str
    ) -> None:
        self._on_socket = on_socket
        self._may_be_private = may_be_private
        self._field = field
        super().__init__(address)

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        on_socket = self._on_socket
        may_be_private = self._may_be_private
        field = self._field

        class Watched(pool.ConnectionCls):  # type: ignore[misc, name-defined]
            def _new_conn(self) -> socket.socket:
                sock: socket.socket = super()._new_conn()
                if not (may_be_private or is_public(str(sock.getpeername()[0]))):
                    sock.close()
                    raise UrlRejected("this URL cannot be used: its host is not public", field=field)
                # Reported before the TLS handshake, during which a server may stop responding.
                on_socket(sock)
                return sock

            def connect(self) -> None:
                super().connect()
                # TLS has replaced the socket.
                on_socket(self.sock)

        pool.ConnectionCls = Watched
        return pool


def _is_unconnected(error: requests.ConnectionError) -> bool:
    """Whether the connection failed before anything was sent, so that another address may be tried."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def is_untrusted(error: BaseException) -> bool:
    """Whether a server's certificate was rejected; a retry would fail again."""
    return "CERTIFICATE_VERIFY_FAILED" in str(error)
