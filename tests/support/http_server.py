"""A real HTTP server on loopback that misbehaves on request; it ends with its context, whatever hangs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

Speaker = Callable[[socket.socket, threading.Event], None]
"""Answers a request on its socket; the event signals the end of the test."""
Answer = bytes | int | Speaker | list["Answer"]
"""A body for 200, a status without a body, a function, or one of these for each request in turn (the last stays)."""


@dataclass
class Server:
    port: int
    asked: list[str] = field(default_factory=list)
    """Paths of the requests so far."""
    heads: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> Speaker:
    """Say exactly this; ``Content_Length`` is made where it is not given."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)

    def speak(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)

    return speak


def drip(head: bytes, each: bytes = b"x", seconds: float = 0.05) -> Speaker:
    """Send ``head``, then a little, for ever."""

    def speak(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(seconds):
            connection.sendall(each)

    return speak


@contextlib.contextmanager
def http_server(answers: Mapping[str, Answer]) -> Iterator[Server]:
    """Serve ``answers`` by path until the context ends; what is not there is 404."""
    over = threading.Event()
    left = {path: list(answer) if isinstance(answer, list) else [answer] for path, answer in answers.items()}
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # accept() looks up now and then, so that no test waits for a client that never comes.
        listener.settimeout(0.1)
        server = Server(listener.getsockname()[1])

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10.0)
                request = b""
                while b"\r\n\r\n" not in request and (part := connection.recv(65536)):
                    request += part
                path = request.split(b" ")[1].decode().partition("?")[0] if b" " in request else ""
                server.asked.append(path)
                server.heads.append(request.decode("latin-1"))
                turns = left.get(path, [404])
                answer = turns.pop(0) if len(turns) > 1 else turns[0]
                if isinstance(answer, int):
                    answer = response(status=f"{answer} X")
                elif isinstance(answer, bytes):
                    answer = response(answer)
                assert callable(answer)
                answer(connection, over)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    threads.append(threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True))
                    threads[-1].start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            over.set()
            for thread in (acceptor, *threads):
                thread.join(15)
