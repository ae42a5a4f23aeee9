"""PUTs to the caller's URLs, with well-behaved and misbehaving servers."""

from __future__ import annotations

import email.utils
import socket
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import Cancelled, UploadFailed, UrlRejected
from tests.support.put_server import PutServer, Step, put_server
from tests.support.s3_server import s3_server
from worker.delivery.bucket import s3_client
from worker.delivery.bucket_settings import read_bucket
from worker.delivery.presigned import put_file
from worker.delivery.signed_url import headers_for
from worker.delivery.upload_limits import UploadLimits
from worker.source.urls import WebRequest, check_url, open_request
from worker.threads import start_thread

_LIMITS = UploadLimits(answer_seconds=550.0)
"""A test that waits for this time-out instead of seeing its cancel is ended by pytest."""
_SIGNED = "/result.mp4?X-Amz-Signature=abc"


def _put(
    server: PutServer,
    path: Path,
    *,
    url: str | None = None,
    check: object = lambda: None,
    seconds: float = 300.0,
    limits: UploadLimits = _LIMITS,
    headers: dict[str, str] | None = None,
) -> None:
    put_file(
        url or server.url + _SIGNED,
        path,
        field="upload_url",
        private_hosts=frozenset({server.host}),
        check=check,  # type: ignore[arg-type]
        deadline=time.monotonic() + seconds,
        limits=limits,
        headers=headers,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "result.mp4"
    path.write_bytes(bytes(range(256)) * 3000)
    return path


def test_a_file_arrives_with_its_length_and_type_and_the_whole_query(path: Path) -> None:
    with put_server() as server:
        _put(server, path)
    (got,) = server.received
    assert (got.method, got.path, got.body) == ("PUT", _SIGNED, path.read_bytes())
    assert got.headers["content-type"] == "video/mp4" and got.headers["content-length"] == str(len(got.body))
    assert "transfer-encoding" not in got.headers


def test_an_empty_file_arrives(tmp_path: Path) -> None:
    empty = tmp_path / "analysis.npz"
    empty.touch()
    with put_server() as server:
        _put(server, empty)
    assert [(got.body, got.headers["content-length"]) for got in server.received] == [(b"", "0")]


def test_a_signed_url_of_a_real_store_takes_the_file(path: Path, tmp_path: Path) -> None:
    with s3_server(tmp_path / "s3") as store:
        bucket = read_bucket(store.environment)
        assert bucket is not None
        client = s3_client(bucket, UploadLimits())
        urls = [
            client.generate_presigned_url("put_object", Params={"Bucket": store.bucket, "Key": "k.mp4"}, ExpiresIn=life)
            for life in (60, 1)
        ]
        client.close()

        def put(url: str) -> None:
            host = frozenset({store.endpoint_url.removeprefix("http://")})
            deadline = time.monotonic() + 300
            put_file(
                url, path, field="upload_url", private_hosts=host, check=lambda: None, deadline=deadline, limits=_LIMITS
            )

        put(urls[0])
        assert (store.folder / store.bucket / "k.mp4").read_bytes() == path.read_bytes()
        path.write_bytes(b"later")
        time.sleep(2.1)
        with pytest.raises(UploadFailed, match="the server answered 4") as caught:
            put(urls[1])
        assert caught.value.field == "upload_url" and "http" not in caught.value.message
        assert (store.folder / store.bucket / "k.mp4").read_bytes() != b"later"


def test_after_a_failure_the_whole_file_is_sent_again(path: Path) -> None:
    with put_server(503, "hang_up", 200) as server:
        _put(server, path)
    assert [got.body for got in server.received] == [path.read_bytes()] * 3


@pytest.mark.parametrize(
    ("step", "is_asked_again"), [(500, True), ("hang_up", True), (403, False), (404, False), (413, False)]
)
def test_retries_of_a_failing_server_end(path: Path, step: int, is_asked_again: bool) -> None:
    begin = time.monotonic()
    with put_server(step) as server, pytest.raises(UploadFailed) as caught:
        _put(server, path, seconds=1.5)
    assert (len(server.received) > 1) == is_asked_again and time.monotonic() - begin < 60
    assert caught.value.field == "upload_url" and "Signature" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def _error(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>m</Message></Error>'.encode()


@pytest.mark.parametrize(
    "step",
    [429, 408, 425, (400, {}, _error("RequestTimeout")), (400, {}, _error("SlowDown")), (403, {}, _error("SlowDown"))],
)
def test_transient_errors_are_retried(path: Path, step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.retrying.FIRST_PAUSE_SECONDS", 0.01)
    with put_server(step, 200) as server:
        _put(server, path)
    assert [got.body for got in server.received] == [path.read_bytes()] * 2


def test_a_temporarily_unreachable_server_gets_the_file(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = start_thread(lambda: _put(PutServer([200], port), path), "test")
    time.sleep(2.5)
    assert not ended.done()
    with put_server(port=port) as server:
        ended.result(60)
    assert [got.body for got in server.received] == [path.read_bytes()]


@pytest.mark.parametrize("wait", ["1", "date"])
def test_retry_after_is_respected(path: Path, wait: str) -> None:
    told = email.utils.formatdate(time.time() + 2.5, usegmt=True) if wait == "date" else wait
    with put_server((503, {"Retry-After": told}), 200) as server:
        begin = time.monotonic()
        _put(server, path)
        assert time.monotonic() - begin >= 1.0
    with put_server((429, {"Retry-After": "3600"})) as busy, pytest.raises(UploadFailed, match="429"):
        _put(busy, path)
    assert len(busy.received) == 1, "it was not waited for, as the time would be over"


def test_azure_gets_its_header(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in (
        "https://me.blob.core.windows.net/c/r.mp4?sig=x",
        "https://me.blob.core.chinacloudapi.cn/c/r.mp4?sig=x",
        "https://me.z1.blob.storage.azure.net/c/r.mp4",
        "http://127.0.0.1:10000/me/c/r.mp4?sv=2024-11-04&sp=cw&sr=b&sig=x",
    ):
        assert headers_for(url, "video/mp4", {}) == {"content-type": "video/mp4", "x-ms-blob-type": "BlockBlob"}
    asked = headers_for("https://me.blob.core.windows.net/c", "video/mp4", {"X-Ms-Blob-Type": "AppendBlob"})
    assert asked["x-ms-blob-type"] == "AppendBlob"
    for url in (
        "https://s3.amazonaws.com/r.mp4?X-Amz-Signature=x",
        "https://blob.core.windows.net.example.com/x?sig=1",
    ):
        assert headers_for(url, "video/mp4", {}) == {"content-type": "video/mp4"}
    # Azure under a custom domain reports the missing header.
    with put_server((400, {}, _error("MissingRequiredHeader")), 201) as server:
        _put(server, path)
    assert [got.headers.get("x-ms-blob-type") for got in server.received] == [None, "BlockBlob"]


def test_the_callers_headers_are_sent_and_an_empty_one_takes_ours_away(path: Path) -> None:
    with put_server() as server:
        _put(server, path, headers={"X-Amz-Acl": "private", "Content-Type": "application/octet-stream"})
        _put(server, path, headers={"content-type": ""})
    first, second = server.received
    assert first.headers["x-amz-acl"] == "private" and first.headers["content-type"] == "application/octet-stream"
    assert "content-type" not in second.headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(path: Path, status: int) -> None:
    with put_server() as canary, put_server((status, {"Location": canary.url + "/x"})) as server:
        with pytest.raises(UploadFailed, match=str(status)):
            _put(server, path)
        assert len(server.received) == 1 and not canary.received


def test_a_private_address_is_not_connected_to(path: Path) -> None:
    with put_server() as server:
        with pytest.raises(UrlRejected):
            put_file(
                server.url + _SIGNED,
                path,
                field="upload_url",
                private_hosts=frozenset(),
                check=lambda: None,
                deadline=time.monotonic() + 60,
                limits=_LIMITS,
            )
        assert not server.received


def test_an_unreachable_server_is_reported(path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UploadFailed):
        _put(PutServer([200], port), path, seconds=0.5)


def test_a_silent_server_delays_neither_a_cancel_nor_the_deadline(path: Path) -> None:
    before = set(threading.enumerate())
    with put_server("silent") as server:

        def check() -> None:
            if server.arrived.is_set():
                raise Cancelled("the job was cancelled")

        with pytest.raises(Cancelled):
            _put(server, path, check=check)
        with pytest.raises(UploadFailed, match="in time"):
            _put(server, path, seconds=0.2)
        with pytest.raises(UploadFailed, match="did not take"):
            _put(server, path, limits=UploadLimits(answer_seconds=0.2), seconds=0.4)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert len(server.received) == 3, "an upload that nobody waits for was begun again"


def test_a_cancel_stops_an_upload_in_progress(tmp_path: Path) -> None:
    big = tmp_path / "result.mp4"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        read: list[int] = []
        ended = threading.Event()

        def sip() -> None:
            with listening.accept()[0] as connection:
                connection.settimeout(60)
                while part := connection.recv(1 << 16):
                    read.append(len(part))
            ended.set()

        thread = threading.Thread(target=sip, daemon=True)
        thread.start()

        def check() -> None:
            if sum(read) > 1 << 20:
                raise Cancelled("the job was cancelled")

        with pytest.raises(Cancelled):
            _put(PutServer([200], listening.getsockname()[1]), big, check=check)
        assert ended.wait(60)
        thread.join()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert 1 << 20 < sum(read) < 1 << 30


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0.0.0.0", "localhost", "[::1]", "[::ffff:7f00:1]", "10.0.0.1",
        "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]", "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]", "[2002:a00:1::5]", "user:pass@127.0.0.1",
    ],
)  # fmt: skip
def test_no_form_of_a_private_address_is_sent_to(path: Path, host: str) -> None:
    with put_server() as server:
        with pytest.raises(UrlRejected) as caught:
            check_url(f"http://{host}:{server.port}{_SIGNED}", field="upload_url", private_hosts=frozenset())
        assert caught.value.field == "upload_url" and host not in caught.value.message
        # Checked again at the connection, even without a check before.
        again = WebRequest(
            "PUT", f"http://{host}:{server.port}/", field="upload_url", private_hosts=frozenset(), data=b"x"
        )
        with pytest.raises(UrlRejected), open_request(again):
            pass
        assert not server.received
