"""A stand-in of the model hub on loopback: metadata, files behind a redirect, ranges, tokens, and what goes wrong
there."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it has and what it did."""

    files: Mapping[str, bytes]
    """``owner/name/path`` to content."""
    lfs: frozenset[str]
    """Files whose SHA-256 is in the metadata."""
    token: str | None = None
    cut_after: int | None = None
    """Bytes after which each connection ends, once a file."""
    url: str = ""
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """(path, Range, Authorization)."""
    cut: set[str] = field(default_factory=set)


class _Handler(BaseHTTPRequestHandler):
    """Answers as the hub does; the server's ``hub`` holds the files and records the requests."""

    timeout = 10

    @property
    def _hub(self) -> Hub:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        return hub

    def do_GET(self) -> None:
        path = self.path.split("?")[0].lstrip("/")
        self._hub.asked.append((path, self.headers.get("Range"), self.headers.get("Authorization")))
        if path.startswith("cdn/"):
            self._file(path.removeprefix("cdn/"))
        elif self._hub.token is not None and self.headers.get("Authorization") != f"Bearer {self._hub.token}":
            self.send_error(401)
        elif path.startswith("api/models/"):
            self._metadata(path.removeprefix("api/models/").split("/revision/")[0])
        else:
            repository, _, rest = path.partition("/resolve/")
            self._redirect(f"{repository}/{rest.partition('/')[2]}" if rest else path)

    def _metadata(self, repository: str) -> None:
        siblings: list[dict[str, Any]] = []
        for name, content in self._hub.files.items():
            if name.startswith(repository + "/"):
                item: dict[str, Any] = {"rfilename": name.removeprefix(repository + "/")}
                if name in self._hub.lfs:
                    item["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
                siblings.append(item)
        self._answer(json.dumps({"sha": COMMIT, "siblings": siblings}).encode())

    def _redirect(self, name: str) -> None:
        if name not in self._hub.files:
            self.send_error(404)
            return
        self.send_response(302)
        # Another host, as the hub's CDN is one: the token must not go there.
        port = self.server.server_address[1]
        self.send_header("Location", f"http://localhost:{port}/cdn/{name}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, name: str) -> None:
        content = self._hub.files[name]
        begin = 0
        wanted = self.headers.get("Range")
        if wanted:
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if self._hub.cut_after is not None and name not in self._hub.cut:
            self._hub.cut.add(name)
            self.wfile.write(content[begin : begin + self._hub.cut_after])
            self.close_connection = True
            return
        self.wfile.write(content[begin:])

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *values: Any) -> None:
        """Log nothing."""


@contextmanager
def hub_server(files: Mapping[str, bytes], lfs: frozenset[str] = frozenset(), **more: Any) -> Iterator[Hub]:
    """Serve ``files``; the server ends with the block."""
    hub = Hub(files, lfs, **more)

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = hub  # type: ignore[attr-defined]
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
