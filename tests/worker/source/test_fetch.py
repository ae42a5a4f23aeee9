"""Downloads from a real server on loopback, and URLs that are never requested."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Cancelled, DownloadFailed, DownloadTimeout, TooLarge, UnderstudyError, UrlRejected
from tests.support.http_server import Answer, drip, http_server, response
from worker.source import fetch as fetch_module
from worker.source.addresses import is_public
from worker.source.fetch import fetch
from worker.source.urls import check_url, read_url

_OURS = frozenset({"127.0.0.1"})


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)


def _fetch(url: str, target: Path, **more: Any) -> Path:
    wanted: dict[str, Any] = {
        "field": "video_url",
        "max_bytes": 10**6,
        "seconds": 20.0,
        "local_root": None,
        "private_hosts": _OURS,
        "check": lambda: None,
        **more,
    }
    return fetch(url, target, **wanted)


def test_a_file_comes_whole_and_nothing_but_its_bytes_counts(tmp_path: Path) -> None:
    body = bytes(range(256)) * 2000
    named = response(body, Content_Type="text/html", Content_Disposition='attachment; filename="../../x;rm"')
    with http_server({"/%F0%9F%98%80.exe": named}) as server:
        found = _fetch(server.url("/%F0%9F%98%80.exe?Signature=1"), tmp_path / "source")
    assert found == tmp_path / "source" and found.read_bytes() == body
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    assert "identity" in server.heads[0]


@pytest.mark.parametrize(
    ("answer", "error", "asked"),
    [
        (404, DownloadFailed, 1),
        (403, DownloadFailed, 1),
        (500, DownloadFailed, 5),
        (response(b"abc", Content_Length="9"), DownloadFailed, 5),
        (response(b"abc", Content_Length="2000000"), TooLarge, 1),
        (response(b"x" * 1_100_000, Content_Length=""), TooLarge, 1),
        (response(gzip.compress(bytes(5_000_000)), Content_Encoding="gzip"), TooLarge, 1),
        (response(b""), DownloadFailed, 1),
        (response(status="302 Found", Location="file:///etc/passwd"), UrlRejected, 1),
        (response(status="302 Found", Location="http://10.0.0.1/a"), UrlRejected, 1),
        (response(status="302 Found", Location="http://127.0.0.2/a"), UrlRejected, 1),
        (response(status="302 Found", Location="/a.mp4"), UrlRejected, 11),
        (response(status="302 Found"), UrlRejected, 1),
        (lambda connection, over: connection.sendall(b"no HTTP at all\r\n\r\n"), DownloadFailed, 5),
        (lambda connection, over: None, DownloadFailed, 5),
        # Truncated where only the transfer coding defines the length.
        (
            response(gzip.compress(bytes(range(256)) * 99)[:-9], Content_Encoding="gzip", Content_Length=""),
            DownloadFailed,
            5,
        ),
        (response(gzip.compress(b"x" * 99)[:-1], Content_Encoding="gzip", Content_Length=""), DownloadFailed, 5),
        (response(b"no gzip", Content_Encoding="gzip"), DownloadFailed, 5),
        (response(b"data", Content_Encoding="br"), DownloadFailed, 5),
        (response(b"data", status="206 X", Content_Range="bytes 0-3/9"), DownloadFailed, 1),
        (response(b"data", status="206 X", Content_Range="bytes 4-7/8"), DownloadFailed, 1),
        (response(b"data", status="206 X", Content_Type="multipart/byteranges; boundary=x"), DownloadFailed, 1),
        (response(b"data", Content_Length="9" * 5000), TooLarge, 1),
        (response(status="302 Found", Location="/a\x0bb"), UrlRejected, 1),
        (response(status="302 Found", Location="http://127.0.0.2/müde"), UrlRejected, 1),
        (response(b"x", status="429 X", Retry_After="3600"), DownloadFailed, 1),
    ],
)
def test_server_errors_have_their_code(
    answer: Answer, error: type[UnderstudyError], asked: int, tmp_path: Path
) -> None:
    with http_server({"/a.mp4": answer}) as server, pytest.raises(error) as caught:
        _fetch(server.url("/a.mp4?token=geheim"), tmp_path / "source")
    assert len(server.asked) == asked
    assert caught.value.field == "video_url"
    assert "geheim" not in caught.value.message and "127.0" not in caught.value.message
    assert not list(tmp_path.iterdir())


def test_a_recovering_and_redirecting_server_is_followed(tmp_path: Path) -> None:
    away = response(status="307 Temporary Redirect", Location="/b.mp4")
    with http_server({"/a.mp4": [503, away], "/b.mp4": [502, b"data"]}) as server:
        assert _fetch(server.url("/a.mp4"), tmp_path / "source").read_bytes() == b"data"


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/klips/müde-клип.mp4", "/klips/m%C3%BCde-%D0%BA%D0%BB%D0%B8%D0%BF.mp4"),
        ("/my clip  a.mp4", "/my%20clip%20%20a.mp4"),
        ("  /b.mp4 \t", "/b.mp4"),
        ("b%20c.mp4", "/b%20c.mp4"),
        ("/b.mp4?name=my clip ü#t=1", "/b.mp4?name=my%20clip%20%C3%BC"),
        ("http://127.0.0.1:PORT/d e.mp4", "/d%20e.mp4"),
        ("//127.0.0.1:PORT/d.mp4", "/d.mp4"),
    ],
)
def test_redirects_are_resolved_as_in_browsers(location: str, asked: str, tmp_path: Path) -> None:
    def away(connection: socket.socket, over: threading.Event) -> None:
        response(status="302 Found", Location=location.replace("PORT", str(server.port)))(connection, over)

    with http_server({"/a.mp4": away, asked.partition("?")[0]: b"data"}) as server:
        assert _fetch(server.url("/a.mp4"), tmp_path / "source").read_bytes() == b"data"
    assert server.heads[1].startswith(f"GET {asked} HTTP/1.1")


def test_the_endless_body_of_a_redirect_is_not_read(tmp_path: Path) -> None:
    endless = drip(b"HTTP/1.1 302 Found\r\nLocation: /b.mp4\r\n\r\n", b"x" * 100_000, 0.0)
    with http_server({"/a.mp4": endless, "/b.mp4": b"data"}) as server:
        assert _fetch(server.url("/a.mp4"), tmp_path / "source").read_bytes() == b"data"


def test_cookies_are_kept_within_a_fetch_and_forgotten_afterwards(tmp_path: Path) -> None:
    def guarded(connection: socket.socket, over: threading.Event) -> None:
        is_known = "ok=1" in server.heads[-1]
        answer = (
            response(b"data")
            if is_known
            else response(status="302 Found", Location="/a.mp4", Set_Cookie="ok=1; Path=/")
        )
        answer(connection, over)

    with http_server({"/a.mp4": guarded}) as server:
        for _ in range(2):
            assert _fetch(server.url("/a.mp4"), tmp_path / "source").read_bytes() == b"data"
    assert ["Cookie: ok=1" in head for head in server.heads] == [False, True, False, True]


def test_cookies_are_sent_to_no_other_host(tmp_path: Path) -> None:
    with http_server({"/b.mp4": b"data"}) as other:
        away = response(
            status="302 Found", Location=f"http://localhost:{other.port}/b.mp4", Set_Cookie="ok=1; Domain=localhost"
        )
        with http_server({"/a.mp4": away}) as server:
            _fetch(server.url("/a.mp4"), tmp_path / "source", private_hosts=frozenset({"127.0.0.1", "localhost"}))
    assert "ok=1" not in other.heads[0]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_transient_answers_are_retried_after_the_requested_time(status: int, tmp_path: Path) -> None:
    with http_server({"/a.mp4": [response(b"later", f"{status} X", Retry_After="1"), b"data"]}) as server:
        begin = time.monotonic()
        assert _fetch(server.url("/a.mp4"), tmp_path / "source").read_bytes() == b"data"
        assert time.monotonic() - begin >= 1.0


def test_complete_files_with_other_statuses_and_encodings_are_accepted(tmp_path: Path) -> None:
    body = bytes(range(256)) * 4000
    last = len(body) - 1
    raw = zlib.compressobj(wbits=-15)
    for answer in (
        response(body, "203 X"),
        response(body, "206 X", Content_Range=f"bytes 0-{last}/{last + 1}"),
        response(body, "206 X"),
        response(gzip.compress(body), Content_Encoding="gzip"),
        response(gzip.compress(body[:7]) + gzip.compress(body[7:]), Content_Encoding="x-gzip", Content_Length=""),
        response(gzip.compress(gzip.compress(body)), Content_Encoding="gzip, gzip", Content_Length=""),
        response(zlib.compress(body), Content_Encoding="deflate"),
        response(raw.compress(body) + raw.flush(), Content_Encoding="deflate", Content_Length=""),
        response(body, Content_Encoding="identity"),
    ):
        with http_server({"/a.mp4": answer}) as server:
            found = _fetch(server.url("/a.mp4"), tmp_path / "source", max_bytes=2 * 10**6)
            assert found.read_bytes() == body


@pytest.mark.parametrize(
    "speaker",
    [
        drip(b"HTTP/1.1 200 OK\r\n\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
        drip(b""),
        lambda connection, over: over.wait(30) and None,
    ],
)
def test_a_slow_server_is_given_up_at_the_deadline_and_its_thread_ends(speaker: Answer, tmp_path: Path) -> None:
    with http_server({"/a.mp4": speaker}) as server:
        with pytest.raises(DownloadTimeout):
            _fetch(server.url("/a.mp4"), tmp_path / "source", seconds=0.5)
        for thread in threading.enumerate():
            if thread.name == "fetch":
                thread.join(10)
                assert not thread.is_alive()
    assert not list(tmp_path.iterdir())


def test_a_cancel_is_noticed_while_a_server_is_silent(tmp_path: Path) -> None:
    looks = iter(range(5))

    def check() -> None:
        if next(looks, None) is None:
            raise Cancelled("stop")

    with http_server({"/a.mp4": drip(b"HTTP/1.1 200 OK\r\n")}) as server, pytest.raises(Cancelled):
        _fetch(server.url("/a.mp4"), tmp_path / "source", check=check)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "localhost", "[::1]", "[::ffff:7f00:1]", "[::7f00:1]",
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]",
        "[fe80::1%25lo]", "%31%32%37.0.0.1",
        "[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2001:0:7f00:1::1]", "a:b@127.0.0.1", "127.0.0.1.",
    ],
)  # fmt: skip
def test_no_form_of_a_private_address_is_contacted(host: str, tmp_path: Path) -> None:
    with http_server({"/a.mp4": b"data"}) as server:
        for scheme in ("http", "https"):
            with pytest.raises(UrlRejected) as caught:
                _fetch(f"{scheme}://{host}:{server.port}/a.mp4", tmp_path / "source", private_hosts=frozenset())
            assert host not in caught.value.message
    assert not server.asked


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://a.b/c", "data://text/plain,x", "concat:a|b", "pipe:0", "subfile:,,:x", "rtsp://a/b",
        "/etc/passwd", "-i", "http://", "http:///a", "http://a b/c", "http://a\nHost: b/c", "http://a:99999/c",
        "http://[::1/a", "http://1.1.1.1:22/a", "http://1.1.1.1:0/a", "gopher://a/b", "http://" + "a" * 70 + ".com/",
        "http://u@1.1.1.1/a", "http://:p@1.1.1.1/a", "HTTP://1.1.1.1\\@127.0.0.1/",
    ],
)  # fmt: skip
def test_other_schemes_ports_and_forms_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UrlRejected):
        _fetch(url, tmp_path / "source", private_hosts=frozenset())
    assert not list(tmp_path.iterdir())


def test_a_host_with_changing_addresses_is_contacted_at_the_checked_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo
    answers = iter(["93.184.216.34", "127.0.0.1"])

    def resolve(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return real(next(answers) if host == "rebind.test" else host, port, *rest, **more)

    dialled: list[str] = []

    def connect(address: Any, *rest: Any, **more: Any) -> socket.socket:
        dialled.append(address[0])
        raise OSError("not in a test")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    monkeypatch.setattr(fetch_module, "_TRIES", 1)
    with pytest.raises((DownloadFailed, UrlRejected)):
        _fetch("http://rebind.test/a.mp4", tmp_path / "source")
    # The first try connects to the checked address; the next one resolves again, and is refused.
    assert set(dialled) == {"93.184.216.34"}


def test_an_unknown_host_is_retried_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(DownloadFailed):
        _fetch("http://nowhere.test/a.mp4", tmp_path / "source")
    assert asked == ["nowhere.test"] * 5


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(UrlRejected):
        check_url("http://mixed.test/", field="f", private_hosts=frozenset())
    check_url("http://mixed.test/", field="f", private_hosts=frozenset({"mixed.test"}))


def test_public_addresses_and_the_operators_hosts_are_accepted() -> None:
    assert is_public("1.1.1.1") and is_public("2606:4700::1111") and is_public("2002:101:101::1")
    assert not is_public("2002:a00:1::1") and not is_public("no address")
    assert read_url("https://a.b/c?d", field="f", private_hosts=frozenset()).port == 443
    assert read_url("http://minio:22/", field="f", private_hosts=frozenset({"minio:22"})).is_private_host
    with pytest.raises(UrlRejected):
        read_url("http://minio:23/", field="f", private_hosts=frozenset({"minio:22"}))


def test_paths_are_read_only_under_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").write_bytes(b"x" * 10)
    (tmp_path / "b.mp4").write_bytes(b"y")
    (root / "link.mp4").symlink_to(tmp_path / "b.mp4")
    assert _fetch(str(root / "a.mp4"), tmp_path / "t", local_root=root) == root / "a.mp4"
    for name in (str(root / "link.mp4"), f"{root}/../b.mp4", "b.mp4", "~nobody_of_this_name/a", "a" * 5000, "\0"):
        with pytest.raises(UrlRejected):
            _fetch(name, tmp_path / "t", local_root=root)
    with pytest.raises(TooLarge):
        _fetch(str(root / "a.mp4"), tmp_path / "t", local_root=root, max_bytes=5)
