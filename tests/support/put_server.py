"""A scripted HTTP server on loopback that accepts PUTs (and any other method)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Step = int | Literal["silent", "hang_up"] | tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]
"""A status; one with headers, perhaps with a body; no answer until the server ends; or a connection that is closed."""


def _parts(step: Step) -> tuple[int, dict[str, str], bytes]:
    if not isinstance(step, tuple):
        return int(step), {}, b""
    return step if len(step) == 3 else (*step, b"")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(slots=True)
class PutServer:
    """What came, and the answers still to give; the last one is given for ever."""

    steps: list[Step]
    port: int = 0
    received: list[Received] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    arrived: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def host(self) -> str:
        """As in UNDERSTUDY_PRIVATE_HOSTS."""
        return f"127.0.0.1:{self.port}"

    def take(self, request: Received) -> Step:
        with self.lock:
            self.received.append(request)
            step = self.steps[0] if len(self.steps) == 1 else self.steps.pop(0)
        self.arrived.set()
        return step


@contextmanager
def put_server(*steps: Step, port: int = 0) -> Iterator[PutServer]:
    """Answer the requests in turn with ``steps`` (200 where there are none) until the block ends.

    ``port`` 0 is any that is free.
    """
    told = PutServer(list(steps) or [200])

    class Handler(BaseHTTPRequestHandler):
        # Version 1.1 sends "100 Continue", for which botocore would wait a second.
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            step = told.take(Received(self.command, self.path, headers, body))
            self.close_connection = True
            if step == "silent":
                told.over.wait(300)
            elif step != "hang_up":
                status, extra, answer = _parts(step)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), "Connection": "close", **extra}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

        do_PUT = do_POST = do_GET = do_DELETE = do_HEAD = _answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            # A client that leaves in the middle is what some tests are about.
            pass

    with Server(("127.0.0.1", port), Handler) as server:
        told.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            told.over.set()
            server.shutdown()
            thread.join()
